/* Loading the settings: defaults, then the file, the environment, the flags, each over the one before it, then all
 * values read into their types, then the rules between them. Every step adds its faults and goes on, so that one start
 * tells everything that is wrong; only then is a configuration with a fault thrown away whole.
 *
 * What belongs to plugins is kept as text (instance.c): which options a plugin has is known only once it is loaded.
 * Single-threaded; nothing is written, so there is nothing to recover. */
#include "conf/conf.h"

#include "conf/environment.h"
#include "conf/inifile.h"
#include "conf/store.h"
#include "conf/value.h"

#include <stdio.h>
#include <stdlib.h>

enum { PLUGIN_TEXTS_MAX = 8192, SHOWN_MAX = 64 * 1024 };

struct load {
    struct conf *conf;
    const struct conf_input *input;
    struct lines faults, notices;
    struct buf ignored; /* names of variables that Kubernetes set */
};

/* --- values of the daemon --- */

/* Takes `origin`, which may be NULL for want of memory. Empty means unset: what a lower layer said stays. */
static int put(struct conf_setting *to, const char *text, char *origin)
{
    char *copy = origin == NULL || *text == '\0' ? NULL : strdup(text);
    if (copy == NULL) {
        int code = origin == NULL || *text != '\0' ? ERR_NOMEM : ERR_OK;
        free(origin);
        return code;
    }
    free(to->text);
    free(to->origin);
    to->text = copy;
    to->origin = origin;
    return ERR_OK;
}

static int put_defaults(struct conf *c)
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        c->values[i].origin = strdup("default");
        c->values[i].text = settings_fallback(&settings_table[i]);
        if (c->values[i].origin == NULL || c->values[i].text == NULL)
            return ERR_NOMEM;
        struct err e;
        int code = opt_set(&settings_table[i], c->values[i].text, &c->settings, &e);
        if (code == ERR_NOMEM)
            return code;
        CHECK(code == ERR_OK); /* a default of our own table is valid */
    }
    return ERR_OK;
}

static const struct opt *find_key(const char *key, size_t *at)
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        if (strcmp(settings_table[i].key, key) == 0) {
            *at = i;
            return &settings_table[i];
        }
    return NULL;
}

static const char *nearest_key(const char *key)
{
    const char *keys[SETTINGS_COUNT];
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        keys[i] = settings_table[i].key;
    return value_nearest(key, keys, SETTINGS_COUNT);
}

static void say_unknown(struct load *l, const char *origin, const char *key)
{
    const char *near = nearest_key(key);
    lines_add(&l->faults, "%s: there is no setting %s%s%s%s", origin, key, near == NULL ? "" : "; did you mean ",
              near == NULL ? "" : near, near == NULL ? "" : "?");
}

/* --- texts of plugins --- */

/* Takes `origin`. */
static int add_plugin_text(struct load *l, const char *instance, const char *name, const char *value, char *origin)
{
    struct conf *c = l->conf;
    if (*value == '\0' || c->plugin_count == PLUGIN_TEXTS_MAX) {
        if (*value != '\0')
            lines_add(&l->faults, "%s: there are more than %d settings of plugins", origin == NULL ? "" : origin,
                      PLUGIN_TEXTS_MAX);
        free(origin);
        return ERR_OK;
    }
    if ((c->plugin_count & (c->plugin_count + 1)) == 0) { /* 0, 1, 3, 7 …: full */
        struct plugin_text *more = realloc(c->plugins, (c->plugin_count * 2 + 1) * sizeof *more);
        if (more == NULL) {
            free(origin);
            return ERR_NOMEM;
        }
        c->plugins = more;
    }
    struct plugin_text *text = &c->plugins[c->plugin_count++];
    *text = (struct plugin_text){instance == NULL ? NULL : strdup(instance), strdup(name), strdup(value), origin};
    bool whole = (instance == NULL || text->instance != NULL) && text->name != NULL && text->value != NULL;
    return whole && origin != NULL ? ERR_OK : ERR_NOMEM;
}

static void capitals(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'a' && *text <= 'z')
            *text = (char)(*text - 'a' + 'A');
}

/* --- the file --- */

static int apply_plugin_entry(struct load *l, const struct inifile_entry *entry, const char *path)
{
    const char *name = entry->section + 6; /* behind "plugin" */
    if (*name != ' ' || !instance_name_valid(name + 1)) {
        lines_add(&l->faults,
                  "file %s:%d: [%s] is not [plugin <name>] with a name of small letters, digits and dashes that begins "
                  "with a letter",
                  path, entry->line, entry->section);
        return ERR_OK;
    }
    capitals(entry->key);
    return add_plugin_text(l, name + 1, entry->key, entry->value, lines_copy("file %s:%d", path, entry->line));
}

