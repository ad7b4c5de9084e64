/* Options by table: text into a typed member at an offset, and back.
 *
 * The value is made whole first and put in place last, so a fault leaves the member as it was. Lists are one block of
 * memory (the pointers, then the texts), so that freeing one is one free(). */
#include "conf/opt.h"

#include "conf/address.h"
#include "conf/every.h"
#include "conf/settings.h"
#include "conf/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 256 };

static void *member(const struct opt *o, void *base)
{
    return (char *)base + o->offset;
}

static void *second(const struct opt *o, void *base)
{
    return (char *)base + o->also;
}

/* Members are reached by offset; memcpy keeps that free of aliasing and alignment trouble. */
#define PUT(to, type, value)                                                                                           \
    do {                                                                                                               \
        type put_ = (type)(value);                                                                                     \
        memcpy((to), &put_, sizeof put_);                                                                              \
    } while (0)
#define GET(from, type, name)                                                                                          \
    type name;                                                                                                         \
    memcpy(&(name), (from), sizeof(name))

/* --- texts and lists --- */

static bool is_text(enum opt_type type)
{
    return type == OPT_TEXT;
}

static bool is_list(enum opt_type type)
{
    return type == OPT_LIST || type == OPT_PATHS || type == OPT_ADDRESSES;
}

void opt_fini(const struct opt *o, void *base)
{
    if (!is_text(o->type) && !is_list(o->type))
        return;
    GET(member(o, base), void *, old);
    free(old);
    PUT(member(o, base), void *, NULL);
}

static int set_text(const struct opt *o, const char *text, void *base, struct err *e)
{
    char *copy = NULL;
    if (*text != '\0') {
        copy = strdup(text);
        if (copy == NULL)
            return err_set(e, ERR_NOMEM, "out of memory");
    }
    opt_fini(o, base);
    PUT(member(o, base), char *, copy);
    return ERR_OK;
}

/* Cut `chars` in place into items without the blanks around them; their number, 0 and an error when there are faults.
 */
static int split(char *chars, char separator, char **items, size_t *count, struct err *e)
{
    *count = 0;
    if (*chars == '\0')
        return ERR_OK;
    for (char *p = chars, *end; p != NULL; p = end) {
        end = strchr(p, separator);
        if (end != NULL)
            *end++ = '\0';
        p += strspn(p, " \t");
        size_t len = strlen(p);
        while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
            len--;
        p[len] = '\0';
        if (len == 0)
            return err_set(e, ERR_SYNTAX, "an item of the list is empty: remove the `%c` too many", separator);
        if (*count == LIST_MAX)
            return err_set(e, ERR_LIMIT, "the list has more than %d items", LIST_MAX);
        items[(*count)++] = p;
    }
    return ERR_OK;
}

