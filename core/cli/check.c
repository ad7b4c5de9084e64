/* `headgate check`: settings, plugin files, every option of every instance; `--probe` asks the far ends too. Says all
 * that is wrong in one go, certificates and keys of callers too; exit code 78 when anything is. `headgate config
 * --offline` stands here as well: it shows what the same reading finds. */
#include "access/certs.h"
#include "access/keyfile.h"
#include "cli/folders.h"
#include "cli/probe.h"
#include "cli/say.h"
#include "headgate.h"
#include "http/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct report {
    const struct folders *folders;
    bool probe;
    size_t faults, pushers;
};

static void say_lines(struct report *r, const char *who, struct buf *lines)
{
    for (const char *at = buf_str(lines); *at != '\0';) {
        size_t len = strcspn(at, "\n");
        if (who != NULL)
            printf("plugin %s: %.*s\n", who, (int)len, at);
        else
            printf("%.*s\n", (int)len, at);
        r->faults++;
        at += len + (at[len] == '\n');
    }
}

/* Processors are opened, for only they know whether what they were given (a program, a file) is right; that reaches no
 * far end. */
static bool steps_open(struct report *r, const char *name, const struct plugin_file *file, const struct instance *i,
                       const struct steps *steps)
{
    char why[600];
    if (steps->count == 0 || probe_steps(r->folders->host, name, file, i, steps, why, sizeof why))
        return true;
    printf("plugin %s: %s\n", name, why);
    r->faults++;
    return false;
}

static void check_options(struct report *r, const char *name, const struct plugin_file *file, const struct instance *i,
                          const struct steps *steps, int code, struct buf *faults)
{
    struct setting *settings = calloc(i->count + 1, sizeof *settings);
    bool missing = false;
    if (settings == NULL)
        return;
    for (size_t k = 0; k < i->count; k++)
        settings[k] = (struct setting){i->values[k].name, i->values[k].value};
    size_t wrong = described_check(&file->about, settings, i->count, faults, &missing);
    bool manual = (file->about.flags & HG_MANUAL_START) != 0;
    bool wanted = i->common.enabled == ENABLED_YES || (i->common.enabled == ENABLED_AUTO && !manual);
    if (i->common.enabled == ENABLED_NO) {
        printf("%s: switched off (ENABLED=no)\n", name);
    } else if (code == ERR_OK && wrong == 0 && wanted) {
        if (!steps_open(r, name, file, i, steps)) {
            free(settings);
            return;
        }
        r->pushers += file->about.kind == HG_PUSHER;
        printf("%s: ok (plugin %s %s)\n", name, file->about.name, file->about.version);
        if (r->probe && probe_plugin(r->folders->host, name, file, i, steps) != EXIT_DONE)
            r->faults++;
    } else if (code == ERR_OK && (wrong == 0 || (missing && !i->touched && i->common.enabled == ENABLED_AUTO))) {
        printf("%s: not configured\n", name);
    } else {
        say_lines(r, name, faults);
    }
    free(settings);
}

static void check_processor(struct report *r, const char *name, const struct plugin_file *file,
                            const struct instance *i, int code, struct buf *faults)
{
    bool wrong = processor_faults(file, i, code, faults);
    if (wrong && (i->touched || code != ERR_OK)) /* else only what is required is missing */
        say_lines(r, name, faults);
    else
        printf("%s: %s (processor %s %s)\n", name, wrong ? "not configured" : "ok", file->about.name,
               file->about.version);
}

