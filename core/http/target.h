/* Request targets and the Host field (RFC 9112 section 3.2, RFC 3986). Pure; internal to core/http. */
#ifndef HG_HTTP_TARGET_H
#define HG_HTTP_TARGET_H

#include "http/http.h"

struct target {
    struct slice path;      /* "/" where an absolute target has none; "*" */
    struct slice query;     /* empty when there is none */
    struct slice authority; /* of an absolute-form target; ptr NULL otherwise */
};

/* NULL, or why it is refused (a sentence for the answer's detail). */
const char *target_parse(struct slice text, enum http_method method, struct target *out) MUST_CHECK;
/* A name, an IPv4 address or an IPv6 one in brackets, perhaps with a port. */
bool host_valid(struct slice host);

#endif
