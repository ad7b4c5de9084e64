/* An issuer's public keys (RFC 7517) as they are used here: read once, then only read from, by any thread. */
#ifndef HG_ACCESS_JWKS_H
#define HG_ACCESS_JWKS_H

#include "access/signature.h"
#include "base/err.h"

enum { JWKS_KEYS_MAX = 100, JWKS_BYTES = 256 << 10, JWKS_KID_MAX = 255 };

struct jwks;

/* The keys of a JSON document {"keys": […]} that can check a signature by one of `algorithms` (bits): for signing
 * (`use`, `key_ops`), of a kind, size and curve that fit. Of others only the id is kept. ERR_SYNTAX with a sentence
 * when it is no such document or no key is left, ERR_NOMEM. */
int jwks_parse(struct slice text, unsigned algorithms, struct jwks **out, struct err *e) MUST_CHECK;
void jwks_free(struct jwks **j);
unsigned jwks_count(const struct jwks *j);

/* The key of that id that may check that algorithm. `kid` without bytes: the only one that may; NULL where there are
 * several. */
struct evp_pkey_st *jwks_find(const struct jwks *j, struct slice kid, enum algorithm a);
/* Where nothing is found: is that because of what the set has (the key of that id is not for that algorithm; there are
 * several that it could be), not because of what it has not? Then a newer set need not be asked for. */
bool jwks_rules_out(const struct jwks *j, struct slice kid, enum algorithm a);

#endif
