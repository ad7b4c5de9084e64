/* `headgate plugin list`: what is in the plugin folders, and what a daemon that answers makes of it. The two may
 * differ: the daemon may look into other folders, have an older file loaded, or hold the rows of a plugin that is gone.
 */
#include "cli/plugins.h"
#include "cli/remote.h"
#include "cli/say.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAEMON_TIMEOUT_MS = 2000 };

/* The pushers and pullers of the daemon, in the caller's ownership; NULL: none answered, which is said. */
static json_t *pushers_of(const struct folders *f, const struct args *a, const char *address, int *exit)
{
    struct err e = {0};
    struct target target;
    struct call call = {.curl = NULL};
    struct call_request request = {.method = "GET", .path = "/v1/pushers", .timeout_ms = DAEMON_TIMEOUT_MS};
    char *token = NULL;
    json_t *answer = NULL, *pushers = NULL;
    *exit = EXIT_UNREACHABLE;
    int code = args_has(a, OPT_ADMIN) ? remote_target_parse(address, &target, &e)
                                      : remote_reached(conf_settings(f->conf), "admin.listen", address, &target, &e);
    if (code != ERR_OK || call_token(&token, &e) != ERR_OK ||
        call_open(&call, &target, token, args_value(a, OPT_CA, NULL), &e) != ERR_OK) {
        say_note("%s: %s", address, e.text);
    } else if (call_send(&call, &request, &e) != ERR_OK) {
        say_note("no daemon answers at %s: this is what the folders hold", target.shown);
    } else if (call.status != 200) {
        *exit = remote_problem(&call);
    } else {
        answer = js_parse(buf_slice(&call.body));
        pushers = json_incref(json_object_get(answer, "pushers"));
        (void)json_array_extend(pushers, json_object_get(answer, "pullers"));
        *exit = EXIT_DONE;
    }
    json_decref(answer);
    call_close(&call);
    free(token);
    return pushers;
}

/* --- JSON --- */

static int add_pushers(struct buf *b, const json_t *pushers)
{
    static const char *const members[] = {"name", "plugin", "version", "state", "error"};
    int code = buf_adds(b, pushers == NULL ? "null" : "[");
    for (size_t i = 0; code == ERR_OK && i < json_array_size(pushers); i++) {
        for (size_t k = 0; code == ERR_OK && k < COUNT_OF(members); k++) {
            code = buf_addf(b, "%s\"%s\":", k > 0 ? "," : i > 0 ? ",{" : "{", members[k]);
            if (code == ERR_OK)
                code = buf_add_json(b, slice_of(js_text(json_array_get(pushers, i), members[k])));
        }
        if (code == ERR_OK)
            code = buf_addc(b, '}');
    }
    return code == ERR_OK && pushers != NULL ? buf_addc(b, ']') : code;
}

static int list_json(const struct folders *f, const json_t *pushers)
{
    struct buf b;
    buf_init(&b, 16 << 20);
    int code = buf_adds(&b, "{\"plugins\":[");
    for (size_t i = 0; code == ERR_OK && i < f->folder.count; i++) {
        char why[4096];
        bool refused = folder_refused(&f->folder.entries[i], why, sizeof why);
        if (i > 0)
            code = buf_addc(&b, ',');
        if (code == ERR_OK)
            code = plugin_json(&b, f->folder.entries[i].file, refused ? why : NULL, false);
    }
    if (code == ERR_OK)
        code = buf_adds(&b, "],\"pushers\":");
    if (code == ERR_OK)
        code = add_pushers(&b, pushers);
    if (code == ERR_OK)
        code = buf_adds(&b, "}\n");
    if (code == ERR_OK)
        fwrite(b.ptr, 1, b.len, stdout);
    buf_free(&b);
    return exit_of(code);
}

/* --- text --- */

/* One instance below its plugin; the version where it is another one than the file's. */
static void print_pusher(const json_t *pusher, const char *version)
{
    char name[160], state[32], running[80];
    const char *its = js_text(pusher, "version");
    bool other = its[0] != '\0' && version != NULL && strcmp(its, version) != 0;
    say_clean(name, sizeof name, js_text(pusher, "name"), 150);
    say_clean(state, sizeof state, js_text(pusher, "state"), 30);
    say_clean(running, sizeof running, its, 70);
    printf("    %s: %s%s%s\n", name, state, other ? ", version " : "", other ? running : "");
}

static void print_pushers_of(const struct plugin_file *file, const json_t *pushers)
{
    for (size_t i = 0; i < json_array_size(pushers); i++) {
        const json_t *pusher = json_array_get(pushers, i);
        if (strcmp(js_text(pusher, "plugin"), file->about.name) == 0)
            print_pusher(pusher, file->about.version);
    }
}

/* What the daemon has and the folders do not. Its refused files are left to the folders. */
static void print_others(const struct folders *f, const json_t *pushers)
{
    bool said = false;
    for (size_t i = 0; i < json_array_size(pushers); i++) {
        const json_t *pusher = json_array_get(pushers, i);
        const char *plugin = js_text(pusher, "plugin");
        if (folders_find(f, plugin) != NULL || strcmp(js_text(pusher, "state"), "refused") == 0)
            continue;
        if (!said)
            puts("of the daemon, not in these folders");
        said = true;
        print_pusher(pusher, NULL);
    }
}

static void list_text(const struct folders *f, const json_t *pushers)
{
    for (size_t i = 0; i < f->folder.count; i++) {
        char why[4096], text[600];
        const struct plugin_file *file = f->folder.entries[i].file;
        bool refused = folder_refused(&f->folder.entries[i], why, sizeof why);
        say_clean(text, sizeof text, refused ? why : file->about.summary, 500);
        if (refused)
            printf("%-16s %-10s %-8s %s: %s\n", "-", "refused", "", file->path, text);
        else
            printf("%-16s %-10s %-8s %s\n", file->about.name, plugin_kind(file->about.kind), file->about.version, text);
        if (!refused)
            print_pushers_of(file, pushers);
    }
    if (f->folder.count == 0)
        say_note("no plugin in the plugin folders (plugins.dir)");
    print_others(f, pushers);
}

/* Without a daemon the folders are told all the same; it is a fault only where it was asked for by its address. */
static int run_list(const struct folders *f, const struct args *a)
{
    int asked = EXIT_DONE, exit = EXIT_DONE;
    const char *const *admin = conf_settings(f->conf)->admin_listen;
    const char *address = args_value(a, OPT_ADMIN, admin[0]);
    json_t *pushers = address == NULL ? NULL : pushers_of(f, a, address, &asked);
    if (args_has(a, OPT_JSON))
        exit = list_json(f, pushers);
    else
        list_text(f, pushers);
    json_decref(pushers);
    return exit == EXIT_DONE && args_has(a, OPT_ADMIN) ? asked : exit;
}

int verb_plugin_list(int argc, char **argv)
{
    return folders_verb("plugin list", argc, argv, 0, run_list);
}
