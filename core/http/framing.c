/* The fields that decide where a request ends and whom it is for: Host, Content-Length, Transfer-Encoding, Connection,
 * Expect, Content-Encoding. One table says which of them may stand only once and who reads them; anything that two
 * readers could take differently is refused (RFC 9112 sections 3.2, 6.1, 6.3; RFC 9110 sections 7.2, 8.6, 10.1.1).
 * Pure; one pass over the fields. */
#include "http/framing.h"

#include "http/bytes.h"

struct gathered {
    bool has_host, has_transfer, has_coding, close, keep_alive;
    struct slice host;
};

static bool refuse(struct head *h, int status, const char *word, const char *detail)
{
    h->bad = (struct refusal){status, word, detail};
    return false;
}

static bool read_host(struct head *h, struct gathered *g, struct slice value)
{
    if (!host_valid(value))
        return refuse(h, 400, "syntax", "the Host field is not a valid host");
    g->has_host = true;
    g->host = value;
    return true;
}

/* Digits only, no sign, no list, no leading zero: every reader agrees on these. */
static bool read_length(struct head *h, struct gathered *g, struct slice value)
{
    (void)g;
    uint64_t length = 0;
    if (value.len == 0 || (value.len > 1 && value.ptr[0] == '0'))
        return refuse(h, 400, "syntax", "Content-Length is not a plain number");
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return refuse(h, 400, "syntax", "Content-Length is not a plain number");
        unsigned digit = (unsigned)(value.ptr[i] - '0');
        length = length > (UINT64_MAX - digit) / 10 ? UINT64_MAX : length * 10 + digit;
    }
    h->has_length = true;
    h->body_length = length;
    return true;
}

static bool read_transfer(struct head *h, struct gathered *g, struct slice value)
{
    struct slice rest = value, coding;
    bool unknown = false;
    unsigned chunked = 0;
    while (list_next(&rest, &coding)) {
        if (coding.len == 0 || !bytes_are(coding, BYTE_TOKEN))
            return refuse(h, 400, "syntax", "Transfer-Encoding is not a list of plain codings");
        if (slice_same(coding, SLICE_LIT("chunked")))
            chunked++;
        else
            unknown = true;
    }
    if (unknown)
        return refuse(h, 501, "syntax", "the only transfer coding understood is chunked");
    if (chunked != 1)
        return refuse(h, 400, "syntax", "chunked stands more than once");
    g->has_transfer = true;
    h->chunked = true;
    return true;
}

static bool read_connection(struct head *h, struct gathered *g, struct slice value)
{
    (void)h;
    struct slice rest = value, option;
    while (list_next(&rest, &option)) {
        if (slice_same(option, SLICE_LIT("close")))
            g->close = true;
        else if (slice_same(option, SLICE_LIT("keep-alive")))
            g->keep_alive = true;
    }
    return true;
}

static bool read_expect(struct head *h, struct gathered *g, struct slice value)
{
    (void)g;
    if (slice_same(value, SLICE_LIT("100-continue")))
        h->expect_continue = true;
    else
        h->expect_unknown = true;
    return true;
}

static bool read_coding(struct head *h, struct gathered *g, struct slice value)
{
    h->coding = g->has_coding ? CODING_UNKNOWN : coding_kind_of(value);
    g->has_coding = true;
    return true;
}

#define NAME(text)                                                                                                     \
    {                                                                                                                  \
        (text), sizeof(text) - 1                                                                                       \
    }

static const struct {
    struct slice name;
    bool once;
    bool (*read)(struct head *h, struct gathered *g, struct slice value);
} known[] = {
    {NAME("host"), true, read_host},
    {NAME("content-length"), true, read_length},
    {NAME("transfer-encoding"), true, read_transfer},
    {NAME("connection"), false, read_connection},
    {NAME("expect"), false, read_expect},
    {NAME("content-encoding"), false, read_coding},
    {NAME("content-type"), true, NULL},
    {NAME("authorization"), true, NULL},
    {NAME("idempotency-key"), true, NULL},
    {NAME("origin"), true, NULL},
};

static bool read_field(struct head *h, struct gathered *g, const struct http_field *field, unsigned *seen)
{
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (!slice_same(field->name, known[i].name))
            continue;
        if (known[i].once && (*seen & 1u << i) != 0)
            return refuse(h, 400, "syntax", "a field that may stand only once is there twice");
        *seen |= 1u << i;
        return known[i].read == NULL || known[i].read(h, g, field->value);
    }
    return true;
}

bool framing_judge(struct head *h)
{
    struct gathered g = {0};
    unsigned seen = 0;
    for (uint32_t i = 0; i < h->field_count; i++)
        if (!read_field(h, &g, &h->fields[i], &seen))
            return false;
    if (g.has_transfer && h->has_length)
        return refuse(h, 400, "syntax", "both Content-Length and Transfer-Encoding");
    if (g.has_transfer && h->http10)
        return refuse(h, 400, "syntax", "Transfer-Encoding in an HTTP/1.0 request");
    if (!g.has_host && !h->http10)
        return refuse(h, 400, "syntax", "an HTTP/1.1 request needs a Host field");
    if (h->target.authority.ptr != NULL && (!g.has_host || !slice_same(h->target.authority, g.host)))
        return refuse(h, 400, "syntax", "the target's authority is not the Host field");
    h->keep_alive = !g.close && (!h->http10 || g.keep_alive);
    if (h->http10)
        h->expect_continue = h->expect_unknown = false;
    return true;
}
