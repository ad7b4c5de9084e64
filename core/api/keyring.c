/* A hash table of requests under way, under one lock, because two requests with one key may come in on two loops. What
 * the entries belong to is their owners' business: whoever leaves hands the outcome to those who joined. Nothing of it
 * survives a crash: what was committed is found again by the journal's index of keys. */
#include "api/keyring.h"

#include <pthread.h>
#include <stdlib.h>

enum { BUCKETS = 1024 };

struct keyring {
    pthread_mutex_t lock;
    struct keyring_entry *buckets[BUCKETS];
};

struct keyring *keyring_new(void)
{
    struct keyring *k = calloc(1, sizeof *k);
    if (k != NULL && pthread_mutex_init(&k->lock, NULL) != 0) {
        free(k);
        k = NULL;
    }
    return k;
}

void keyring_free(struct keyring **k)
{
    if (*k == NULL)
        return;
    pthread_mutex_destroy(&(*k)->lock);
    free(*k);
    *k = NULL;
}

static bool same_key(const struct keyring_entry *a, const struct keyring_entry *b)
{
    return a->hash == b->hash && slice_eq(a->client, b->client) && slice_eq(a->path, b->path) &&
           slice_eq(a->key, b->key);
}

static void join(struct keyring_entry *first, struct keyring_entry *e)
{
    struct keyring_entry **end = &first->joined;
    while (*end != NULL)
        end = &(*end)->next;
    *end = e;
}

enum keyring_result keyring_enter(struct keyring *k, struct keyring_entry *e)
{
    enum keyring_result result = KEYRING_FIRST;
    e->next = e->joined = NULL;
    pthread_mutex_lock(&k->lock);
    struct keyring_entry **bucket = &k->buckets[e->hash % BUCKETS], *first = *bucket;
    while (first != NULL && !same_key(first, e))
        first = first->next;
    if (first == NULL) {
        e->next = *bucket;
        *bucket = e;
    } else if (memcmp(first->digest, e->digest, KEY_DIGEST) != 0) {
        result = KEYRING_OTHER;
    } else {
        join(first, e);
        result = KEYRING_JOINED;
    }
    pthread_mutex_unlock(&k->lock);
    return result;
}

struct keyring_entry *keyring_leave(struct keyring *k, struct keyring_entry *e)
{
    pthread_mutex_lock(&k->lock);
    struct keyring_entry **at = &k->buckets[e->hash % BUCKETS];
    while (*at != e) {
        CHECK(*at != NULL);
        at = &(*at)->next;
    }
    *at = e->next;
    pthread_mutex_unlock(&k->lock);
    struct keyring_entry *joined = e->joined;
    e->next = e->joined = NULL;
    return joined;
}
