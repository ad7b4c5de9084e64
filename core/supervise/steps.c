/* From the names in PROCESS, and the expression in WHEN, to what a host has to load. WHEN is the processor `jq` with
 * that expression as its SELECT: nothing else of the program knows jq's language.
 *
 * A pusher whose steps are not all there and right does not start: without one of them it would deliver rows that were
 * not meant for it, or not as they were meant. No I/O but reading secrets; used by the supervisor and by `check`. */
#include "supervise/steps.h"

#include "conf/lines.h"
#include "conf/value.h"
#include "headgate.h"

#include <stdlib.h>
#include <string.h>

#define WHEN_NAME   "when"
#define WHEN_PLUGIN "jq"
#define WHEN_OPTION "SELECT"

struct plugin_file *folder_file(const struct folder *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->entries[i].file->refused == NULL && f->entries[i].holder == NULL &&
            strcmp(f->entries[i].file->about.name, name) == 0)
            return f->entries[i].file;
    return NULL;
}

/* A processor has no options but its own. */
static bool commons_given(const struct instance *i, struct buf *faults)
{
    struct lines lines = {faults, 0};
    for (size_t k = 0; k < i->common_count; k++) {
        const struct conf_value *v = &i->common_values[k];
        if (strcmp(v->origin, "default") != 0)
            lines_add(&lines, "%s: %s is an option of pushers, and %s is a processor", v->origin, v->name, i->name);
    }
    return lines.count > 0;
}

