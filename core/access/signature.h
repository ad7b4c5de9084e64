/* Signatures of tokens: the algorithms, and checking one. Pure but for memory; any thread. */
#ifndef HG_ACCESS_SIGNATURE_H
#define HG_ACCESS_SIGNATURE_H

#include "base/slice.h"

#include <stdbool.h>

enum algorithm {
#define ALGORITHM(id, kty, crv, coordinate, digest) ALGORITHM_##id,
#include "access/algorithm.def"
#undef ALGORITHM
    ALGORITHM_COUNT
};

struct algorithm_row {
    const char *word, *kty;
    const char *crv;   /* NULL: none */
    size_t coordinate; /* bytes */
};
extern const struct algorithm_row algorithm_rows[ALGORITHM_COUNT];

enum { COORDINATE_MAX = 66, SIGNATURE_MAX = 1024 }; /* bytes; RSA of 8192 bits */

/* -1: unknown, or not one of ours. */
int algorithm_parse(struct slice word);

struct evp_pkey_st;
/* Is `signature` (bytes, as JOSE has them) one of `data` by this key? The key must be of the algorithm's kind. */
bool signature_fits(struct evp_pkey_st *key, enum algorithm a, struct slice data, struct slice signature);

#endif
