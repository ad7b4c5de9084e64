/* Request line and fields, byte by byte and strict: what could be read in two ways is refused, because the reader in
 * front of or behind this one may read it the other way (RFC 9112 sections 2.2, 5 and 11.2). Lines end with CRLF and
 * nothing else; no folding; no control bytes; one space between the parts of the request line. Each byte is looked at
 * once, however small the pieces in which it arrives. What the fields mean is judged in framing.c. */
#include "http/head.h"

#include "http/bytes.h"
#include "http/framing.h"

#define METHOD(text)                                                                                                   \
    {                                                                                                                  \
#text, sizeof #text - 1, HTTP_##text                                                                           \
    }

static const struct {
    const char *text;
    size_t len;
    enum http_method method;
} methods[] = {METHOD(GET), METHOD(HEAD), METHOD(POST), METHOD(PUT), METHOD(DELETE), METHOD(OPTIONS)};

void head_begin(struct head *h, size_t max)
{
    memset(h, 0, offsetof(struct head, fields)); /* fields beyond field_count are never read */
    h->max = max;
}

bool head_untouched(const struct head *h)
{
    return !h->has_line && h->at == h->line;
}

static enum head_state refuse(struct head *h, int status, const char *word, const char *detail)
{
    h->bad = (struct refusal){status, word, detail};
    return HEAD_BAD;
}

static enum head_state malformed(struct head *h, const char *detail)
{
    return refuse(h, 400, "syntax", detail);
}

static enum http_method method_of(struct slice text)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (text.len == methods[i].len && memcmp(text.ptr, methods[i].text, text.len) == 0)
            return methods[i].method;
    return HTTP_OTHER;
}

static enum head_state version_parse(struct head *h, struct slice v)
{
    if (v.len != 8 || memcmp(v.ptr, "HTTP/", 5) != 0 || v.ptr[5] < '0' || v.ptr[5] > '9' || v.ptr[6] != '.' ||
        v.ptr[7] < '0' || v.ptr[7] > '9')
        return malformed(h, "the request line does not end with an HTTP version");
    if (slice_is(h->method_text, "PRI"))
        return malformed(h, "HTTP/2 is not spoken here");
    if (v.ptr[5] != '1')
        return refuse(h, 505, "syntax", "only HTTP/1.0 and HTTP/1.1 are spoken here");
    h->http10 = v.ptr[7] == '0';
    return HEAD_MORE;
}

/* method SP target SP version; no other space anywhere. */
static enum head_state request_line(struct head *h, struct slice line)
{
    const char *first = memchr(line.ptr, ' ', line.len);
    const char *last = memrchr(line.ptr, ' ', line.len);
    if (first == NULL || first == last)
        return malformed(h, "the request line does not have three parts");
    h->method_text = slice_make(line.ptr, (size_t)(first - line.ptr));
    struct slice text = slice_make(first + 1, (size_t)(last - first - 1));
    if (h->method_text.len == 0 || !bytes_are(h->method_text, BYTE_TOKEN))
        return malformed(h, "the method is not a token");
    h->method = method_of(h->method_text);
    if (version_parse(h, slice_make(last + 1, line.len - (size_t)(last + 1 - line.ptr))) == HEAD_BAD)
        return HEAD_BAD;
    const char *why = target_parse(text, h->method, &h->target);
    if (why != NULL)
        return malformed(h, why);
    h->has_line = true;
    return HEAD_MORE;
}

static enum head_state field_line(struct head *h, struct slice line)
{
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return malformed(h, "a field line begins with white space (folding is not allowed)");
    const char *colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL)
        return malformed(h, "a field line has no colon");
    struct slice name = slice_make(line.ptr, (size_t)(colon - line.ptr));
    if (name.len == 0 || !bytes_are(name, BYTE_TOKEN))
        return malformed(h, "a field name is not a token (no space may stand before the colon)");
    if (h->field_count == HEAD_FIELDS_MAX)
        return refuse(h, 431, "too-large", "too many fields");
    h->fields[h->field_count++] =
        (struct http_field){.name = name, .value = slice_trim(slice_make(colon + 1, line.len - name.len - 1))};
    return HEAD_MORE;
}

static enum head_state line_done(struct head *h, struct slice line)
{
    if (!h->has_line) {
        if (line.len > 0)
            return request_line(h, line);
        if (h->skipped)
            return malformed(h, "more than one empty line before the request line");
        h->skipped = true;
        return HEAD_MORE;
    }
    if (line.len > 0)
        return field_line(h, line);
    h->length = h->at;
    return framing_judge(h) ? HEAD_DONE : HEAD_BAD;
}

static enum head_state too_long(struct head *h)
{
    return h->has_line ? refuse(h, 431, "too-large", "the request's fields are longer than http.max_header")
                       : refuse(h, 414, "too-large", "the request line is longer than http.max_header");
}

static enum head_state stray(struct head *h, char c)
{
    if (c == '\n')
        return malformed(h, "a line ends with LF alone");
    return malformed(h, c == '\r' ? "a CR without LF" : "a control byte in the request's head");
}

enum head_state head_parse(struct head *h, const char *bytes, size_t len)
{
    while (h->at < len) {
        if (h->at >= h->max)
            return too_long(h);
        char c = bytes[h->at];
        if (byte_is(c, BYTE_TEXT)) {
            if (h->at == h->line && !h->has_line && !byte_is(c, BYTE_TOKEN))
                return malformed(h, "this is not an HTTP request");
            h->at++;
            continue;
        }
        if (c != '\r')
            return stray(h, c);
        if (h->at + 1 == len)
            return HEAD_MORE;
        if (bytes[h->at + 1] != '\n')
            return stray(h, c);
        if (h->at + 2 > h->max)
            return too_long(h);
        struct slice line = slice_make(bytes + h->line, h->at - h->line);
        h->at += 2;
        h->line = h->at;
        enum head_state state = line_done(h, line);
        if (state != HEAD_MORE)
            return state;
    }
    return HEAD_MORE;
}

bool head_field(const struct http_field *fields, uint32_t count, const char *name, struct slice *value)
{
    struct slice wanted = slice_of(name);
    for (uint32_t i = 0; i < count; i++) {
        if (slice_same(fields[i].name, wanted)) {
            *value = fields[i].value;
            return true;
        }
    }
    return false;
}
