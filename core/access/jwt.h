/* Signed tokens of an issuer (JWT, RFC 7519; in the compact form of RFC 7515). Pure but for memory; any thread. */
#ifndef HG_ACCESS_JWT_H
#define HG_ACCESS_JWT_H

#include "access/jwks.h"
#include "access/role.h"

#include <stdint.h>

enum { JWT_MAX = 8 << 10, JWT_SUBJECT_MAX = 100 };

struct jwt_rules {
    const char *issuer;       /* exactly this `iss` */
    const char *audience;     /* must be `aud`, or one of it */
    unsigned algorithms;      /* bits of enum algorithm */
    int64_t leeway_s;         /* clocks may differ by so much */
    const char *roles_claim;  /* a claim by its name, or the path to it with dots between */
    const char *roles_prefix; /* what stands before the name of a role, or NULL */
    const char *client_claim; /* NULL: nobody is bound to a client */
};

struct jwt_caller {
    unsigned roles; /* 0: none that we know */
    char client[CLIENT_MAX + 1];
    char subject[JWT_SUBJECT_MAX + 1]; /* `sub`, cut */
};

enum jwt_result {
    JWT_GOOD,
    JWT_BAD,       /* of another shape, issuer, audience or algorithm, or not signed by its key */
    JWT_NO_KEY,    /* says that it is of this issuer, but the key it names is not known (yet): ask for a newer set */
    JWT_EXPIRED,   /* or not valid yet */
    JWT_NO_CLIENT, /* good, but client_claim does not name a client */
};

/* `out` is filled for JWT_GOOD. `keys` NULL: none are known yet. */
enum jwt_result jwt_judge(const struct jwt_rules *rules, const struct jwks *keys, struct slice token, int64_t now_s,
                          struct jwt_caller *out);

#endif
