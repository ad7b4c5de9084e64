/* A third party's table is read with suspicion: one wrong size here would write outside the configuration later. The
 * versions and sizes stand first and are checked first, because they say how the rest is to be read. A structure larger
 * than this host's is fine (a newer SDK that needs nothing new), a smaller one is not. */
#include "host/descriptor.h"

#include "conf/conf.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 256, NAME_MAX_BYTES = 63, CONFIG_MAX = 1 << 20, TEXT_MAX = 4096, DESCRIPTION_MAX = 4 << 20 };

/* TYPE(enum hg_type, what its member is) */
#define OPTION_TYPES(TYPE)                                                                                             \
    TYPE(HG_STRING, const char *)                                                                                      \
    TYPE(HG_INTEGER, int64_t)                                                                                          \
    TYPE(HG_NUMBER, double)                                                                                            \
    TYPE(HG_BOOLEAN, int32_t)                                                                                          \
    TYPE(HG_DURATION, int64_t)                                                                                         \
    TYPE(HG_SIZE, int64_t)                                                                                             \
    TYPE(HG_CHOICE, int32_t)                                                                                           \
    TYPE(HG_LIST, struct hg_list)                                                                                      \
    TYPE(HG_MAP, struct hg_map)                                                                                        \
    TYPE(HG_PATH, const char *)                                                                                        \
    TYPE(HG_URL, const char *)

struct member {
    size_t size, align;
};

static struct member member_of(uint32_t type)
{
    static const struct member members[] = {
#define TYPE(type_name, filled) [type_name] = {sizeof(filled), alignof(filled)},
        OPTION_TYPES(TYPE)
#undef TYPE
    };
    return type < COUNT_OF(members) ? members[type] : (struct member){0, 0};
}

size_t descriptor_member_size(uint32_t type)
{
    return member_of(type).size;
}

const struct hg_option *descriptor_option(const struct hg_plugin *p, size_t n)
{
    return (const struct hg_option *)(const void *)((const char *)p->options + n * p->option_size);
}

static int refuse_number(struct err *e, const char *field, unsigned long long expected, unsigned long long found)
{
    return err_set(e, ERR_DENIED, "%s: expected %llu, found %llu", field, expected, found);
}

static int refuse_small(struct err *e, const char *field, size_t least, size_t found)
{
    return err_set(e, ERR_DENIED, "%s: expected at least %zu, found %zu", field, least, found);
}

/* First a character of `first`, then of `rest`; 1 to NAME_MAX_BYTES of them. */
static bool name_fits(const char *name, const char *first, const char *rest)
{
    if (name == NULL)
        return false;
    size_t len = strnlen(name, NAME_MAX_BYTES + 1);
    return len > 0 && len <= NAME_MAX_BYTES && strchr(first, name[0]) != NULL && strspn(name, rest) == len;
}

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static const char *shown(const char *text)
{
    return text == NULL ? "(none)" : text;
}

static int text_check(const char *field, const char *text, struct err *e)
{
    if (text == NULL || text[0] == '\0')
        return err_set(e, ERR_DENIED, "%s: expected a text, found none", field);
    if (strnlen(text, TEXT_MAX + 1) > TEXT_MAX)
        return err_set(e, ERR_DENIED, "%s: expected at most %d bytes, found more", field, TEXT_MAX);
    return ERR_OK;
}

static const size_t plugin_1_0 = SIZE_1_0(struct hg_plugin, processor), option_1_0 = SIZE_1_0(struct hg_option, offset),
                    pusher_1_0 = SIZE_1_0(struct hg_pusher, probe), puller_1_0 = SIZE_1_0(struct hg_puller, probe),
                    processor_1_0 = SIZE_1_0(struct hg_processor, process);

static int versions_check(const struct hg_plugin *p, struct err *e)
{
    if (p->abi_major != HG_ABI_MAJOR)
        return refuse_number(e, "abi_major", HG_ABI_MAJOR, p->abi_major);
    if (p->abi_minor > HG_ABI_MINOR)
        return err_set(e, ERR_DENIED, "abi_minor: expected at most %d, found %u", HG_ABI_MINOR, p->abi_minor);
    if (p->size < plugin_1_0)
        return refuse_small(e, "size", plugin_1_0, p->size);
    if (p->kind < HG_PUSHER || p->kind > HG_PROCESSOR)
        return err_set(e, ERR_DENIED, "kind: expected %d (a pusher), %d (a puller) or %d (a processor), found %u",
                       HG_PUSHER, HG_PULLER, HG_PROCESSOR, p->kind);
    if (p->option_size < option_1_0)
        return refuse_small(e, "option_size", option_1_0, p->option_size);
    if (p->option_size % alignof(struct hg_option) != 0)
        return err_set(e, ERR_DENIED, "option_size: expected a multiple of %zu, found %zu", alignof(struct hg_option),
                       p->option_size);
    return ERR_OK;
}