static void check_instance(struct report *r, const struct step_places *places, size_t n)
{
    const char *name = places->names[n], *use = places->uses[n];
    const struct plugin_file *file = folders_find(r->folders, use);
    struct instance i = {.name = NULL};
    struct steps steps = {0};
    struct buf faults;
    buf_init(&faults, 1 << 20);
    int code = file_instance(file, name, use, places->conf, &i, &faults);
    if (file == NULL) {
        printf("%s: its plugin \"%s\" is not in the plugin folders\n", name, use);
        r->faults++;
    } else if (file->about.kind == HG_PROCESSOR) {
        check_processor(r, name, file, &i, code, &faults);
    } else {
        bool puller = file->about.kind == HG_PULLER;
        int found = puller ? ERR_OK : steps_find(places, &i, &steps, &faults);
        if (conf_misplaced(&i, puller, &faults) > 0 && code == ERR_OK)
            code = ERR_CONFIG;
        check_options(r, name, file, &i, &steps, code == ERR_OK ? found : code, &faults);
    }
    steps_fini(&steps);
    instance_fini(&i);
    buf_free(&faults);
}

/* The files that TLS and `auth` need, opened as the daemon will. */
static void check_callers(struct report *r)
{
    const struct settings *s = conf_settings(r->folders->conf);
    const struct tls_options tls = {.certificate = s->tls_certificate,
                                    .key = s->tls_key,
                                    .client_ca = s->tls_client_ca,
                                    .client_crl = s->tls_client_crl};
    unsigned auth = s->http_auth | s->admin_auth;
    struct tls *context = NULL;
    struct certs *certs = NULL;
    struct keyfile keys = {.count = 0};
    struct err e[3] = {{.text = ""}};
    int codes[3] = {ERR_OK, ERR_OK, ERR_OK};
    if (s->tls_certificate != NULL)
        codes[0] = tls_open(&context, &tls, &e[0]);
    if ((auth & AUTH_MTLS) != 0)
        codes[1] = certs_open(&certs, s->tls_client_roles, &e[1]);
    if ((auth & AUTH_KEYS) != 0)
        codes[2] = keyfile_read(s->data_dir, &keys, &e[2]);
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i] != ERR_OK) {
            printf("%s\n", e[i].text);
            r->faults++;
        }
    tls_close(&context);
    certs_close(&certs);
    keyfile_fini(&keys);
}

static int names_of(const struct folders *f, char ***names, char ***uses, size_t *count, struct buf *faults,
                    struct buf *notices)
{
    const char **plugins = calloc(f->folder.count + 1, sizeof *plugins);
    size_t n = 0;
    if (plugins == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < f->folder.count; i++)
        if (f->folder.entries[i].file->refused == NULL && f->folder.entries[i].holder == NULL)
            plugins[n++] = f->folder.entries[i].file->about.name;
    int code = conf_instances(f->conf, plugins, n, names, uses, count, faults, notices);
    free(plugins);
    return code;
}

static int check_all(struct report *r)
{
    char **names = NULL, **uses = NULL;
    size_t count = 0;
    struct buf faults, notices;
    buf_init(&faults, 1 << 20);
    buf_init(&notices, 1 << 20);
    check_callers(r);
    for (size_t i = 0; i < r->folders->folder.count; i++) {
        char why[4096];
        if (!folder_refused(&r->folders->folder.entries[i], why, sizeof why))
            continue;
        printf("%s: refused: %s\n", r->folders->folder.entries[i].file->path, why);
        r->faults++;
    }
    int code = names_of(r->folders, &names, &uses, &count, &faults, &notices);
    if (code == ERR_OK || code == ERR_CONFIG) {
        say_notes(buf_str(&notices));
        say_lines(r, NULL, &faults);
        const struct step_places places = {r->folders->conf, &r->folders->folder, names, uses, count};
        for (size_t i = 0; i < count; i++)
            check_instance(r, &places, i);
        code = ERR_OK;
    }
    conf_names_free(names, count);
    conf_names_free(uses, count);
    buf_free(&faults);
    buf_free(&notices);
    return code;
}

