/* An issuer's public keys (RFC 7517) as they are used here: read once, then only read from, by any thread. */
#ifndef HG_ACCESS_JWKS_H
#define HG_ACCESS_JWKS_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>

enum algorithm {
#define ALGORITHM(id, kty, crv, signature) ALGORITHM_##id,
#include "access/algorithm.def"
#undef ALGORITHM
    ALGORITHM_COUNT
};

enum { JWKS_KEYS_MAX = 100, JWKS_BYTES = 256 << 10, JWKS_KID_MAX = 255 };

struct jwks;
struct _cjose_jwk_int; /* the library's */

/* -1: unknown, or not one of ours. */
int algorithm_parse(struct slice word);
/* Bytes of its signatures; 0: any. */
unsigned algorithm_signature(enum algorithm a);

/* The keys of a JSON document {"keys": […]} that can check a signature by one of `algorithms` (bits): for signing
 * (`use`, `key_ops`), of a kind, size and curve that fit. Others are passed over. ERR_SYNTAX with a sentence when it is
 * no such document or no key is left, ERR_NOMEM. */
int jwks_parse(struct slice text, unsigned algorithms, struct jwks **out, struct err *e) MUST_CHECK;
void jwks_free(struct jwks **j);
unsigned jwks_count(const struct jwks *j);

/* The key of that id that may check that algorithm. `kid` without bytes: the only one that may; NULL where there are
 * several. */
const struct _cjose_jwk_int *jwks_find(const struct jwks *j, struct slice kid, enum algorithm a);

#endif