static int set_list(const struct opt *o, const char *text, void *base, struct err *e)
{
    char separator = o->type == OPT_PATHS ? ':' : ',';
    size_t most = 1;
    for (const char *p = text; *p != '\0'; p++)
        most += *p == separator;
    if (most > LIST_MAX)
        return err_set(e, ERR_LIMIT, "the list has more than %d items", LIST_MAX);
    size_t pointers = (most + 1) * sizeof(char *), len = strlen(text) + 1, count;
    char **block = malloc(pointers + len);
    if (block == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    char *chars = (char *)block + pointers;
    memcpy(chars, text, len);
    int code = split(chars, separator, block, &count, e);
    for (size_t i = 0; code == ERR_OK && o->type == OPT_ADDRESSES && i < count; i++)
        code = address_check(block[i], e);
    if (code != ERR_OK) {
        free(block);
        return code;
    }
    block[count] = NULL;
    opt_fini(o, base);
    PUT(member(o, base), char **, block);
    return ERR_OK;
}

/* --- numbers --- */

/* "0" says off, but neither forever nor auto. */
static bool is_zero_word(const struct opt *o, const char *text)
{
    return o->zero != NULL && (strcmp(text, o->zero) == 0 || (strcmp(o->zero, "off") == 0 && strcmp(text, "0") == 0));
}

/* The fault that was found, with the word for 0 added, so that somebody who wrote 0 learns how to say it. */
static int add_zero_word(const struct opt *o, int code, struct err *e)
{
    if (e != NULL && o->zero != NULL) {
        size_t used = strlen(e->text);
        snprintf(e->text + used, sizeof e->text - used, "; or write `%s`", o->zero);
    }
    return code;
}

static int set_count(const struct opt *o, const char *text, void *base, struct err *e)
{
    int64_t n = 0;
    int code = ERR_OK;
    if (!is_zero_word(o, text)) {
        code = value_integer(text, &n, e);
        if (code == ERR_OK)
            code = value_within(VALUE_INTEGER, text, o->limits, e);
        if (code == ERR_OK && (n < 0 || n > UINT32_MAX))
            code = err_set(e, ERR_RANGE, "\"%.40s\" is out of range", text);
    }
    if (code != ERR_OK)
        return add_zero_word(o, code, e);
    PUT(member(o, base), uint32_t, n);
    return ERR_OK;
}

static int set_mode(const struct opt *o, const char *text, void *base, struct err *e)
{
    size_t len = strlen(text);
    if (len < 3 || len > 4 || strspn(text, "01234567") != len || (len == 4 && *text != '0'))
        return err_set(e, ERR_SYNTAX, "\"%.40s\" is not an access mode in octal, as in 0660", text);
    PUT(member(o, base), uint32_t, strtoul(text, NULL, 8));
    return ERR_OK;
}

static int set_size(const struct opt *o, const char *text, void *base, struct err *e)
{
    int64_t n = 0;
    int code = ERR_OK;
    if (!is_zero_word(o, text)) {
        code = value_size(text, &n, e);
        if (code == ERR_OK)
            code = value_within(VALUE_SIZE, text, o->limits, e);
    }
    if (code != ERR_OK)
        return add_zero_word(o, code, e);
    PUT(member(o, base), uint64_t, n);
    return ERR_OK;
}

static int set_duration(const struct opt *o, const char *text, void *base, struct err *e)
{
    int64_t n = 0;
    int code = ERR_OK;
    if (!is_zero_word(o, text)) {
        code = value_duration(text, &n, e);
        if (code == ERR_OK)
            code = value_within(VALUE_DURATION, text, o->limits, e);
    }
    if (code != ERR_OK)
        return add_zero_word(o, code, e);
    PUT(member(o, base), int64_t, n);
    return ERR_OK;
}

/* A size, or a share of the file system. */
static int set_share(const struct opt *o, const char *text, void *base, struct err *e)
{
    int percent = 0;
    if (strchr(text, '%') == NULL) {
        int code = set_size(o, text, base, e);
        if (code == ERR_OK)
            PUT(second(o, base), int, 0);
        return code;
    }
    int code = value_percent(text, &percent, e);
    if (code == ERR_OK && percent == 0)
        code = err_set(e, ERR_RANGE, "\"%s\" leaves no space at all", text);
    if (code != ERR_OK)
        return add_zero_word(o, code, e);
    PUT(member(o, base), uint64_t, 0);
    PUT(second(o, base), int, percent);
    return ERR_OK;
}

/* A size or a duration; which one, the unit tells. */
static int set_lag(const struct opt *o, const char *text, void *base, struct err *e)
{
    int64_t bytes = 0, ms = 0;
    if (!is_zero_word(o, text) && value_size(text, &bytes, NULL) != ERR_OK && value_duration(text, &ms, NULL) != ERR_OK)
        return err_set(e, ERR_SYNTAX,
                       "\"%.60s\" is neither a size as in 1GiB, nor a duration as in 24h; or write `off`", text);
    PUT(member(o, base), uint64_t, bytes);
    PUT(second(o, base), int64_t, ms);
    return ERR_OK;
}

/* --- words --- */

static int set_choice(const struct opt *o, const char *text, void *base, struct err *e)
{
    int n = 0;
    int code = value_choice(text, o->limits, &n, e);
    if (code == ERR_OK)
        PUT(member(o, base), int, n);
    return code;
}

static int set_switch(const struct opt *o, const char *text, void *base, struct err *e)
{
    bool yes = false;
    if (value_boolean(text, &yes, NULL) == ERR_OK)
        return set_choice(o, yes ? "yes" : "no", base, e);
    return set_choice(o, text, base, e);
}

static const char *const auth_words[AUTH_COUNT] = {
#define AUTH_WORD(id, word) word,
    AUTH_WORDS(AUTH_WORD)
#undef AUTH_WORD
};

#define AUTH_CHOICE(id, word) "|" word
static const char auth_choices[] = "" AUTH_WORDS(AUTH_CHOICE);

static int set_auth(const struct opt *o, const char *text, void *base, struct err *e)
{
    unsigned bits = 0;
    while (*text != '\0') {
        char word[16];
        int n = 0;
        text += strspn(text, " \t");
        size_t len = strcspn(text, ", \t");
        snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), text);
        int code = value_choice(word, auth_choices + 1, &n, e);
        if (code != ERR_OK)
            return code;
        bits |= 1u << n;
        text += len;
        text += strspn(text, " \t");
        if (*text == ',' && text[1 + strspn(text + 1, " \t")] == '\0')
            return err_set(e, ERR_SYNTAX, "an item of the list is empty: remove the `,` too many");
        text += *text == ',';
    }
    PUT(member(o, base), unsigned, bits);
    return ERR_OK;
}

