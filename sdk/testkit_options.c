/* Settings as text, checked against a plugin's option table and put into its configuration struct, by the rules that
 * the host has: defaults, limits, units, required ones, groups of which exactly one is set. */
#include "testkit_inner.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWNED_MAX = 4096 };

struct fill { /* one option being filled */
    struct kit_config *config;
    const struct hg_option *option;
    char *why;
    size_t why_size;
};

static int refuse(struct fill *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(struct fill *f, const char *format, ...)
{
    int used = snprintf(f->why, f->why_size, "%s: ", f->option->name);
    va_list args;
    va_start(args, format);
    if (used >= 0 && (size_t)used < f->why_size)
        vsnprintf(f->why + used, f->why_size - (size_t)used, format, args);
    va_end(args);
    return 0;
}

/* Keeps what the configuration points to. */
static void *own(struct kit_config *c, void *memory)
{
    if (!memory || c->owned_count == OWNED_MAX) {
        free(memory);
        return NULL;
    }
    c->owned[c->owned_count++] = memory;
    return memory;
}

static void put(struct fill *f, const void *value, size_t size)
{
    memcpy((char *)f->config->bytes + f->option->offset, value, size);
}

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit no_unit[] = {{"", 1}, {NULL, 0}};
static const struct unit times[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const struct unit sizes[] = {{"B", 1}, {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {NULL, 0}};

static int integer_read(const char *text, const struct unit *units, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno != 0)
        return 0;
    if (value == 0 && *end == '\0') {
        *out = 0;
        return 1;
    }
    for (; units->name; units++)
        if (strcmp(end, units->name) == 0)
            return !__builtin_mul_overflow((int64_t)value, units->factor, out);
    return 0;
}

/* "min..max", either of them may be left out, in the same units. */
static int integer_limits(struct fill *f, const struct unit *units, int64_t value)
{
    char low[64];
    const char *dots = f->option->limits ? strstr(f->option->limits, "..") : NULL;
    int64_t bound;
    if (!dots)
        return 1;
    snprintf(low, sizeof(low), "%.*s", (int)(dots - f->option->limits), f->option->limits);
    if (low[0] && integer_read(low, units, &bound) && value < bound)
        return refuse(f, "must be at least %s", low);
    if (dots[2] && integer_read(dots + 2, units, &bound) && value > bound)
        return refuse(f, "must be at most %s", dots + 2);
    return 1;
}

static int integer_fill(struct fill *f, const char *text, const struct unit *units)
{
    int64_t value;
    if (!integer_read(text, units, &value))
        return refuse(f, "'%s' is not such a number%s", text, units == no_unit ? "" : " with a unit");
    if (!integer_limits(f, units, value))
        return 0;
    put(f, &value, sizeof(value));
    return 1;
}

static int number_fill(struct fill *f, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    const char *dots = f->option->limits ? strstr(f->option->limits, "..") : NULL;
    if (end == text || *end != '\0')
        return refuse(f, "'%s' is not a number", text);
    if (dots && dots != f->option->limits && value < strtod(f->option->limits, NULL))
        return refuse(f, "must be within %s", f->option->limits);
    if (dots && dots[2] && value > strtod(dots + 2, NULL))
        return refuse(f, "must be within %s", f->option->limits);
    put(f, &value, sizeof(value));
    return 1;
}

/* Place of `text` in "a|b|c", or -1. */
static int32_t choice_place(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (int32_t place = 0; choices; place++) {
        size_t part = strcspn(choices, "|");
        if (part == len && memcmp(choices, text, len) == 0)
            return place;
        choices = choices[part] ? choices + part + 1 : NULL;
    }
    return -1;
}

static int choice_fill(struct fill *f, const char *text)
{
    int32_t place = choice_place(f->option->limits, text);
    if (place < 0)
        return refuse(f, "'%s' is not one of %s", text, f->option->limits);
    put(f, &place, sizeof(place));
    return 1;
}

static int boolean_fill(struct fill *f, const char *text)
{
    int32_t place = choice_place("no|yes|false|true|0|1", text);
    int32_t value = place & 1;
    if (place < 0)
        return refuse(f, "'%s' is neither yes nor no", text);
    put(f, &value, sizeof(value));
    return 1;
}

static int text_fill(struct fill *f, const char *text)
{
    int is_url = f->option->type == HG_URL;
    size_t scheme = strncmp(text, "http://", 7) == 0 ? 7 : strncmp(text, "https://", 8) == 0 ? 8 : 0;
    if (is_url && (scheme == 0 || text[scheme] == '\0' || text[scheme] == '/'))
        return refuse(f, "'%s' is not http:// or https:// with a host", text);
    char *copy = own(f->config, strdup(text));
    if (!copy)
        return refuse(f, "no memory");
    put(f, &copy, sizeof(copy));
    return 1;
}

static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        text[--len] = '\0';
    return text;
}

/* Cuts `text` at commas into `items`, which has room for all of them. */
static size_t list_cut(char *text, char **items)
{
    size_t count = 0;
    char *rest = text;
    while (rest) {
        char *comma = strchr(rest, ',');
        if (comma)
            *comma = '\0';
        items[count] = trim(rest);
        count += items[count][0] != '\0';
        rest = comma ? comma + 1 : NULL;
    }
    return count;
}

static int list_fill(struct fill *f, const char *text)
{
    size_t room = strlen(text) + 1;
    char *copy = own(f->config, strdup(text));
    char **names = own(f->config, calloc(room, sizeof(*names))),
         **values = own(f->config, calloc(room, sizeof(*values)));
    if (!copy || !names || !values)
        return refuse(f, "no memory");
    size_t count = list_cut(copy, names);
    if (f->option->type == HG_LIST) {
        struct hg_list list = {(const char *const *)names, count};
        put(f, &list, sizeof(list));
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): list_cut set the first `count` */
        values[i] = strchr(names[i], '=');
        if (!values[i] || values[i] == names[i])
            return refuse(f, "'%s' is not name=value", names[i]);
        *values[i]++ = '\0';
        names[i] = trim(names[i]);
        values[i] = trim(values[i]);
    }
    struct hg_map map = {(const char *const *)names, (const char *const *)values, count};
    put(f, &map, sizeof(map));
    return 1;
}

