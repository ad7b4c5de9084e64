/* Idempotency keys in flight: requests whose first is not answered yet. Shared by all intakes; any thread. */
#ifndef HG_API_KEYRING_H
#define HG_API_KEYRING_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { KEY_DIGEST = 32 };

struct keyring;

/* One request with a key; its owner's memory. The slices must live as long as it is entered or joined. */
struct keyring_entry {
    uint64_t hash;                    /* of the key in its scope: journal_key_hash */
    struct slice client, path, key;   /* the scope, and the key */
    unsigned char digest[KEY_DIGEST]; /* of the decoded body */
    struct keyring_entry *next;       /* the keyring's; after keyring_leave: the next joined one */
    struct keyring_entry *joined;     /* the keyring's */
};

enum keyring_result {
    KEYRING_FIRST,  /* entered: goes on, and leaves when its outcome is known */
    KEYRING_JOINED, /* the same request is under way: this one comes out of its keyring_leave */
    KEYRING_OTHER,  /* the same key with another body is under way */
};

/* NULL when out of memory. */
struct keyring *keyring_new(void);
void keyring_free(struct keyring **k);
enum keyring_result keyring_enter(struct keyring *k, struct keyring_entry *e);
/* Leave, and take those that have joined, oldest first, linked by `next`. */
struct keyring_entry *keyring_leave(struct keyring *k, struct keyring_entry *e);

#endif
