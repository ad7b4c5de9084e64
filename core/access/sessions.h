/* Sessions of people who have signed in with a key: what their browser brings instead of it. Kept in memory only, so
 * they end with the process; bounded in number, in time, and by silence.
 *
 * One thread. */
#ifndef HG_ACCESS_SESSIONS_H
#define HG_ACCESS_SESSIONS_H

#include "access/key.h"

struct sessions;

enum {
    SESSION_DIGITS = 52, /* of an id, and of a token: 256 random bits */
    SESSIONS_MAX = 256,  /* one more ends the one that was silent longest */
    SESSIONS_OF_KEY = 16,
    SESSION_IDLE_MS = 30 * 60 * 1000,
    SESSION_LONGEST_MS = 12 * 60 * 60 * 1000,
};

/* What is known of one. */
struct session {
    struct key key;                 /* as it was when they signed in */
    char token[SESSION_DIGITS + 1]; /* that every change has to repeat */
};

/* NULL when out of memory. */
struct sessions *sessions_new(void);
void sessions_free(struct sessions **s);
/* A new one; its id, which only its browser keeps. ERR_IO: no random numbers. */
int sessions_begin(struct sessions *s, const struct key *key, int64_t now_ms, char id[SESSION_DIGITS + 1],
                   struct session *out) MUST_CHECK;
/* The session of that id, which is used now. False: there is none, or its time is over. */
bool sessions_find(struct sessions *s, struct slice id, int64_t now_ms, struct session *out);
void sessions_end(struct sessions *s, struct slice id);
uint32_t sessions_count(struct sessions *s, int64_t now_ms); /* of those whose time is not over */

#endif
