/* Media types of row sets, and the other fields of a request that carry small languages of their own. Pure. */
#ifndef HG_API_MEDIA_H
#define HG_API_MEDIA_H

#include "http/http.h"

enum media { MEDIA_JSON, MEDIA_NDJSON, MEDIA_OTHER };

/* What a Content-Type says (RFC 9110 section 8.3): application/json, application/<any>+json; application/x-ndjson,
 * application/ndjson; each perhaps with charset=utf-8. Everything else is MEDIA_OTHER. */
enum media media_of(struct slice content_type);
/* Seconds of `Prefer: wait=<s>` (RFC 7240), at most `most`; 0 when it is not there or makes no sense. */
uint32_t prefer_wait(const struct http_request *r, uint32_t most);
/* `00-<32 hex>-<16 hex>-<2 hex>` (W3C Trace Context); false when it is not there or not well formed. */
bool traceparent_of(const struct http_request *r, struct slice *out);
/* 1 to 255 visible ASCII characters. */
bool key_valid(struct slice key);

#endif
