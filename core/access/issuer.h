/* An identity provider: its rules, and its keys, which a thread of its own fetches and keeps fresh.
 *
 * issuer_judge() is for any thread; everything else for the one that opened it. */
#ifndef HG_ACCESS_ISSUER_H
#define HG_ACCESS_ISSUER_H

#include "access/jwt.h"

struct issuer;

struct issuer_options {
    struct jwt_rules rules; /* its texts are copied */
    const char *jwks_url;   /* NULL: what the issuer's discovery document says */
    const char *ca;         /* PEM file of who signed its certificate; NULL: the system's authorities */
    int64_t refresh_ms;     /* how often the keys are fetched */
};

/* Begins to fetch. ERR_CONFIG with a sentence, ERR_NOMEM. */
int issuer_open(struct issuer **out, const struct issuer_options *options, struct err *e) MUST_CHECK;
void issuer_close(struct issuer **i); /* ends a transfer that is under way; a matter of a second at most */

/* JWT_NO_KEY makes it fetch the keys again, but not more often than every few seconds; `*wait` is true while the answer
 * to that may still change something: the caller should come again. */
enum jwt_result issuer_judge(struct issuer *i, struct slice token, int64_t now_s, struct jwt_caller *out, bool *wait);

/* What has happened since the last look: `*changed` when other keys are in force, or an error when fetching failed. */
int issuer_look(struct issuer *i, bool *changed, struct err *e) MUST_CHECK;

#endif
