/* What a plugin says of itself, as text and as JSON: `headgate plugin describe`, and what the list takes from it. */
#include "cli/plugins.h"

#include "cli/say.h"
#include "headgate.h"

#include <stdio.h>
#include <string.h>

const char *plugin_kind(uint32_t kind)
{
    return kind == HG_PUSHER ? "pusher" : kind == HG_PULLER ? "puller" : "processor";
}

static const char *type_word(uint32_t type)
{
    static const char *const words[] = {"?",    "string", "integer", "number", "boolean", "duration",
                                        "size", "choice", "list",    "map",    "path",    "url"};
    return words[type < COUNT_OF(words) ? type : 0];
}

static int json_text(struct buf *b, const char *key, const char *text)
{
    int code = buf_addf(b, "\"%s\":", key);
    return code != ERR_OK ? code : text == NULL ? buf_adds(b, "null") : buf_add_json(b, slice_of(text));
}

static int json_option(struct buf *b, const struct described_option *o)
{
    int code = buf_addc(b, '{');
    if (code == ERR_OK)
        code = json_text(b, "name", o->name);
    if (code == ERR_OK)
        code =
            buf_addf(b, ",\"type\":\"%s\",\"required\":%s,\"secret\":%s,", type_word(o->type),
                     (o->flags & HG_REQUIRED) != 0 ? "true" : "false", (o->flags & HG_SECRET) != 0 ? "true" : "false");
    if (code == ERR_OK)
        code = json_text(b, "default", o->fallback);
    if (code == ERR_OK)
        code = buf_addc(b, ',');
    if (code == ERR_OK)
        code = json_text(b, "limits", o->limits);
    if (code == ERR_OK)
        code = buf_addc(b, ',');
    if (code == ERR_OK)
        code = json_text(b, "group", o->group);
    if (code == ERR_OK)
        code = buf_addc(b, ',');
    if (code == ERR_OK)
        code = json_text(b, "text", o->text);
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

int plugin_json(struct buf *b, const struct plugin_file *f, const char *refused, bool options)
{
    int code = buf_addc(b, '{');
    if (code == ERR_OK)
        code = json_text(b, "file", f->path);
    if (code == ERR_OK)
        code = buf_addc(b, ',');
    if (code == ERR_OK)
        code = json_text(b, "refused", refused);
    if (code == ERR_OK && f->described)
        code = buf_addf(
            b, ",\"kind\":\"%s\",\"max_parallel\":%u,\"stable_batches\":%s,\"whole_sets\":%s,\"manual_start\":%s,",
            plugin_kind(f->about.kind), f->about.max_parallel,
            (f->about.flags & HG_STABLE_BATCH) != 0 ? "true" : "false",
            (f->about.flags & HG_WHOLE_SETS) != 0 ? "true" : "false",
            (f->about.flags & HG_MANUAL_START) != 0 ? "true" : "false");
    if (code == ERR_OK && f->described)
        code = json_text(b, "name", f->about.name);
    if (code == ERR_OK && f->described)
        code = buf_addc(b, ',');
    if (code == ERR_OK && f->described)
        code = json_text(b, "version", f->about.version);
    if (code == ERR_OK && f->described)
        code = buf_addc(b, ',');
    if (code == ERR_OK && f->described)
        code = json_text(b, "summary", f->about.summary);
    for (size_t i = 0; code == ERR_OK && options && f->described && i < f->about.count; i++) {
        code = buf_adds(b, i == 0 ? ",\"options\":[" : ",");
        if (code == ERR_OK)
            code = json_option(b, &f->about.options[i]);
        if (code == ERR_OK && i + 1 == f->about.count)
            code = buf_addc(b, ']');
    }
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

static void describe_text(const struct plugin_file *f)
{
    const struct described *d = &f->about;
    char variable[128];
    printf("%s %s, a %s\n%s\nfile: %s\nworkers: %s%.0u\n", d->name, d->version, plugin_kind(d->kind), d->summary,
           f->path, d->max_parallel == 0 ? "any number" : "at most ", d->max_parallel);
    if ((d->flags & HG_STABLE_BATCH) != 0)
        printf("after a crash the same rows come again as the same batch\n");
    if ((d->flags & HG_PLAN_AHEAD) != 0)
        printf("batches are written down ahead, and many of them may come again\n");
    if ((d->flags & HG_MANUAL_START) != 0)
        printf("starts only with ENABLED=yes\n");
    for (size_t i = 0; i < d->count; i++) {
        const struct described_option *o = &d->options[i];
        snprintf(variable, sizeof variable, "PLUGIN_%s_%s", d->name, o->name);
        for (char *c = variable; *c != '\0'; c++)
            *c = (char)(*c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? *c - 32 : *c);
        printf("\n  %s\n      %s%s%s", variable, type_word(o->type), (o->flags & HG_REQUIRED) != 0 ? ", required" : "",
               (o->flags & HG_SECRET) != 0 ? ", secret (also as _FILE)" : "");
        if (o->fallback != NULL)
            printf(", default %s", o->fallback);
        if (o->limits != NULL)
            printf(", %s", o->limits);
        if (o->group != NULL)
            printf(", one of the group %s", o->group);
        printf("\n      ");
        say_wrapped(stdout, 6, 80, o->text, true);
    }
}

static int run_describe(const struct folders *f, const struct args *a)
{
    const struct plugin_file *file = folders_find(f, a->rest[0]);
    if (file == NULL)
        return say_error(EXIT_REFUSED, "there is no plugin \"%s\"; headgate plugin list shows what there is",
                         a->rest[0]);
    if (!args_has(a, OPT_JSON)) {
        describe_text(file);
        return EXIT_DONE;
    }
    struct buf b;
    buf_init(&b, 16 << 20);
    int code = plugin_json(&b, file, NULL, true);
    if (code == ERR_OK)
        printf("%s\n", buf_str(&b));
    buf_free(&b);
    return exit_of(code);
}

int verb_plugin_describe(int argc, char **argv)
{
    return folders_verb("plugin describe", argc, argv, 1, run_describe);
}