static int set_durability(const struct opt *o, const char *text, void *base, struct err *e)
{
    static const char interval[] = "interval:";
    int64_t ms = 0;
    int kind = DURABLE_FSYNC;
    if (strncmp(text, interval, sizeof interval - 1) == 0) {
        const char *every = text + sizeof interval - 1;
        kind = DURABLE_INTERVAL;
        int code = value_duration(every, &ms, e);
        if (code == ERR_OK)
            code = value_within(VALUE_DURATION, every, o->limits, e);
        if (code != ERR_OK)
            return code;
    } else if (strcmp(text, "none") == 0) {
        kind = DURABLE_NONE;
    } else if (strcmp(text, "fsync") != 0) {
        return err_set(e, ERR_UNKNOWN, "\"%.60s\" is not one of fsync, interval:100ms, none", text);
    }
    PUT(member(o, base), int, kind);
    PUT(second(o, base), int64_t, ms);
    return ERR_OK;
}

static int set_flag(const struct opt *o, const char *text, void *base, struct err *e)
{
    bool yes = false;
    int code = value_boolean(text, &yes, e);
    if (code == ERR_OK)
        PUT(member(o, base), bool, yes);
    return code;
}

static int set_every(const struct opt *o, const char *text, void *base, struct err *e)
{
    struct every every;
    int code = every_parse(text, &every, e);
    if (code == ERR_OK)
        memcpy(member(o, base), &every, sizeof every);
    return code;
}

int opt_set(const struct opt *o, const char *text, void *base, struct err *e)
{
    switch (o->type) {
    case OPT_ADDRESSES:
    case OPT_LIST:
    case OPT_PATHS: return set_list(o, text, base, e);
    case OPT_TEXT: return set_text(o, text, base, e);
    case OPT_FLAG: return set_flag(o, text, base, e);
    case OPT_COUNT: return set_count(o, text, base, e);
    case OPT_MODE: return set_mode(o, text, base, e);
    case OPT_SIZE: return set_size(o, text, base, e);
    case OPT_DURATION: return set_duration(o, text, base, e);
    case OPT_SHARE: return set_share(o, text, base, e);
    case OPT_LAG: return set_lag(o, text, base, e);
    case OPT_CHOICE: return set_choice(o, text, base, e);
    case OPT_SWITCH: return set_switch(o, text, base, e);
    case OPT_AUTH: return set_auth(o, text, base, e);
    case OPT_DURABILITY: return set_durability(o, text, base, e);
    case OPT_EVERY: return set_every(o, text, base, e);
    }
    return err_set(e, ERR_INTERNAL, "unknown type of option");
}

