/* The daemon has checked the settings before it started this process; they are checked again here, by the same code and
 * against the table of the file that was really loaded. What is filled is never freed: plugins keep pointers to it. */
#include "host/fill.h"

#include "conf/value.h"
#include "host/descriptor.h"

#include <stdlib.h>
#include <string.h>

enum { ITEMS_MAX = 4096 };

const char *fill_value(const struct hg_option *o, const struct setup *setup)
{
    for (size_t i = 0; i < setup->count; i++)
        if (strcmp(setup->settings[i].name, o->name) == 0 && setup->settings[i].value[0] != '\0')
            return setup->settings[i].value;
    return o->fallback;
}

/* --- lists --- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static char *trimmed(char *from, char *end)
{
    while (from < end && is_space(*from))
        from++;
    while (end > from && is_space(end[-1]))
        end--;
    *end = '\0';
    return from;
}

/* Cuts `text` up in place. */
static int split(char *text, const char ***out, size_t *count)
{
    size_t most = 1;
    for (const char *c = text; *c != '\0'; c++)
        most += *c == ',';
    if (most > ITEMS_MAX)
        return ERR_LIMIT;
    const char **items = calloc(most, sizeof *items);
    if (items == NULL)
        return ERR_NOMEM;
    size_t n = 0;
    for (char *at = text, *next; at != NULL; at = next) {
        char *comma = strchr(at, ',');
        next = comma == NULL ? NULL : comma + 1;
        char *item = trimmed(at, comma == NULL ? at + strlen(at) : comma);
        if (item[0] != '\0')
            items[n++] = item;
    }
    *out = items;
    *count = n;
    return ERR_OK;
}

static int split_copy(const char *text, char **copy, const char ***items, size_t *count)
{
    *copy = strdup(text);
    if (*copy == NULL)
        return ERR_NOMEM;
    int code = split(*copy, items, count);
    if (code != ERR_OK)
        free(*copy);
    return code;
}

int fill_list(const char *text, struct hg_list *out)
{
    char *copy;
    const char **items;
    size_t count;
    int code = split_copy(text, &copy, &items, &count);
    if (code == ERR_OK)
        *out = (struct hg_list){.items = items, .count = count};
    return code;
}

/* Cuts each item at its first `=`. The items lie in memory of our own. */
static int split_pairs(const char **items, const char **values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *item = (char *)(uintptr_t)items[i];
        char *equals = strchr(item, '=');
        if (equals == NULL || equals == item)
            return ERR_SYNTAX;
        values[i] = trimmed(equals + 1, equals + 1 + strlen(equals + 1));
        items[i] = trimmed(item, equals);
        if (items[i][0] == '\0')
            return ERR_SYNTAX;
    }
    return ERR_OK;
}

int fill_map(const char *text, struct hg_map *out)
{
    char *copy;
    const char **names;
    size_t count;
    int code = split_copy(text, &copy, &names, &count);
    if (code != ERR_OK)
        return code;
    const char **values = calloc(count + 1, sizeof *values);
    code = values == NULL ? ERR_NOMEM : split_pairs(names, values, count);
    if (code == ERR_OK) {
        *out = (struct hg_map){.names = names, .values = values, .count = count};
    } else {
        free(values);
        free(names);
        free(copy);
    }
    return code;
}

/* --- one option --- */

static int fill_text(void *to, const char *text)
{
    const char **member = to;
    *member = strdup(text);
    return *member == NULL ? ERR_NOMEM : ERR_OK;
}

static int fill_boolean(int32_t *to, const char *text, struct err *e)
{
    bool value;
    int code = value_boolean(text, &value, e);
    if (code == ERR_OK)
        *to = value;
    return code;
}

static int fill_choice(int32_t *to, const char *text, const char *choices, struct err *e)
{
    int value;
    int code = value_choice(text, choices, &value, e);
    if (code == ERR_OK)
        *to = value;
    return code;
}

static int fill_option(const struct hg_option *o, void *to, const char *text, struct err *e)
{
    switch ((enum hg_type)o->type) {
    case HG_STRING:
    case HG_PATH:
    case HG_URL: return fill_text(to, text);
    case HG_INTEGER: return value_integer(text, to, e);
    case HG_NUMBER: return value_number(text, to, e);
    case HG_BOOLEAN: return fill_boolean(to, text, e);
    case HG_DURATION: return value_duration(text, to, e);
    case HG_SIZE: return value_size(text, to, e);
    case HG_CHOICE: return fill_choice(to, text, o->limits, e);
    case HG_LIST: return fill_list(text, to);
    case HG_MAP: return fill_map(text, to);
    }
    return err_set(e, ERR_INTERNAL, "unknown type %u", o->type);
}

static int fill_all(const struct hg_plugin *p, const struct setup *setup, char *config, struct buf *faults)
{
    for (size_t n = 0; n < p->option_count; n++) {
        const struct hg_option *o = descriptor_option(p, n);
        const char *text = fill_value(o, setup);
        if (text == NULL || (text[0] == '\0' && o->type != HG_STRING))
            continue;
        struct err e = {.text = ""};
        int code = fill_option(o, config + o->offset, text, &e);
        if (code == ERR_OK)
            continue;
        int told = buf_addf(faults, "%s: %s\n", o->name, e.text[0] != '\0' ? e.text : err_text(code));
        return told == ERR_OK && code != ERR_NOMEM ? ERR_CONFIG : ERR_NOMEM;
    }
    return ERR_OK;
}

static int settings_check(const struct hg_plugin *p, const struct setup *setup, struct buf *faults)
{
    struct described d;
    int code = descriptor_describe(p, &d);
    if (code != ERR_OK)
        return code;
    bool missing = false;
    size_t count = described_check(&d, setup->settings, setup->count, faults, &missing);
    descriptor_undescribe(&d);
    return count > 0 || missing ? ERR_CONFIG : ERR_OK;
}

int fill_config(const struct hg_plugin *p, const struct setup *setup, void **config, struct buf *faults)
{
    int code = settings_check(p, setup, faults);
    if (code != ERR_OK)
        return code;
    char *filled = calloc(1, p->config_size + 1);
    if (filled == NULL)
        return ERR_NOMEM;
    code = fill_all(p, setup, filled, faults);
    if (code == ERR_OK)
        *config = filled;
    else
        free(filled);
    return code;
}
