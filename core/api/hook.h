/* One HTTP POST of JSON to an address that an operator gave. Blocks; any thread. */
#ifndef HG_API_HOOK_H
#define HG_API_HOOK_H

#include "base/buf.h"
#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>

struct hook {
    char *url;        /* NULL: `url_file` holds it */
    char *url_file;   /* read for each request, so that a changed one counts; NULL: none */
    char *token_file; /* the same: sent as `Authorization: Bearer`; NULL: none */
    char *ca;         /* PEM file of those who may have signed its certificate; NULL: the system's */
};

/* ERR_OK for an answer 2xx. Ends early, with ERR_CLOSED, when `*stop` becomes true. The sentence of an error names
 * neither the address nor the token. Redirects are not followed. */
int hook_post(const struct hook *h, struct slice body, const _Atomic bool *stop, struct err *e) MUST_CHECK;
void hook_fini(struct hook *h);

#endif