static int names_check(const struct hg_plugin *p, struct err *e)
{
    if (!name_fits(p->name, LOWER, LOWER DIGITS "-"))
        return err_set(e, ERR_DENIED, "name: expected [a-z][a-z0-9-]* of at most %d bytes, found \"%.80s\"",
                       NAME_MAX_BYTES, shown(p->name));
    int code = text_check("version", p->version, e);
    return code != ERR_OK ? code : text_check("summary", p->summary, e);
}

static int pusher_check(const struct hg_pusher *p, struct err *e)
{
    const uint32_t known = HG_STABLE_BATCH | HG_WHOLE_SETS | HG_MANUAL_START | HG_PLAN_AHEAD;
    if (p == NULL)
        return err_set(e, ERR_DENIED, "pusher: expected a table, found none");
    if (p->size < pusher_1_0)
        return refuse_small(e, "pusher.size", pusher_1_0, p->size);
    if ((p->flags & ~known) != 0)
        return err_set(e, ERR_DENIED, "pusher.flags: expected only bits of %#x, found %#x", known, p->flags);
    if (p->reserved != 0)
        return err_set(e, ERR_DENIED, "pusher.reserved: expected 0, found %#x", p->reserved);
    const char *missing = p->open == NULL ? "open" : p->close == NULL ? "close" : p->push == NULL ? "push" : NULL;
    if (missing != NULL)
        return err_set(e, ERR_DENIED, "pusher.%s: expected a function, found none", missing);
    return ERR_OK;
}

static int puller_check(const struct hg_puller *p, struct err *e)
{
    const uint32_t known = HG_MANUAL_START;
    if (p == NULL)
        return err_set(e, ERR_DENIED, "puller: expected a table, found none");
    if (p->size < puller_1_0)
        return refuse_small(e, "puller.size", puller_1_0, p->size);
    if ((p->flags & ~known) != 0)
        return err_set(e, ERR_DENIED, "puller.flags: expected only bits of %#x, found %#x", known, p->flags);
    const char *missing = p->open == NULL ? "open" : p->close == NULL ? "close" : p->pull == NULL ? "pull" : NULL;
    if (missing != NULL)
        return err_set(e, ERR_DENIED, "puller.%s: expected a function, found none", missing);
    return ERR_OK;
}

static int processor_check(const struct hg_processor *p, struct err *e)
{
    if (p == NULL)
        return err_set(e, ERR_DENIED, "processor: expected a table, found none");
    if (p->size < processor_1_0)
        return refuse_small(e, "processor.size", processor_1_0, p->size);
    if (p->flags != 0)
        return err_set(e, ERR_DENIED, "processor.flags: expected 0, found %#x", p->flags);
    const char *missing = p->open == NULL ? "open" : p->close == NULL ? "close" : p->process == NULL ? "process" : NULL;
    if (missing != NULL)
        return err_set(e, ERR_DENIED, "processor.%s: expected a function, found none", missing);
    return ERR_OK;
}

/* --- options --- */

static int option_name_check(const struct hg_plugin *p, size_t n, const struct hg_option *o, struct err *e)
{
    if (!name_fits(o->name, UPPER, UPPER DIGITS "_"))
        return err_set(e, ERR_DENIED,
                       "options[%zu].name: expected [A-Z][A-Z0-9_]* of at most %d bytes, found \"%.80s\"", n,
                       NAME_MAX_BYTES, shown(o->name));
    if (conf_option_taken(o->name))
        return err_set(e, ERR_DENIED, "options[%zu].name: expected none that headgate gives every pusher, found \"%s\"",
                       n, o->name);
    for (size_t i = 0; i < n; i++)
        if (strcmp(descriptor_option(p, i)->name, o->name) == 0)
            return err_set(e, ERR_DENIED, "option %s: expected once, found twice", o->name);
    return ERR_OK;
}

static int option_place_check(const struct hg_plugin *p, size_t n, const struct hg_option *o, struct err *e)
{
    struct member m = member_of(o->type);
    if (m.size == 0)
        return err_set(e, ERR_DENIED, "option %s: type: expected %d to %d, found %u", o->name, HG_STRING, HG_URL,
                       o->type);
    if (o->offset > p->config_size || m.size > p->config_size - o->offset)
        return err_set(e, ERR_DENIED, "option %s: offset: expected %zu bytes inside config_size %zu, found %zu",
                       o->name, m.size, p->config_size, o->offset);
    if (o->offset % m.align != 0)
        return err_set(e, ERR_DENIED, "option %s: offset: expected a multiple of %zu, found %zu", o->name, m.align,
                       o->offset);
    for (size_t i = 0; i < n; i++) {
        const struct hg_option *other = descriptor_option(p, i);
        if (o->offset < other->offset + member_of(other->type).size && other->offset < o->offset + m.size)
            return err_set(e, ERR_DENIED, "option %s: offset: expected a member of its own, found that of %s", o->name,
                           other->name);
    }
    return ERR_OK;
}

