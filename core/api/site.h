/* Refusing what a web page sends without its user knowing (contract section 2): any listener. Pure. */
#ifndef HG_API_SITE_H
#define HG_API_SITE_H

#include "http/http.h"

/* The request comes from a page of another site: an `Origin` whose host and port are not the request's `Host`, or
 * `Sec-Fetch-Site: cross-site`. */
bool site_foreign(const struct http_request *r);

#endif
