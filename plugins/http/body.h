/* What a request carries: rows as text, packed if asked, and the fields that speak about it. */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "common/batch_key.h"
#include "common/strbuf.h"
#include "headgate.h"

#include <openssl/evp.h>

enum body_shape { BODY_SINGLE, BODY_ARRAY, BODY_NDJSON };
enum { SIGNATURE_SIZE = 2 * EVP_MAX_MD_SIZE + 1 };

/* Rows [from, to) in this shape; `single` has one row. out->failed on lack of memory. */
void body_build(struct strbuf *out, const struct hg_api *api, const struct hg_rows *rows, size_t from, size_t to,
                enum body_shape shape);

/* The same rows always give the same key. 0, or -1. */
int body_key(char out[BATCH_KEY_SIZE], const struct hg_api *api, const struct hg_rows *rows, size_t from, size_t to);

/* HMAC-SHA256 over `<timestamp>.<body>` in hex. 0, or -1. */
int body_sign(char out[SIGNATURE_SIZE], const char *secret, long long timestamp, const struct strbuf *body);

#endif