static int option_flags_check(const struct hg_option *o, struct err *e)
{
    const uint32_t known = HG_REQUIRED | HG_SECRET | HG_READ | HG_WRITE | HG_FOLDER;
    if ((o->flags & ~known) != 0)
        return err_set(e, ERR_DENIED, "option %s: flags: expected only bits of %#x, found %#x", o->name, known,
                       o->flags);
    if ((o->flags & (HG_READ | HG_WRITE | HG_FOLDER)) != 0 && o->type != HG_PATH)
        return err_set(e, ERR_DENIED,
                       "option %s: flags: expected HG_READ, HG_WRITE and HG_FOLDER on a path only, found on type %u",
                       o->name, o->type);
    if (o->type == HG_CHOICE && (o->limits == NULL || o->limits[0] == '\0'))
        return err_set(e, ERR_DENIED, "option %s: limits: expected the choices (\"a|b|c\"), found none", o->name);
    char field[NAME_MAX_BYTES + 16];
    snprintf(field, sizeof field, "option %s: text", o->name);
    return text_check(field, o->text, e);
}

static int options_check(const struct hg_plugin *p, struct err *e)
{
    if (p->option_count > OPTIONS_MAX)
        return err_set(e, ERR_DENIED, "option_count: expected at most %d, found %zu", OPTIONS_MAX, p->option_count);
    if (p->option_count > 0 && p->options == NULL)
        return err_set(e, ERR_DENIED, "options: expected a table of %zu, found none", p->option_count);
    if (p->config_size > CONFIG_MAX)
        return err_set(e, ERR_DENIED, "config_size: expected at most %d, found %zu", CONFIG_MAX, p->config_size);
    int code = ERR_OK;
    for (size_t n = 0; code == ERR_OK && n < p->option_count; n++) {
        const struct hg_option *o = descriptor_option(p, n);
        code = option_name_check(p, n, o, e);
        if (code == ERR_OK)
            code = option_place_check(p, n, o, e);
        if (code == ERR_OK)
            code = option_flags_check(o, e);
    }
    return code;
}

/* Defaults, limits and whatever else the daemon will not take: it reads the same text in the same way. */
static int options_read_back(const struct hg_plugin *p, struct err *e)
{
    struct described d, read;
    struct buf text;
    buf_init(&text, DESCRIPTION_MAX);
    int code = descriptor_describe(p, &d);
    if (code == ERR_OK) {
        code = described_write(&d, &text);
        descriptor_undescribe(&d);
    }
    if (code != ERR_OK)
        err_set(e, code, "its description cannot be written: %s", err_text(code));
    else if ((code = described_read(buf_slice(&text), &read, e)) == ERR_OK)
        described_fini(&read);
    buf_free(&text);
    return code;
}

static int kind_check(const struct hg_plugin *p, struct err *e)
{
    switch ((enum hg_kind)p->kind) {
    case HG_PUSHER: return pusher_check(p->pusher, e);
    case HG_PULLER: return puller_check(p->puller, e);
    case HG_PROCESSOR: break;
    }
    return processor_check(p->processor, e);
}

int descriptor_check(const struct hg_plugin *p, struct err *e)
{
    if (p == NULL)
        return err_set(e, ERR_DENIED, "hg_plugin(): expected a description, found none");
    int code = versions_check(p, e);
    if (code == ERR_OK)
        code = names_check(p, e);
    if (code == ERR_OK)
        code = kind_check(p, e);
    if (code == ERR_OK)
        code = options_check(p, e);
    return code != ERR_OK ? code : options_read_back(p, e);
}

/* --- describing --- */

static char *borrowed(const char *text)
{
    return (char *)(uintptr_t)text;
}

int descriptor_describe(const struct hg_plugin *p, struct described *out)
{
    struct described_option *options = calloc(p->option_count + 1, sizeof *options);
    if (options == NULL)
        return ERR_NOMEM;
    for (size_t n = 0; n < p->option_count; n++) {
        const struct hg_option *o = descriptor_option(p, n);
        options[n] = (struct described_option){
            .name = borrowed(o->name),
            .fallback = borrowed(o->fallback),
            .limits = borrowed(o->limits),
            .text = borrowed(o->text),
            .group = borrowed(o->group),
            .type = o->type,
            .flags = o->flags,
        };
    }
    *out = (struct described){
        .name = borrowed(p->name),
        .version = borrowed(p->version),
        .summary = borrowed(p->summary),
        .kind = p->kind,
        .flags = p->kind == HG_PUSHER   ? p->pusher->flags
                 : p->kind == HG_PULLER ? p->puller->flags
                                        : 0,
        .max_parallel = p->kind == HG_PUSHER   ? p->pusher->max_parallel
                        : p->kind == HG_PULLER ? 1
                                               : 0,
        .abi_minor = p->abi_minor,
        .options = options,
        .count = p->option_count,
    };
    return ERR_OK;
}

void descriptor_undescribe(struct described *d)
{
    free(d->options);
    *d = (struct described){0};
}
