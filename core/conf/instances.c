/* Which plugin instances there are.
 *
 * In the environment a name and an option meet without a border (PLUGIN_FILE_TWO_PATH: TWO_PATH of `file`, or PATH of
 * `file-two`?). So two names of which one's prefix begins the other's are refused, and what is left has one reading.
 * Called by the loop thread, at start, at a reload and when the plugins directory changes. */
#include "conf/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { IGNORED_MAX = 2048 };

bool instance_name_valid(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > INSTANCE_NAME_MAX || *name < 'a' || *name > 'z')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

void instance_prefix(const char *name, char out[INSTANCE_PREFIX_SIZE])
{
    size_t len = 0;
    for (; name[len] != '\0'; len++)
        out[len] = name[len] == '-' ? '_' : name[len] >= 'a' ? (char)(name[len] - 'a' + 'A') : name[len];
    out[len] = '_';
    out[len + 1] = '\0';
}

const char *plugin_text_option(const struct plugin_text *text, const char *instance, const char *prefix)
{
    if (text->instance != NULL)
        return strcmp(text->instance, instance) == 0 ? text->name : NULL;
    size_t len = strlen(prefix);
    return strncmp(text->name, prefix, len) == 0 && text->name[len] != '\0' ? text->name + len : NULL;
}

struct names {
    char **names, **uses;
    size_t count, room;
    const char *const *plugins;
    size_t plugin_count;
    struct lines faults, notices;
};

static bool is_plugin(const struct names *n, const char *name)
{
    for (size_t i = 0; i < n->plugin_count; i++)
        if (strcmp(n->plugins[i], name) == 0)
            return true;
    return false;
}

static const char *use_of(const struct names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->names[i], name) == 0)
            return n->uses[i];
    return NULL;
}

/* Is `longer` the name `shorter`, a dash, and something? */
static bool nested(const char *shorter, const char *longer)
{
    size_t len = strlen(shorter);
    return strncmp(shorter, longer, len) == 0 && longer[len] == '-';
}

/* The name without its dashes: cannot be nested in what it was nested in. */
static const char *without_dashes(const char *name, char out[INSTANCE_NAME_MAX + 1])
{
    size_t len = 0;
    for (; *name != '\0'; name++)
        if (*name != '-')
            out[len++] = *name;
    out[len] = '\0';
    return out;
}

static bool collides(struct names *n, const char *name, const char *origin)
{
    char other[INSTANCE_NAME_MAX + 1];
    for (size_t i = 0; i < n->count; i++) {
        const char *there = n->names[i];
        if (!nested(there, name) && !nested(name, there))
            continue;
        const char *longer = strlen(name) > strlen(there) ? name : there;
        const char *shorter = longer == name ? there : name;
        char prefixes[2][INSTANCE_PREFIX_SIZE];
        instance_prefix(shorter, prefixes[0]);
        instance_prefix(longer, prefixes[1]);
        lines_add(
            &n->faults,
            "%s: the instances `%s` and `%s` cannot both be there: PLUGIN_%s begins PLUGIN_%s, so a variable could "
            "belong to either; give one of them another name, as `%s`",
            origin, shorter, longer, prefixes[0], prefixes[1], without_dashes(longer, other));
        return true;
    }
    return false;
}

static int add_name(struct names *n, const char *name, const char *use, const char *origin)
{
    if (!instance_name_valid(name)) {
        lines_add(&n->faults,
                  "%s: `%s` is no name for an instance: small letters, digits and dashes, a letter first, at most %d",
                  origin, name, INSTANCE_NAME_MAX);
        return ERR_OK;
    }
    if (use_of(n, name) != NULL) {
        lines_add(&n->faults, "%s: there is an instance `%s` already", origin, name);
        return ERR_OK;
    }
    if (collides(n, name, origin))
        return ERR_OK;
    CHECK(n->count < n->room);
    n->names[n->count] = strdup(name);
    n->uses[n->count] = strdup(use);
    n->count++;
    return n->names[n->count - 1] == NULL || n->uses[n->count - 1] == NULL ? ERR_NOMEM : ERR_OK;
}

/* The name that "MY_FILE_USE" makes: "my-file". false: it is no such variable. What is no capital, digit or `_` stays
 * as a character that no name has. */
static bool name_from_use(const char *text, char *out, size_t size)
{
    size_t len = strlen(text);
    if (len <= 4 || len - 4 >= size || strcmp(text + len - 4, "_USE") != 0)
        return false;
    for (size_t i = 0; i < len - 4; i++) {
        char c = text[i];
        out[i] = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c >= '0' && c <= '9' ? c : '?';
    }
    out[len - 4] = '\0';
    return true;
}

