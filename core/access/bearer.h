/* The Authorization field (RFC 9110 section 11.6.2, RFC 6750 section 2.1). Pure; any thread. */
#ifndef HG_ACCESS_BEARER_H
#define HG_ACCESS_BEARER_H

#include "base/slice.h"

#include <stdbool.h>

/* The token of `Bearer TOKEN`: the scheme in any case, one or more blanks, then token68 characters and nothing else.
 * Borrowed from `value`. */
bool bearer_token(struct slice value, struct slice *token);

#endif
