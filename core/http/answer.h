/* The text of answers: status lines, fields, problems (RFC 9457). Internal to core/http; pure but for the clock. */
#ifndef HG_HTTP_ANSWER_H
#define HG_HTTP_ANSWER_H

#include "http/http.h"

/* The Date field's line, made once a second. */
struct answer_date {
    int64_t second;
    char line[40];
};

struct answer_head {
    int status;
    const char *content_type;  /* NULL: no body */
    uint64_t length;           /* of the body, also where a HEAD request does not get it */
    const char *fields, *more; /* further lines, or NULL */
    bool close;
    bool stream;      /* no length: it goes on until the connection closes */
    bool http10_keep; /* an HTTP/1.0 client asked to keep the connection */
};

/* Replace `out`'s content by the head. */
int answer_write_head(struct buf *out, struct answer_date *date, const struct answer_head *head) MUST_CHECK;
/* Replace `out`'s content by the problem's JSON. */
int answer_write_problem(struct buf *out, const struct http_problem *problem) MUST_CHECK;
/* Statuses whose answers never have a body, nor a length. */
bool answer_bodiless(int status);

#endif