/* Could it be an option, called SOMETHING_USE, of an instance that is there? */
static bool is_option_of_another(const struct names *n, const struct plugin_text *text)
{
    char prefix[INSTANCE_PREFIX_SIZE];
    for (size_t i = 0; i < n->count; i++) {
        instance_prefix(n->names[i], prefix);
        const char *option = plugin_text_option(text, n->names[i], prefix);
        if (option != NULL && strcmp(option, "USE") != 0)
            return true;
    }
    return false;
}

static int apply_use(struct names *n, const struct plugin_text *text, const char *name)
{
    const char *there = use_of(n, name);
    if (!is_plugin(n, text->value)) {
        if (text->instance == NULL && is_option_of_another(n, text))
            return ERR_OK;
        lines_add(&n->notices, "%s: there is no plugin `%s`, so there is no instance `%s`", text->origin, text->value,
                  name);
        return ERR_OK;
    }
    if (is_plugin(n, name)) {
        if (strcmp(name, text->value) != 0)
            lines_add(
                &n->faults,
                "%s: `%s` is the name of a plugin that is there itself; give the instance that uses `%s` another name",
                text->origin, name, text->value);
        return ERR_OK;
    }
    return there != NULL ? ERR_OK : add_name(n, name, text->value, text->origin);
}

/* Instances made by USE; the environment's first, because it overrides the file. */
static int apply_uses(struct names *n, const struct conf *c)
{
    char name[256];
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < c->plugin_count; i++)
        if (c->plugins[i].instance == NULL && name_from_use(c->plugins[i].name, name, sizeof name))
            code = apply_use(n, &c->plugins[i], name);
    for (size_t i = 0; code == ERR_OK && i < c->plugin_count; i++)
        if (c->plugins[i].instance != NULL && strcmp(c->plugins[i].name, "USE") == 0 &&
            use_of(n, c->plugins[i].instance) == NULL)
            code = apply_use(n, &c->plugins[i], c->plugins[i].instance);
    return code;
}

static bool is_owned(const struct names *n, const struct plugin_text *text)
{
    char prefix[INSTANCE_PREFIX_SIZE];
    for (size_t i = 0; i < n->count; i++) {
        instance_prefix(n->names[i], prefix);
        if (plugin_text_option(text, n->names[i], prefix) != NULL)
            return true;
    }
    return false;
}

/* One line for everything that belongs to nobody; a section is named once. */
static int say_ignored(struct names *n, const struct conf *c)
{
    struct buf list;
    buf_init(&list, IGNORED_MAX);
    const char *section = "";
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < c->plugin_count; i++) {
        const struct plugin_text *text = &c->plugins[i];
        if (is_owned(n, text) || (text->instance != NULL && strcmp(text->instance, section) == 0))
            continue;
        const char *comma = list.len > 0 ? ", " : "";
        if (text->instance == NULL) {
            code = buf_addf(&list, "%sPLUGIN_%s", comma, text->name);
        } else {
            section = text->instance;
            code = buf_addf(&list, "%s[plugin %s]", comma, section);
        }
    }
    if (list.len > 0)
        lines_add(&n->notices, "ignored, as no plugin of that name is there: %s", buf_str(&list));
    buf_free(&list);
    return code == ERR_NOMEM ? code : ERR_OK;
}

int conf_instances(const struct conf *c, const char *const *plugins, size_t plugin_count, char ***names, char ***uses,
                   size_t *count, struct buf *faults, struct buf *notices)
{
    size_t room = plugin_count + c->plugin_count;
    struct names n = {.names = calloc(room + 1, sizeof *n.names),
                      .uses = calloc(room + 1, sizeof *n.uses),
                      .room = room,
                      .plugins = plugins,
                      .plugin_count = plugin_count,
                      .faults = {faults, 0},
                      .notices = {notices, 0}};
    int code = n.names == NULL || n.uses == NULL ? ERR_NOMEM : ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < plugin_count; i++) {
        char origin[INSTANCE_PREFIX_SIZE + 16];
        snprintf(origin, sizeof origin, "plugin %.64s", plugins[i]);
        code = add_name(&n, plugins[i], plugins[i], origin);
    }
    if (code == ERR_OK)
        code = apply_uses(&n, c);
    if (code == ERR_OK)
        code = say_ignored(&n, c);
    if (code != ERR_OK) {
        conf_names_free(n.names, n.count);
        conf_names_free(n.uses, n.count);
        return code;
    }
    *names = n.names;
    *uses = n.uses;
    *count = n.count;
    return n.faults.count > 0 ? ERR_CONFIG : ERR_OK;
}

void conf_names_free(char **names, size_t count)
{
    for (size_t i = 0; names != NULL && i < count; i++)
        free(names[i]);
    free(names);
}