int file_instance(const struct plugin_file *file, const char *name, const char *use, const struct conf *conf,
                  struct instance *out, struct buf *faults)
{
    size_t count = file == NULL ? 0 : file->about.count;
    struct conf_option *options = calloc(count + 1, sizeof *options);
    if (options == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        options[i] = (struct conf_option){file->about.options[i].name, (file->about.options[i].flags & HG_SECRET) != 0};
    int code = conf_instance(conf, name, use, options, count, out, faults);
    free(options);
    if (code != ERR_NOMEM && file != NULL && file->about.kind == HG_PROCESSOR && commons_given(out, faults))
        code = ERR_CONFIG;
    return code;
}

static struct setting *settings_of(const struct instance *i)
{
    struct setting *settings = calloc(i->count + 1, sizeof *settings);
    for (size_t k = 0; settings != NULL && k < i->count; k++)
        settings[k] = (struct setting){i->values[k].name, i->values[k].value};
    return settings;
}

bool processor_faults(const struct plugin_file *file, const struct instance *i, int code, struct buf *faults)
{
    struct lines lines = {faults, code != ERR_OK};
    bool missing = false;
    struct setting *settings = settings_of(i);
    if (settings == NULL) {
        lines_add(&lines, "no memory for its settings");
        return true;
    }
    lines.count += described_check(&file->about, settings, i->count, faults, &missing);
    free(settings);
    return lines.count > 0 || missing;
}

/* --- finding --- */

static void copy_faults(struct lines *to, const char *name, struct buf *from)
{
    for (const char *at = buf_str(from); *at != '\0';) {
        size_t len = strcspn(at, "\n");
        lines_add(to, "processor %s: %.*s", name, (int)len, at);
        at += len + (at[len] == '\n');
    }
}

static const char *use_of(const struct step_places *places, const char *name)
{
    for (size_t i = 0; i < places->count; i++)
        if (strcmp(places->names[i], name) == 0)
            return places->uses[i];
    return NULL;
}

static const char *nearest_processor(const struct step_places *places, const char *name)
{
    const char *names[64];
    size_t count = 0;
    for (size_t i = 0; i < places->count && count < COUNT_OF(names); i++) {
        const struct plugin_file *file = folder_file(places->folder, places->uses[i]);
        if (file != NULL && file->about.kind == HG_PROCESSOR)
            names[count++] = places->names[i];
    }
    return value_nearest(name, names, count);
}

static void say_unknown(const struct step_places *places, const char *name, struct lines *faults)
{
    const char *near = nearest_processor(places, name);
    lines_add(faults, "PROCESS: there is no processor `%s`%s%s%s", name, near == NULL ? "" : "; did you mean `",
              near == NULL ? "" : near, near == NULL ? "" : "`?");
}

static int step_begin(struct steps *s, const char *name, struct plugin_file *file)
{
    struct step *step = &s->all[s->count++];
    *step = (struct step){.name = strdup(name), .file = plugin_file_take(file)};
    return step->name == NULL ? ERR_NOMEM : ERR_OK;
}

static int add_processor(const struct step_places *places, const char *name, struct steps *s, struct lines *faults)
{
    const char *use = use_of(places, name);
    struct plugin_file *file = use == NULL ? NULL : folder_file(places->folder, use);
    if (file == NULL) {
        say_unknown(places, name, faults);
        return ERR_OK;
    }
    if (file->about.kind != HG_PROCESSOR) {
        lines_add(faults, "PROCESS: `%s` is no processor", name);
        return ERR_OK;
    }
    struct buf why;
    buf_init(&why, 64 * 1024);
    int code = step_begin(s, name, file);
    if (code == ERR_OK)
        code = file_instance(file, name, use, places->conf, &s->all[s->count - 1].instance, &why);
    if (code != ERR_NOMEM && processor_faults(file, &s->all[s->count - 1].instance, code, &why))
        copy_faults(faults, name, &why);
    buf_free(&why);
    return code == ERR_NOMEM ? code : ERR_OK;
}

static int add_when(const struct step_places *places, const char *expression, struct steps *s, struct lines *faults)
{
    struct plugin_file *file = folder_file(places->folder, WHEN_PLUGIN);
    if (file == NULL || file->about.kind != HG_PROCESSOR) {
        lines_add(faults, "WHEN needs the processor `" WHEN_PLUGIN "`, which is not in the plugin folders");
        return ERR_OK;
    }
    int code = step_begin(s, WHEN_NAME, file);
    if (code != ERR_OK)
        return code;
    struct instance *i = &s->all[s->count - 1].instance;
    *i = (struct instance){
        .name = strdup(WHEN_NAME), .use = strdup(WHEN_PLUGIN), .values = calloc(1, sizeof *i->values), .touched = true};
    if (i->name == NULL || i->use == NULL || i->values == NULL)
        return ERR_NOMEM;
    i->values[i->count++] = (struct conf_value){strdup(WHEN_OPTION), strdup(expression), strdup("WHEN"), false};
    return i->values[0].name == NULL || i->values[0].value == NULL || i->values[0].origin == NULL ? ERR_NOMEM : ERR_OK;
}

int steps_find(const struct step_places *places, const struct instance *pusher, struct steps *out, struct buf *faults)
{
    struct lines lines = {faults, 0};
    const char *const *names = pusher->common.process;
    size_t count = 0;
    while (names != NULL && names[count] != NULL)
        count++;
    *out = (struct steps){.all = calloc(count + 1, sizeof *out->all)};
    if (out->all == NULL)
        return ERR_NOMEM;
    if (count + (pusher->common.when != NULL) > PROCESSORS_MAX) {
        lines_add(&lines, "PROCESS: there are more than %d processors, WHEN included", PROCESSORS_MAX);
        return ERR_CONFIG;
    }
    int code = pusher->common.when == NULL ? ERR_OK : add_when(places, pusher->common.when, out, &lines);
    for (size_t i = 0; code == ERR_OK && i < count; i++)
        code = add_processor(places, names[i], out, &lines);
    return code == ERR_OK && lines.count > 0 ? ERR_CONFIG : code;
}

int steps_all(const struct step_places *places, size_t first, struct steps *out)
{
    struct steps s = {.all = calloc(places->count - first + 1, sizeof *s.all)};
    int code = s.all == NULL ? ERR_NOMEM : ERR_OK;
    for (size_t i = first; code == ERR_OK && i < places->count; i++) {
        struct plugin_file *file = folder_file(places->folder, places->uses[i]);
        code = step_begin(&s, places->names[i], file);
        if (code == ERR_OK && file_instance(file, places->names[i], places->uses[i], places->conf,
                                            &s.all[s.count - 1].instance, NULL) == ERR_NOMEM)
            code = ERR_NOMEM;
    }
    if (code == ERR_OK)
        *out = s;
    else
        steps_fini(&s);
    return code;
}

void steps_fini(struct steps *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->all[i].name);
        plugin_file_drop(&s->all[i].file);
        instance_fini(&s->all[i].instance);
    }
    free(s->all);
    *s = (struct steps){0};
}

bool steps_equal(const struct steps *a, const struct steps *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (a->all[i].file != b->all[i].file || !instance_equal(&a->all[i].instance, &b->all[i].instance))
            return false;
    return true;
}

/* --- for a host --- */

int steps_setup(const struct steps *s, struct setup *setup)
{
    setup->processors = calloc(s->count + 1, sizeof *setup->processors);
    if (setup->processors == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->count; i++) {
        const struct step *step = &s->all[i];
        struct setting *settings = settings_of(&step->instance);
        if (settings == NULL)
            return ERR_NOMEM;
        setup->processors[setup->processor_count++] = (struct setup){
            .instance = step->name, .plugin = step->file->copy, .settings = settings, .count = step->instance.count};
    }
    return ERR_OK;
}

void steps_setup_fini(struct setup *setup)
{
    for (size_t i = 0; i < setup->processor_count; i++)
        free(setup->processors[i].settings);
    free(setup->processors);
    setup->processors = NULL;
    setup->processor_count = 0;
}
