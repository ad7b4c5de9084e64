/* What a plugin says about itself: written by a host that has loaded it, read by the daemon, which never loads one.
 *
 * The text comes out of a process that runs somebody else's code, so reading it checks everything the rest of the
 * program relies on: names, types, limits and defaults. A description that passed here is consistent. described_check()
 * then holds settings against it. */
#include "conf/conf.h"
#include "conf/lines.h"
#include "conf/value.h"
#include "host/fields.h"
#include "host/setup.h"

#include <headgate.h>
#include <stdlib.h>

enum { OPTIONS_MAX = 256, NAME_LENGTH_MAX = 63, TEXT_MAX = 4096, ITEMS_MAX = 1024 };

/* --- one value against its option --- */

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = slice_make(s.ptr + 1, s.len - 1);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* The next item of a list with commas; false at the end. */
static bool next_item(const char **at, struct slice *item)
{
    if (*at == NULL)
        return false;
    const char *comma = strchrnul(*at, ',');
    *item = trim(slice_make(*at, (size_t)(comma - *at)));
    *at = *comma == '\0' ? NULL : comma + 1;
    return true;
}

/* The part before `=` of an item of a map; empty when there is none. */
static struct slice map_name(struct slice item)
{
    const char *equals = memchr(item.ptr, '=', item.len);
    return equals == NULL ? slice_make(item.ptr, 0) : trim(slice_make(item.ptr, (size_t)(equals - item.ptr)));
}

static int check_items(const char *text, bool map, struct err *e)
{
    struct slice item, earlier;
    size_t count = 0;
    for (const char *at = text; next_item(&at, &item); count++) {
        if (item.len == 0)
            return err_set(e, ERR_SYNTAX, "an item of the list is empty: remove the comma too many");
        if (count == ITEMS_MAX)
            return err_set(e, ERR_LIMIT, "there are more than %d items", ITEMS_MAX);
        struct slice name = map_name(item);
        if (map && name.len == 0)
            return err_set(e, ERR_SYNTAX, "an item is not name=value, with commas between");
        size_t before = 0;
        for (const char *other = text; map && before < count && next_item(&other, &earlier); before++)
            if (slice_eq(map_name(earlier), name))
                return err_set(e, ERR_EXISTS, "the name \"%.*s\" stands twice", name.len > 60 ? 60 : (int)name.len,
                               name.ptr);
    }
    return ERR_OK;
}

static int check_value(const struct described_option *o, const char *value, struct err *e)
{
    bool yes;
    int place;
    switch ((enum hg_type)o->type) {
    case HG_INTEGER: return value_within(VALUE_INTEGER, value, o->limits, e);
    case HG_NUMBER: return value_within(VALUE_NUMBER, value, o->limits, e);
    case HG_DURATION: return value_within(VALUE_DURATION, value, o->limits, e);
    case HG_SIZE: return value_within(VALUE_SIZE, value, o->limits, e);
    case HG_BOOLEAN: return value_boolean(value, &yes, e);
    case HG_CHOICE: return value_choice(value, o->limits, &place, e);
    case HG_LIST: return check_items(value, false, e);
    case HG_MAP: return check_items(value, true, e);
    case HG_URL: return value_url(value, e);
    case HG_STRING:
    case HG_PATH: return ERR_OK;
    }
    return err_set(e, ERR_INTERNAL, "an option of an unknown type");
}

/* --- settings against the description --- */

static const char *setting_of(const struct setting *settings, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(settings[i].name, name) == 0 && settings[i].value[0] != '\0')
            return settings[i].value;
    return NULL;
}

static void check_known(const struct described *d, const char *name, struct lines *faults)
{
    const char *names[OPTIONS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++) {
        if (strcmp(d->options[i].name, name) == 0)
            return;
        if (count < OPTIONS_MAX)
            names[count++] = d->options[i].name;
    }
    const char *near = value_nearest(name, names, count);
    lines_add(faults, "%s: the plugin %s has no such option%s%s%s", name, d->name,
              near == NULL ? "" : "; did you mean ", near == NULL ? "" : near, near == NULL ? "" : "?");
}

static void check_option(const struct described_option *o, const char *value, struct lines *faults, bool *missing)
{
    struct err e;
    if (value == NULL) {
        if ((o->flags & HG_REQUIRED) != 0 && o->fallback == NULL && o->group == NULL) {
            *missing = true;
            lines_add(faults, "%s: it is required", o->name);
        }
        return;
    }
    if (check_value(o, value, &e) == ERR_OK)
        return;
    if ((o->flags & HG_SECRET) != 0) /* the sentence may quote the value */
        lines_add(faults, "%s: the secret value is not valid", o->name);
    else
        lines_add(faults, "%s: %s", o->name, e.text);
}

