/* Who may do what: judges the request of one listener by what it brought with it, and says how to refuse it.
 *
 * access_allows() is for any thread; everything else for the thread that opened it. */
#ifndef HG_ACCESS_ACCESS_H
#define HG_ACCESS_ACCESS_H

#include "access/issuer.h"
#include "access/key.h"
#include "access/role.h"
#include "conf/settings.h"
#include "http/http.h"

struct access;

/* How a listener lets people in: bits of enum auth; AUTH_UNSET is as AUTH_NONE (settings.c has made sure that only
 * loopback can be reached). */
struct access_options {
    const char *data_dir;
    const char *client_roles;     /* of AUTH_MTLS: the file */
    struct issuer_options issuer; /* of AUTH_OIDC */
    unsigned auth;                /* of all listeners together */
};

/* What a route asks for. */
struct access_need {
    unsigned roles; /* any of them is enough; 0: nothing at all is asked */
    bool own;       /* a caller that is bound to a client may use it: it shows and takes only that client's own */
};

struct access_denial {
    int status;
    const char *word, *detail, *challenge; /* static; challenge: WWW-Authenticate, or NULL */
    unsigned retry_after;                  /* seconds; 0: it is no use */
};

int access_open(struct access **out, const struct access_options *options, struct err *e) MUST_CHECK;
void access_close(struct access **a);

/* True: `r->caller` is filled. False: `why` says what to answer. Any thread. */
bool access_allows(struct access *a, struct http_request *r, unsigned auth, const struct access_need *need,
                   struct access_denial *why);

/* A key on its own, for signing in: true, and which it is. Any thread; so are the next two. */
bool access_key(struct access *a, struct slice text, struct key *out);
/* As whom the key, which was good one time, is let in now; false: not at all. */
bool access_key_again(struct access *a, const struct key *was, struct http_caller *caller);
/* May this caller do that? */
bool access_may(const struct http_caller *caller, const struct access_need *need, struct access_denial *why);

/* Is there something new? As keys_look, certs_look, issuer_look; nothing ever is where the way in is not open. */
enum access_part { ACCESS_KEYS, ACCESS_CERTS, ACCESS_ISSUER, ACCESS_PARTS };
int access_look(struct access *a, enum access_part part, bool *changed, struct err *e) MUST_CHECK;
/* As keys_used_take; `*any` false without AUTH_KEYS. */
int access_used_take(struct access *a, struct buf *out, bool *any) MUST_CHECK;
int access_used_write(const struct access *a, struct slice text) MUST_CHECK; /* blocking; any thread */
size_t access_keys(const struct access *a);
int access_keys_print(struct access *a, struct buf *out) MUST_CHECK; /* keys_print; none without AUTH_KEYS */

#endif