static int option_fill(struct fill *f, const char *text)
{
    switch ((enum hg_type)f->option->type) {
    case HG_STRING:
    case HG_PATH:
    case HG_URL: return text_fill(f, text);
    case HG_INTEGER: return integer_fill(f, text, no_unit);
    case HG_NUMBER: return number_fill(f, text);
    case HG_BOOLEAN: return boolean_fill(f, text);
    case HG_DURATION: return integer_fill(f, text, times);
    case HG_SIZE: return integer_fill(f, text, sizes);
    case HG_CHOICE: return choice_fill(f, text);
    case HG_LIST:
    case HG_MAP: return list_fill(f, text);
    }
    return refuse(f, "type %u is unknown", f->option->type);
}

static const char *setting_of(const struct kit_setting *settings, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(settings[i].name, name) == 0 && settings[i].value[0] != '\0')
            return settings[i].value;
    return NULL;
}

/* How many options of a group are set. */
static size_t group_set(const struct hg_plugin *p, const struct kit_setting *settings, size_t count, const char *group)
{
    size_t set = 0;
    for (size_t i = 0; i < p->option_count; i++)
        if (p->options[i].group && strcmp(p->options[i].group, group) == 0)
            set += setting_of(settings, count, p->options[i].name) != NULL;
    return set;
}

static int names_check(const struct hg_plugin *p, const struct kit_setting *settings, size_t count, char *why,
                       size_t size)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < p->option_count && strcmp(p->options[at].name, settings[i].name) != 0)
            at++;
        if (at == p->option_count) {
            snprintf(why, size, "%s: no such option", settings[i].name);
            return 0;
        }
    }
    return 1;
}

int kit_config_fill(struct kit_config *c, const struct hg_plugin *plugin, const struct kit_setting *settings,
                    size_t count, char *why, size_t why_size)
{
    *c = (struct kit_config){.bytes = calloc(1, plugin->config_size + 1), .owned = calloc(OWNED_MAX, sizeof(void *))};
    if (!c->bytes || !c->owned) {
        snprintf(why, why_size, "no memory");
        return 0;
    }
    if (!names_check(plugin, settings, count, why, why_size))
        return 0;
    for (size_t i = 0; i < plugin->option_count; i++) {
        const struct hg_option *o = &plugin->options[i];
        struct fill f = {c, o, why, why_size};
        const char *text = setting_of(settings, count, o->name);
        if (!text && o->flags & HG_REQUIRED)
            return refuse(&f, "is required");
        if (o->group && group_set(plugin, settings, count, o->group) != 1)
            return refuse(&f, "exactly one option of the group %s must be set", o->group);
        text = text ? text : o->fallback;
        if (text && !option_fill(&f, text))
            return 0;
    }
    return 1;
}

void kit_config_fini(struct kit_config *c)
{
    for (size_t i = 0; i < c->owned_count; i++)
        free(c->owned[i]);
    free(c->owned);
    free(c->bytes);
    *c = (struct kit_config){NULL, NULL, 0};
}