static int apply_entry(struct load *l, const struct inifile_entry *entry, const char *path)
{
    static const char client[] = "client ";
    size_t at;
    char key[INIFILE_LINE_MAX + INIFILE_SECTION_MAX + 2];
    if (strncmp(entry->section, "plugin", 6) == 0 && (entry->section[6] == '\0' || entry->section[6] == ' '))
        return apply_plugin_entry(l, entry, path);
    snprintf(key, sizeof key, "%s.%s", entry->section, entry->key);
    char *origin = lines_copy("file %s:%d", path, entry->line);
    if (origin == NULL)
        return ERR_NOMEM;
    if (strncmp(entry->section, client, sizeof client - 1) == 0) {
        int code =
            clients_entry(l->conf, entry->section + sizeof client - 1, entry->key, entry->value, origin, &l->faults);
        free(origin);
        return code;
    }
    if (find_key(key, &at) != NULL)
        return put(&l->conf->values[at], entry->value, origin);
    say_unknown(l, origin, key);
    free(origin);
    return ERR_OK;
}

static const char *variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    return "";
}

static int apply_file(struct load *l)
{
    struct inifile file;
    const char *path = l->input->file;
    if (path == NULL)
        path = variable(l->input->environment, "HEADGATE_CONFIG");
    bool given = *path != '\0';
    if (!given)
        path = HG_SYSCONFDIR "/headgate/headgate.ini";
    int code = inifile_read(path, !given, &file, &l->faults, &l->notices);
    for (size_t i = 0; code == ERR_OK && i < file.count; i++)
        code = apply_entry(l, &file.entries[i], path);
    inifile_fini(&file);
    return code;
}

/* --- the environment --- */

static void say_unknown_variable(struct load *l, const char *name)
{
    char names[SETTINGS_COUNT][ENVIRONMENT_NAME_MAX];
    const char *candidates[SETTINGS_COUNT];
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        environment_name(settings_table[i].key, names[i]);
        candidates[i] = names[i];
    }
    const char *near = value_nearest(name, candidates, SETTINGS_COUNT);
    size_t len = strlen(name);
    if (len > 5 && strcmp(name + len - 5, "_FILE") == 0)
        lines_add(&l->faults, "environment %s: there is no such setting; only secret options have a _FILE form", name);
    else if (strstr(name, "_SERVICE_") != NULL || strstr(name, "_PORT") != NULL)
        lines_add(&l->faults,
                  "environment %s: there is no such setting; if Kubernetes put it there for a Service, set "
                  "enableServiceLinks: false or rename that Service",
                  name);
    else
        lines_add(&l->faults, "environment %s: there is no such setting%s%s%s", name,
                  near == NULL ? "" : "; did you mean ", near == NULL ? "" : near, near == NULL ? "" : "?");
}

static int apply_variable(struct load *l, const char *name, const char *value)
{
    size_t at = 0;
    switch (environment_kind(name, &at)) {
    case ENVIRONMENT_SETTING: return put(&l->conf->values[at], value, lines_copy("environment %s", name));
    case ENVIRONMENT_PLUGIN:
        return add_plugin_text(l, NULL, name + strlen("PLUGIN_"), value, lines_copy("environment %s", name));
    case ENVIRONMENT_KUBERNETES:
        /* Left out of the sentence when it no longer fits: it is ignored all the same. */
        return buf_addf(&l->ignored, "%s%s", l->ignored.len > 0 ? ", " : "", name) == ERR_NOMEM ? ERR_NOMEM : ERR_OK;
    case ENVIRONMENT_UNKNOWN: say_unknown_variable(l, name); return ERR_OK;
    case ENVIRONMENT_CLIENT:
    case ENVIRONMENT_FOREIGN: return ERR_OK;
    }
    return ERR_INTERNAL;
}

static int apply_environment(struct load *l)
{
    int code = ERR_OK;
    for (char *const *p = l->input->environment; code == ERR_OK && p != NULL && *p != NULL; p++) {
        const char *equals = strchr(*p, '=');
        if (equals == NULL || (strncmp(*p, "HEADGATE_", 9) != 0 && strncmp(*p, "PLUGIN_", 7) != 0))
            continue;
        char *name = strndup(*p, (size_t)(equals - *p));
        code = name == NULL ? ERR_NOMEM : apply_variable(l, name, equals + 1);
        free(name);
    }
    if (code == ERR_OK && l->ignored.len > 0)
        lines_add(&l->notices, "ignored, as Kubernetes sets them for a Service called headgate: %s",
                  buf_str(&l->ignored));
    return code;
}

/* --- the flags --- */

static int apply_flags(struct load *l)
{
    int code = ERR_OK;
    for (const char *const *p = l->input->flags; code == ERR_OK && p != NULL && *p != NULL; p++) {
        size_t at;
        const char *equals = strchrnul(*p, '=');
        char *key = strndup(*p, (size_t)(equals - *p));
        if (key == NULL)
            return ERR_NOMEM;
        if (*equals == '\0')
            lines_add(&l->faults, "flag %s: write section.key=value", key);
        else if (find_key(key, &at) != NULL)
            code = put(&l->conf->values[at], equals + 1, strdup("flag"));
        else
            say_unknown(l, "flag", key);
        free(key);
    }
    return code;
}