/* --- and back --- */

static int show_list(const struct opt *o, const char *const *items, struct buf *out)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && items != NULL && items[i] != NULL; i++) {
        if (i > 0)
            code = buf_adds(out, o->type == OPT_PATHS ? ":" : ", ");
        if (code == ERR_OK)
            code = buf_adds(out, items[i]);
    }
    return code;
}

static int show_size(const struct opt *o, uint64_t bytes, struct buf *out)
{
    char text[32];
    value_size_text((int64_t)bytes, text);
    return buf_adds(out, bytes == 0 && o->zero != NULL ? o->zero : text);
}

static int show_duration(const struct opt *o, int64_t ms, struct buf *out)
{
    char text[32];
    value_duration_text(ms, text);
    return buf_adds(out, ms == 0 && o->zero != NULL ? o->zero : text);
}

static int show_choice(const struct opt *o, int n, struct buf *out)
{
    const char *p = o->limits;
    for (; n > 0; n--)
        p = strchr(p, '|') + 1;
    return buf_add(out, p, (size_t)(strchrnul(p, '|') - p));
}

static int show_auth(unsigned bits, struct buf *out)
{
    bool more = false;
    int code = ERR_OK;
    for (unsigned i = 0; code == ERR_OK && i < AUTH_COUNT; i++) {
        if ((bits & 1u << i) == 0)
            continue;
        code = buf_addf(out, "%s%s", more ? ", " : "", auth_words[i]);
        more = true;
    }
    return code;
}

static int show_durability(int kind, int64_t ms, struct buf *out)
{
    char text[32];
    if (kind != DURABLE_INTERVAL)
        return buf_adds(out, kind == DURABLE_NONE ? "none" : "fsync");
    value_duration_text(ms, text);
    return buf_addf(out, "interval:%s", text);
}

int opt_show(const struct opt *o, const void *base, struct buf *out)
{
    const char *at = (const char *)base + o->offset, *other = (const char *)base + o->also;
    switch (o->type) {
    case OPT_ADDRESSES:
    case OPT_LIST:
    case OPT_PATHS: {
        GET(at, const char *const *, items);
        return show_list(o, items, out);
    }
    case OPT_TEXT: {
        GET(at, const char *, text);
        return buf_adds(out, text == NULL ? "" : text);
    }
    case OPT_FLAG: {
        GET(at, bool, yes);
        return buf_adds(out, yes ? "yes" : "no");
    }
    case OPT_COUNT: {
        GET(at, uint32_t, n);
        return n == 0 && o->zero != NULL ? buf_adds(out, o->zero) : buf_addf(out, "%u", n);
    }
    case OPT_MODE: {
        GET(at, uint32_t, mode);
        return buf_addf(out, "%04o", mode);
    }
    case OPT_SIZE: {
        GET(at, uint64_t, bytes);
        return show_size(o, bytes, out);
    }
    case OPT_DURATION: {
        GET(at, int64_t, ms);
        return show_duration(o, ms, out);
    }
    case OPT_SHARE: {
        GET(at, uint64_t, bytes);
        GET(other, int, percent);
        return percent > 0 ? buf_addf(out, "%d%%", percent) : show_size(o, bytes, out);
    }
    case OPT_LAG: {
        GET(at, uint64_t, bytes);
        GET(other, int64_t, ms);
        return ms > 0 ? show_duration(o, ms, out) : show_size(o, bytes, out);
    }
    case OPT_CHOICE:
    case OPT_SWITCH: {
        GET(at, int, n);
        return show_choice(o, n, out);
    }
    case OPT_AUTH: {
        GET(at, unsigned, bits);
        return show_auth(bits, out);
    }
    case OPT_DURABILITY: {
        GET(at, int, kind);
        GET(other, int64_t, ms);
        return show_durability(kind, ms, out);
    }
    case OPT_EVERY: return buf_adds(out, ((const struct every *)(const void *)at)->text);
    }
    return ERR_INTERNAL;
}
