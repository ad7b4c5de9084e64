/* Numbers are never read into a variable: their text is looked at and copied, so that what fits no double stays what it
 * was. What is no value of the type is refused, not guessed. */
#include "fields/cast.h"

#include "common/jsontext.h"

#include <string.h>
#include <strings.h>

static size_t digits(const char *p, size_t len)
{
    size_t n = 0;
    while (n < len && p[n] >= '0' && p[n] <= '9')
        n++;
    return n;
}

/* RFC 8259 section 6. `*whole`: bytes of its integer part when nothing but zeros follows it, else 0. */
static int is_number(struct hg_text t, size_t *whole)
{
    size_t at = t.len > 0 && t.ptr[0] == '-', n = digits(t.ptr + at, t.len - at);
    if (n == 0 || (n > 1 && t.ptr[at] == '0'))
        return 0;
    at += n;
    *whole = at;
    if (at < t.len && t.ptr[at] == '.') {
        n = digits(t.ptr + at + 1, t.len - at - 1);
        if (n == 0)
            return 0;
        for (size_t i = 1; i <= n; i++)
            if (t.ptr[at + i] != '0')
                *whole = 0;
        at += n + 1;
    }
    if (at < t.len && (t.ptr[at] == 'e' || t.ptr[at] == 'E')) {
        *whole = 0;
        at++;
        at += at < t.len && (t.ptr[at] == '+' || t.ptr[at] == '-');
        n = digits(t.ptr + at, t.len - at);
        if (n == 0)
            return 0;
        at += n;
    }
    return at == t.len;
}

/* Within 64 bits signed, as posted integers have to be. */
static int fits(const char *p, size_t len)
{
    int negative = p[0] == '-';
    const char *most = negative ? "9223372036854775808" : "9223372036854775807";
    size_t n = len - (size_t)negative;
    return n < 19 || (n == 19 && memcmp(p + negative, most, 19) <= 0);
}

static const char *add_integer(struct strbuf *out, struct hg_text text)
{
    size_t whole = 0;
    if (!is_number(text, &whole) || whole == 0)
        return "is no integer";
    if (!fits(text.ptr, whole))
        return "is an integer beyond 64 bits";
    strbuf_add(out, text.ptr, whole);
    return NULL;
}

static const char *add_number(struct strbuf *out, struct hg_text text)
{
    size_t whole = 0;
    if (!is_number(text, &whole))
        return "is no number";
    if (whole == text.len && !fits(text.ptr, whole))
        return "is an integer beyond 64 bits";
    strbuf_add(out, text.ptr, text.len);
    return NULL;
}

static int text_is(struct hg_text text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

static const char *add_boolean(struct strbuf *out, struct hg_text text)
{
    static const char *const yes[] = {"true", "yes", "1"}, *const no[] = {"false", "no", "0"};
    for (size_t i = 0; i < 3; i++)
        if (text_is(text, yes[i]) || text_is(text, no[i])) {
            strbuf_adds(out, text_is(text, yes[i]) ? "true" : "false");
            return NULL;
        }
    return "is neither true nor false";
}

const char *cast_add(struct strbuf *out, enum rule_type type, const struct hg_value *value, struct hg_text plain)
{
    static const struct hg_text one = {"1", 1}, zero = {"0", 1};
    if (value->type == HG_ARRAY || value->type == HG_OBJECT)
        return "is an array or an object";
    if (value->type == HG_NULL) {
        strbuf_adds(out, "null");
        return NULL;
    }
    if (type != TYPE_STRING && type != TYPE_BOOLEAN && (value->type == HG_TRUE || value->type == HG_FALSE))
        plain = value->type == HG_TRUE ? one : zero;
    switch (type) {
    case TYPE_STRING:
        if (value->type == HG_STR)
            strbuf_add(out, value->json.ptr, value->json.len);
        else
            jsontext_add(out, plain);
        return NULL;
    case TYPE_INTEGER: return add_integer(out, plain);
    case TYPE_NUMBER: return add_number(out, plain);
    case TYPE_BOOLEAN: return add_boolean(out, plain);
    }
    return "has no such type";
}
