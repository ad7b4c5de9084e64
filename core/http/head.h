/* The head of a request: request line and fields, and what they say about the body's framing (RFC 9112). Pure and
 * incremental over a buffer that grows; no I/O. Internal to core/http. */
#ifndef HG_HTTP_HEAD_H
#define HG_HTTP_HEAD_H

#include "http/coding.h"
#include "http/http.h"
#include "http/target.h"

enum { HEAD_FIELDS_MAX = 100 };

enum head_state { HEAD_MORE, HEAD_DONE, HEAD_BAD };

/* Why something was refused: status and `type` word of the problem, and its sentence. Static texts. */
struct refusal {
    int status;
    const char *word;
    const char *detail;
};

struct head {
    /* progress */
    size_t max;    /* bytes allowed */
    size_t at;     /* bytes looked at */
    size_t line;   /* where the unfinished line begins */
    bool skipped;  /* the one empty line before a request line has been */
    bool has_line; /* the request line is there */

    /* the result, after HEAD_DONE; slices point into the buffer given to head_parse */
    size_t length; /* bytes of the head with the empty line that ends it */
    enum http_method method;
    struct slice method_text;
    struct target target;
    bool http10;
    bool keep_alive;
    bool chunked;
    bool has_length;
    uint64_t body_length; /* UINT64_MAX: more than a number of 64 bits */
    bool expect_continue;
    bool expect_unknown;
    enum coding_kind coding;
    uint32_t field_count;

    struct refusal bad; /* after HEAD_BAD */
    struct http_field fields[HEAD_FIELDS_MAX];
};

/* `max` bytes of head are allowed. */
void head_begin(struct head *h, size_t max);
/* Look at what came: `bytes` holds the head from its first byte; the buffer may have grown since the last call but must
 * not have moved. After HEAD_DONE or HEAD_BAD call head_begin before the next one. */
enum head_state head_parse(struct head *h, const char *bytes, size_t len);
/* Nothing but the ignored empty line has come. */
bool head_untouched(const struct head *h);
/* First field with the name; false when there is none. */
bool head_field(const struct http_field *fields, uint32_t count, const char *name, struct slice *value);

#endif