/* --- text to types --- */

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return true;
    return false;
}

/* `docker run --env-file` and the ini file hand quotes through: a folder called "x" with its quotes helps nobody. */
static bool is_quoted(const char *text)
{
    size_t len = strlen(text);
    return len > 1 && (*text == '"' || *text == '\'') && text[len - 1] == *text;
}

static int read_value(struct load *l, size_t at)
{
    struct err e;
    const struct opt *o = &settings_table[at];
    struct conf_setting *v = &l->conf->values[at];
    int code;
    if (has_control(v->text))
        code = err_set(&e, ERR_SYNTAX, "there is a control character in the value");
    else if (is_quoted(v->text))
        code = err_set(&e, ERR_SYNTAX, "quotes would be part of the value; leave them out");
    else
        code = opt_set(o, v->text, &l->conf->settings, &e);
    if (code == ERR_NOMEM)
        return code;
    if (code != ERR_OK)
        lines_add(&l->faults, "%s: %s: %s", v->origin, o->key, e.text);
    return ERR_OK;
}

static int show_values(struct conf *c)
{
    struct buf text;
    buf_init(&text, SHOWN_MAX);
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < SETTINGS_COUNT; i++) {
        buf_clear(&text);
        code = opt_show(&settings_table[i], &c->settings, &text);
        if (code == ERR_OK && (c->values[i].shown = strdup(buf_str(&text))) == NULL)
            code = ERR_NOMEM;
    }
    buf_free(&text);
    return code == ERR_LIMIT ? ERR_NOMEM : code;
}

static int load_layers(struct load *l)
{
    int code = put_defaults(l->conf);
    if (code == ERR_OK)
        code = apply_file(l);
    if (code == ERR_OK)
        code = apply_environment(l);
    if (code == ERR_OK)
        code = apply_flags(l);
    for (size_t i = 0; code == ERR_OK && i < SETTINGS_COUNT; i++)
        if (strcmp(l->conf->values[i].origin, "default") != 0)
            code = read_value(l, i);
    if (code != ERR_OK)
        return code;
    settings_finish(&l->conf->settings, &l->faults, &l->notices);
    code = clients_finish(l->conf, &l->faults);
    if (code != ERR_OK)
        return code;
    if (l->faults.count > 0)
        return ERR_CONFIG;
    return show_values(l->conf);
}

int conf_load(const struct conf_input *input, struct conf **out, struct buf *faults, struct buf *notices)
{
    struct load l = {.conf = calloc(1, sizeof *l.conf), .input = input, .faults = {faults, 0}, .notices = {notices, 0}};
    if (l.conf == NULL)
        return ERR_NOMEM;
    buf_init(&l.ignored, 2048);
    int code = load_layers(&l);
    buf_free(&l.ignored);
    if (code == ERR_OK)
        *out = l.conf;
    else
        conf_free(&l.conf);
    return code;
}

void conf_free(struct conf **c)
{
    if (*c == NULL)
        return;
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        opt_fini(&settings_table[i], &(*c)->settings);
        free((*c)->values[i].text);
        free((*c)->values[i].origin);
        free((*c)->values[i].shown);
    }
    for (size_t i = 0; i < (*c)->plugin_count; i++) {
        free((*c)->plugins[i].instance);
        free((*c)->plugins[i].name);
        free((*c)->plugins[i].value);
        free((*c)->plugins[i].origin);
    }
    free((*c)->plugins);
    clients_free(*c);
    free(*c);
    *c = NULL;
}

/* --- looking at them --- */

const struct settings *conf_settings(const struct conf *c)
{
    return &c->settings;
}

bool conf_next(const struct conf *c, size_t *at, struct conf_line *out)
{
    size_t of_clients = *at - SETTINGS_COUNT;
    if (*at >= SETTINGS_COUNT + c->client_count * CLIENT_OPTIONS)
        return false;
    if (*at >= SETTINGS_COUNT) {
        const struct conf_client *client = &c->clients[of_clients / CLIENT_OPTIONS];
        const struct conf_setting *w = &client->values[of_clients % CLIENT_OPTIONS];
        *out = (struct conf_line){client->keys[of_clients % CLIENT_OPTIONS], w->shown,
                                  w->origin == NULL ? "default" : w->origin, true};
        (*at)++;
        return true;
    }
    const struct conf_setting *v = &c->values[*at];
    *out = (struct conf_line){settings_table[*at].key, v->shown, v->origin, settings_table[*at].reloadable};
    (*at)++;
    return true;
}

bool conf_changed(const struct conf *a, const struct conf *b, size_t *at, struct conf_line *out)
{
    struct conf_line before;
    for (size_t same = *at; *at < SETTINGS_COUNT && conf_next(a, &same, &before) && conf_next(b, at, out);)
        if (strcmp(before.value, out->value) != 0)
            return true;
    if ((*at)++ > SETTINGS_COUNT || clients_same(a, b))
        return false;
    *out = (struct conf_line){"client", "", "", true}; /* some section of a client */
    return true;
}