/* Exactly one option of a group is set; told once, by the group's first option. */
static void check_group(const struct described *d, size_t first, const struct setting *settings, size_t count,
                        struct lines *faults, bool *missing)
{
    const char *group = d->options[first].group;
    char names[256] = "";
    size_t set = 0, used = 0;
    bool fallback = false;
    for (size_t i = 0; i < d->count; i++) {
        const struct described_option *o = &d->options[i];
        if (o->group == NULL || strcmp(o->group, group) != 0)
            continue;
        if (i < first)
            return;
        set += setting_of(settings, count, o->name) != NULL;
        fallback = fallback || o->fallback != NULL;
        size_t len = strlen(o->name);
        if (used + len + 3 < sizeof names) {
            memcpy(names + used, used > 0 ? ", " : "", used > 0 ? 2 : 0);
            used += used > 0 ? 2 : 0;
            memcpy(names + used, o->name, len + 1);
            used += len;
        }
    }
    if (set > 1)
        lines_add(faults, "%s: only one of these may be set", names);
    if (set == 0 && !fallback) {
        *missing = true;
        lines_add(faults, "%s: one of these must be set", names);
    }
}

size_t described_check(const struct described *d, const struct setting *settings, size_t count, struct buf *faults,
                       bool *missing)
{
    struct lines lines = {faults, 0};
    *missing = false;
    for (size_t i = 0; i < count; i++)
        check_known(d, settings[i].name, &lines);
    for (size_t i = 0; i < d->count; i++)
        check_option(&d->options[i], setting_of(settings, count, d->options[i].name), &lines, missing);
    for (size_t i = 0; i < d->count; i++)
        if (d->options[i].group != NULL)
            check_group(d, i, settings, count, &lines, missing);
    return lines.count;
}

/* --- writing --- */

static int put_text(struct buf *out, const char *name, const char *text)
{
    return fields_put_bytes(out, name, NULL, slice_of(text));
}

static int put_option(const struct described_option *o, struct buf *out)
{
    int code = put_text(out, "option", o->name);
    if (code == ERR_OK)
        code = fields_put_number(out, "type", o->type);
    if (code == ERR_OK)
        code = fields_put_number(out, "option_flags", o->flags);
    if (code == ERR_OK)
        code = put_text(out, "text", o->text);
    if (code == ERR_OK)
        code = put_text(out, "fallback", o->fallback);
    if (code == ERR_OK)
        code = put_text(out, "limits", o->limits);
    return code != ERR_OK ? code : put_text(out, "group", o->group);
}

int described_write(const struct described *d, struct buf *out)
{
    size_t before = out->len;
    int code = put_text(out, "name", d->name);
    if (code == ERR_OK)
        code = put_text(out, "version", d->version);
    if (code == ERR_OK)
        code = put_text(out, "summary", d->summary);
    if (code == ERR_OK)
        code = fields_put_number(out, "kind", d->kind);
    if (code == ERR_OK)
        code = fields_put_number(out, "flags", d->flags);
    if (code == ERR_OK)
        code = fields_put_number(out, "max_parallel", d->max_parallel);
    if (code == ERR_OK)
        code = fields_put_number(out, "abi_minor", d->abi_minor);
    for (size_t i = 0; code == ERR_OK && i < d->count; i++)
        code = put_option(&d->options[i], out);
    if (code != ERR_OK)
        out->len = before;
    return code;
}

/* --- reading --- */

void described_fini(struct described *d)
{
    for (size_t i = 0; i < d->count; i++) {
        struct described_option *o = &d->options[i];
        free(o->name);
        free(o->fallback);
        free(o->limits);
        free(o->text);
        free(o->group);
    }
    free(d->options);
    free(d->name);
    free(d->version);
    free(d->summary);
    *d = (struct described){0};
}