int verb_check(int argc, char **argv)
{
    struct args a;
    struct flags flags = {.count = 0};
    struct folders f = {.conf = NULL};
    int exit = args_parse(&a, "check", argc, argv);
    if (exit == EXIT_DONE)
        exit = args_expect(&a, 0, 0);
    if (exit == EXIT_DONE)
        exit = flags_read(&flags, &a);
    if (exit == EXIT_DONE)
        exit = folders_open(&f, &flags);
    if (exit == EXIT_DONE) {
        struct report r = {.folders = &f, .probe = args_has(&a, OPT_PROBE)};
        int code = check_all(&r);
        if (code == ERR_OK && r.pushers == 0 && r.faults == 0 && !conf_settings(f.conf)->plugins_none) {
            printf("no pusher is configured: rows would have nowhere to go (headgate plugin list; or plugins.none = "
                   "yes)\n");
            r.faults++;
        }
        exit = code != ERR_OK ? exit_of(code) : r.faults > 0 ? (int)EXIT_CONFIG : EXIT_DONE;
    }
    folders_close(&f);
    flags_fini(&flags);
    args_fini(&a);
    return exit;
}

/* --- config --offline --- */

static int add_setting(struct buf *b, bool json, bool *more, const char *key, const char *value, const char *origin)
{
    if (!json)
        return buf_addf(b, "%-28s %-28s %s\n", key, value, origin);
    int code = buf_adds(b, *more ? ",{\"key\":" : "{\"key\":");
    *more = true;
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(key));
    if (code == ERR_OK)
        code = buf_adds(b, ",\"value\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(value));
    if (code == ERR_OK)
        code = buf_adds(b, ",\"origin\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(origin));
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

static int add_instance(const struct folders *f, struct buf *b, bool json, bool *more, const char *name,
                        const char *use)
{
    struct instance i = {.name = NULL};
    const struct plugin_file *file = folders_find(f, use);
    int code = file_instance(file, name, use, f->conf, &i, NULL);
    if (code == ERR_CONFIG)
        code = ERR_OK;
    size_t common = file != NULL && file->about.kind == HG_PROCESSOR ? 0 : i.common_count; /* it has none of them */
    for (size_t k = 0; code == ERR_OK && k < common + i.count; k++) {
        const struct conf_value *v = k < common ? &i.common_values[k] : &i.values[k - common];
        char key[256];
        snprintf(key, sizeof key, "plugin %s.%s", name, v->name);
        code = add_setting(b, json, more, key, v->secret ? "(hidden)" : v->value, v->origin);
    }
    instance_fini(&i);
    return code;
}

static int show_config(const struct folders *f, bool json)
{
    struct buf b;
    size_t at = 0, count = 0;
    struct conf_line line;
    bool more = false;
    char **names = NULL, **uses = NULL;
    buf_init(&b, 16 << 20);
    int code = json ? buf_adds(&b, "{\"settings\":[") : ERR_OK;
    while (code == ERR_OK && conf_next(f->conf, &at, &line))
        code = add_setting(&b, json, &more, line.key, line.value == NULL ? "" : line.value, line.origin);
    if (code == ERR_OK && names_of(f, &names, &uses, &count, NULL, NULL) != ERR_NOMEM)
        for (size_t i = 0; code == ERR_OK && i < count; i++)
            code = add_instance(f, &b, json, &more, names[i], uses[i]);
    if (code == ERR_OK && json)
        code = buf_adds(&b, "]}\n");
    if (code == ERR_OK)
        fwrite(b.ptr, 1, b.len, stdout);
    conf_names_free(names, count);
    conf_names_free(uses, count);
    buf_free(&b);
    return exit_of(code);
}

int verb_config_offline(int argc, char **argv)
{
    struct args a;
    struct flags flags = {.count = 0};
    struct folders f = {.conf = NULL};
    int exit = args_parse(&a, "config", argc, argv);
    if (exit == EXIT_DONE)
        exit = flags_read(&flags, &a);
    if (exit == EXIT_DONE)
        exit = folders_open(&f, &flags);
    if (exit == EXIT_DONE)
        exit = show_config(&f, args_has(&a, OPT_JSON));
    folders_close(&f);
    flags_fini(&flags);
    args_fini(&a);
    return exit;
}
