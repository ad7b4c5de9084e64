/* A key: what is shown once, and what is kept of it. Pure but for the random numbers; any thread.
 *
 * Shown: `hg_`, 12 characters that name it, `_`, 52 characters that are 256 random bits (digits of base/id.h). Kept:
 * the name, and SHA-256 of the whole text. A secret of 256 random bits needs no salt and no slow hash: there is nothing
 * to guess. */
#ifndef HG_ACCESS_KEY_H
#define HG_ACCESS_KEY_H

#include "access/role.h"

#include <stdint.h>

enum { KEY_ID = 12, KEY_SECRET = 52, KEY_TEXT = 3 + KEY_ID + 1 + KEY_SECRET, KEY_SUM = 32, KEY_NAME_MAX = 64 };

struct key {
    char id[KEY_ID + 1];
    unsigned char sum[KEY_SUM];  /* SHA-256 of its text */
    unsigned roles;              /* as given, without what follows from them */
    char client[CLIENT_MAX + 1]; /* "": not bound to one */
    char name[KEY_NAME_MAX + 1]; /* for people; may be empty */
    int64_t created_s;           /* seconds since 1970 */
    int64_t expires_s;           /* 0: never */
};

/* Fill id and sum of a new key, and its text with a NUL. ERR_IO when there are no random numbers. */
int key_draw(struct key *k, char text[KEY_TEXT + 1]) MUST_CHECK;
/* Has `text` the shape of a key? Then its id, with a NUL. */
bool key_shaped(struct slice text, char id[KEY_ID + 1]);
bool key_id_valid(struct slice id);
/* 1 to KEY_NAME_MAX bytes without control characters; empty is valid too. */
bool key_name_valid(struct slice name);
/* Is `text` this key? Takes the same time whatever the answer. */
bool key_is(const struct key *k, struct slice text);

#endif