static int begin_option(struct fields *f, struct slice value, struct described *d, struct err *e)
{
    if (d->count == OPTIONS_MAX)
        return err_set(e, ERR_LIMIT, "the plugin has more than %d options", OPTIONS_MAX);
    if (d->options == NULL && (d->options = calloc(OPTIONS_MAX, sizeof *d->options)) == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    return fields_text(f, value, NAME_LENGTH_MAX, &d->options[d->count++].name, e);
}

/* Where a field's value goes; one of the two is set, none for a name that there isn't. `o` NULL: no option began yet.
 */
struct place {
    char **text;
    uint32_t *number;
};

static struct place place_of(struct described *d, struct described_option *o, struct slice name)
{
    const struct {
        const char *name;
        struct place place;
    } own[] = {{"name", {.text = &d->name}},
               {"version", {.text = &d->version}},
               {"summary", {.text = &d->summary}},
               {"kind", {.number = &d->kind}},
               {"flags", {.number = &d->flags}},
               {"max_parallel", {.number = &d->max_parallel}},
               {"abi_minor", {.number = &d->abi_minor}}};
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (slice_is(name, own[i].name))
            return own[i].place;
    if (o == NULL)
        return (struct place){0};
    if (slice_is(name, "type"))
        return (struct place){.number = &o->type};
    if (slice_is(name, "option_flags"))
        return (struct place){.number = &o->flags};
    if (slice_is(name, "text"))
        return (struct place){.text = &o->text};
    if (slice_is(name, "fallback"))
        return (struct place){.text = &o->fallback};
    if (slice_is(name, "limits"))
        return (struct place){.text = &o->limits};
    return (struct place){.text = slice_is(name, "group") ? &o->group : NULL};
}

static int read_field(struct fields *f, struct slice name, struct slice value, struct described *d, struct err *e)
{
    if (slice_is(name, "option"))
        return begin_option(f, value, d, e);
    struct place place = place_of(d, d->count == 0 ? NULL : &d->options[d->count - 1], name);
    if (place.number != NULL) {
        uint64_t n = 0;
        int code = fields_number(value, UINT32_MAX, NULL, &n, e);
        *place.number = (uint32_t)n;
        return code;
    }
    if (place.text == NULL)
        return err_set(e, ERR_SYNTAX, "the description has a line of an unknown kind");
    if (*place.text != NULL)
        return err_set(e, ERR_SYNTAX, "the description says something twice");
    return fields_text(f, value, TEXT_MAX, place.text, e);
}

/* --- is it consistent? --- */

static bool is_word(const char *name, const char *first, const char *rest)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_LENGTH_MAX && strchr(first, name[0]) != NULL && strspn(name, rest) == len;
}

#define SMALL   "abcdefghijklmnopqrstuvwxyz"
#define CAPITAL "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT   "0123456789"

static bool has_measure(uint32_t type)
{
    return type == HG_INTEGER || type == HG_NUMBER || type == HG_DURATION || type == HG_SIZE;
}

static int verify_option(const struct described *d, size_t at, struct err *e)
{
    const struct described_option *o = &d->options[at];
    struct err why;
    if (!is_word(o->name, CAPITAL, CAPITAL DIGIT "_"))
        return err_set(e, ERR_SYNTAX, "the plugin's option \"%.63s\" is not named in capitals, digits and `_`",
                       o->name);
    if (conf_option_taken(o->name))
        return err_set(e, ERR_EXISTS, "the plugin's option %s has the name of one that every pusher has", o->name);
    for (size_t i = 0; i < at; i++)
        if (strcmp(d->options[i].name, o->name) == 0)
            return err_set(e, ERR_EXISTS, "the plugin has two options %s", o->name);
    if (o->type < HG_STRING || o->type > HG_URL)
        return err_set(e, ERR_UNKNOWN, "the plugin's option %s has the unknown type %u", o->name, o->type);
    if (o->text == NULL)
        return err_set(e, ERR_MISSING, "the plugin's option %s has no text", o->name);
    if (o->type == HG_CHOICE && (o->limits == NULL || o->limits[0] == '\0'))
        return err_set(e, ERR_MISSING, "the plugin's option %s has nothing to choose from", o->name);
    if (has_measure(o->type) && check_value(o, "0", &why) == ERR_INTERNAL)
        return err_set(e, ERR_SYNTAX,
                       "option %s: limits: expected min..max in the writing of its type, found \"%.200s\"", o->name,
                       o->limits == NULL ? "" : o->limits);
    if (o->fallback != NULL && o->fallback[0] != '\0' && check_value(o, o->fallback, &why) != ERR_OK)
        return err_set(e, ERR_SYNTAX,
                       "option %s: fallback: expected a value that its type and limits allow, found %.300s", o->name,
                       why.text);
    return ERR_OK;
}

static int verify(const struct described *d, struct err *e)
{
    if (d->name == NULL || d->version == NULL || d->summary == NULL)
        return err_set(e, ERR_MISSING, "the description of the plugin is not complete");
    if (!is_word(d->name, SMALL, SMALL DIGIT "-"))
        return err_set(e, ERR_SYNTAX,
                       "\"%.63s\" is no name for a plugin: small letters, digits and dashes, a letter first", d->name);
    if (d->kind < HG_PUSHER || d->kind > HG_PROCESSOR)
        return err_set(e, ERR_UNKNOWN, "the plugin is of the unknown kind %u", d->kind);
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < d->count; i++)
        code = verify_option(d, i, e);
    return code;
}

int described_read(struct slice text, struct described *out, struct err *e)
{
    struct fields f = {text};
    struct described d = {0};
    struct slice name, value;
    int code;
    while ((code = fields_next(&f, &name, &value, e)) == ERR_OK)
        if ((code = read_field(&f, name, value, &d, e)) != ERR_OK)
            break;
    if (code == ERR_NOTFOUND)
        code = verify(&d, e);
    if (code == ERR_OK)
        *out = d;
    else
        described_fini(&d);
    return code;
}
