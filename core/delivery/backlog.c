/* Accounts of clients under one lock, which is held for a look at a table and at the pushers.
 *
 * An account is a queue of pieces: so many bytes up to this position. What all pushers have passed is taken off its
 * front when somebody asks, so a request costs no more than the pieces that went since. The queue is bounded: when it
 * is full, neighbours become one piece; then up to a 32nd of what is there counts a little longer than it should.
 *
 * The table is bounded too. An account without bytes makes room for a new client; when there is none, those that come
 * share one account, so that they stay bounded together. */
#include "delivery/backlog.h"

#include "base/check.h"
#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    ACCOUNTS = 4096,
    SLOTS = 1024,
    PIECES = 128,
    GRAINS = PIECES / 4,
    RECLAIM_LOOK = 16, /* accounts looked at for one that can go */
    RATE_MS = 1000,
    WAIT_UNKNOWN_S = 10, /* nothing was passed of late */
    WAIT_MAX_S = 60,
};

struct piece {
    uint64_t last; /* position of its last record */
    uint64_t bytes;
};

struct account {
    char name[CLIENT_MAX + 1];
    uint32_t next; /* in its slot: number + 1 */
    uint64_t limit, refused;
    uint64_t taken, stored; /* let in, not stored yet; stored, not passed yet */
    uint64_t grain;         /* a piece grows to so many bytes */
    uint64_t passed;        /* since rate_ms */
    double rate;            /* bytes passed in a second; 0: none of late */
    int64_t rate_ms;
    uint32_t first, count;
    struct piece pieces[PIECES]; /* from `first` on, around */
};

struct backlog {
    pthread_mutex_t lock;
    struct link takers;
    uint64_t common;
    struct backlog_limit *named;
    uint32_t named_count;
    struct account *accounts[ACCOUNTS]; /* [0]: of those without one of their own */
    uint32_t slots[SLOTS], count, hand;
};

struct backlog *backlog_new(void)
{
    struct backlog *b = calloc(1, sizeof *b);
    struct account *shared = calloc(1, sizeof *shared);
    if (b == NULL || shared == NULL || pthread_mutex_init(&b->lock, NULL) != 0) {
        free(b);
        free(shared);
        return NULL;
    }
    link_init(&b->takers);
    b->accounts[b->count++] = shared;
    return b;
}

void backlog_free(struct backlog **b)
{
    if (*b == NULL)
        return;
    for (uint32_t i = 0; i < (*b)->count; i++)
        free((*b)->accounts[i]);
    pthread_mutex_destroy(&(*b)->lock);
    free((*b)->named);
    free(*b);
    *b = NULL;
}

static void lock(struct backlog *b)
{
    CHECK(pthread_mutex_lock(&b->lock) == 0);
}

static void unlock(struct backlog *b)
{
    CHECK(pthread_mutex_unlock(&b->lock) == 0);
}

/* --- pieces; from here on under the lock --- */

static struct piece *piece_at(struct account *a, uint32_t n)
{
    return &a->pieces[(a->first + n) % PIECES];
}

/* Neighbours become one where that is at most a GRAINth of all: two of those that are left are more together, so at
 * most half of the room is used then. */
static void pieces_merge(struct account *a)
{
    uint32_t left = 0;
    a->grain = a->stored / GRAINS;
    for (uint32_t i = 1; i < a->count; i++) {
        struct piece *to = piece_at(a, left), next = *piece_at(a, i);
        if (to->bytes + next.bytes > a->grain)
            *piece_at(a, ++left) = next;
        else
            *to = (struct piece){.last = next.last, .bytes = to->bytes + next.bytes};
    }
    a->count = left + 1;
}

static void piece_add(struct account *a, uint64_t position, uint64_t bytes)
{
    struct piece *last = a->count == 0 ? NULL : piece_at(a, a->count - 1);
    a->stored += bytes;
    a->grain = last == NULL ? 0 : a->grain;
    if (last != NULL && (position <= last->last || last->bytes + bytes <= a->grain)) {
        last->bytes += bytes;
        last->last = position > last->last ? position : last->last; /* loops tell of their records in any order */
        return;
    }
    if (a->count == PIECES)
        pieces_merge(a);
    *piece_at(a, a->count++) = (struct piece){.last = position, .bytes = bytes};
}

/* All pushers that take this client have passed what stands before. */
static uint64_t low_of(const struct backlog *b, const char *client)
{
    uint64_t low = UINT64_MAX;
    LIST_EACH(&b->takers, it)
    {
        const struct backlog_taker *t = container_of(it, struct backlog_taker, link);
        if (t->low < low && (t->clients == NULL || client_listed(t->clients, slice_of(client))))
            low = t->low;
    }
    return low;
}

static void account_pass(const struct backlog *b, struct account *a)
{
    uint64_t low = a->count == 0 ? 0 : low_of(b, a->name);
    while (a->count > 0 && piece_at(a, 0)->last < low) {
        uint64_t bytes = piece_at(a, 0)->bytes;
        a->stored -= bytes;
        a->passed += bytes;
        a->first = (a->first + 1) % PIECES;
        a->count--;
    }
}

/* --- when to ask again --- */

static void rate_look(struct account *a, int64_t now_ms)
{
    int64_t spent = now_ms - a->rate_ms;
    if (spent < RATE_MS)
        return;
    a->rate = (double)a->passed * 1e3 / (double)spent;
    a->passed = 0;
    a->rate_ms = now_ms;
}

static uint32_t wait_of(const struct account *a)
{
    double over = (double)(a->taken + a->stored - a->limit) + 1;
    double seconds = a->rate > 0 ? over / a->rate : WAIT_UNKNOWN_S;
    return seconds >= WAIT_MAX_S ? WAIT_MAX_S : 1 + (uint32_t)seconds;
}

/* --- the table --- */

static uint64_t limit_of(const struct backlog *b, const char *client)
{
    for (uint32_t i = 0; i < b->named_count; i++)
        if (strcmp(b->named[i].name, client) == 0)
            return b->named[i].bytes;
    return b->common;
}

static uint32_t *slot_of(struct backlog *b, const char *client)
{
    return &b->slots[hash_bytes(slice_of(client)) % SLOTS];
}

static struct account *known(struct backlog *b, const char *client)
{
    for (uint32_t at = *slot_of(b, client); at != 0; at = b->accounts[at - 1]->next)
        if (strcmp(b->accounts[at - 1]->name, client) == 0)
            return b->accounts[at - 1];
    return NULL;
}

static void slot_remove(struct backlog *b, uint32_t number)
{
    uint32_t *at = slot_of(b, b->accounts[number]->name);
    while (*at != number + 1)
        at = &b->accounts[*at - 1]->next;
    *at = b->accounts[number]->next;
}

/* The number of one whose client has nothing here; 0: none was found. */
static uint32_t reclaim(struct backlog *b)
{
    for (int i = 0; i < RECLAIM_LOOK; i++) {
        b->hand = b->hand + 1 < b->count ? b->hand + 1 : 1;
        struct account *a = b->accounts[b->hand];
        account_pass(b, a);
        if (a->taken + a->stored > 0)
            continue;
        slot_remove(b, b->hand);
        return b->hand;
    }
    return 0;
}

static struct account *account_of(struct backlog *b, const char *client)
{
    struct account *a = known(b, client);
    uint32_t number = 0;
    if (a != NULL)
        return a;
    if (b->count == ACCOUNTS)
        number = reclaim(b);
    else if ((a = malloc(sizeof *a)) != NULL)
        b->accounts[number = b->count++] = a;
    if (number == 0)
        return b->accounts[0];
    a = b->accounts[number];
    memset(a, 0, sizeof *a);
    a->limit = limit_of(b, client);
    a->next = *slot_of(b, client);
    memcpy(a->name, client, strlen(client) + 1);
    *slot_of(b, client) = number + 1;
    return a;
}

/* --- in from outside --- */

int backlog_limits(struct backlog *b, uint64_t common, const struct backlog_limit *named, uint32_t count)
{
    struct backlog_limit *copy = calloc(count + 1, sizeof *copy);
    if (copy == NULL)
        return ERR_NOMEM;
    if (count > 0)
        memcpy(copy, named, count * sizeof *copy);
    lock(b);
    struct backlog_limit *before = b->named;
    b->named = copy;
    b->named_count = count;
    b->common = common;
    for (uint32_t i = 0; i < b->count; i++)
        b->accounts[i]->limit = limit_of(b, b->accounts[i]->name);
    unlock(b);
    free(before);
    return ERR_OK;
}

void backlog_pass(struct backlog *b, struct backlog_taker *t, const char *clients, uint64_t low)
{
    bool same = clients == NULL || t->clients == NULL ? clients == t->clients : strcmp(clients, t->clients) == 0;
    if (t->joined && same && t->low == low)
        return;
    char *copy = same || clients == NULL ? NULL : strdup(clients); /* without memory: everybody's, which counts more */
    lock(b);
    if (!t->joined) {
        link_init(&t->link);
        list_push(&b->takers, &t->link);
    }
    t->joined = true;
    t->low = low;
    if (!same) {
        free(t->clients);
        t->clients = copy;
    }
    unlock(b);
}

void backlog_leave(struct backlog *b, struct backlog_taker *t)
{
    if (!t->joined)
        return;
    lock(b);
    link_remove(&t->link);
    unlock(b);
    free(t->clients);
    *t = (struct backlog_taker){.joined = false};
}

uint32_t backlog_take(struct backlog *b, const char *client, uint64_t bytes, int64_t now_ms)
{
    uint32_t wait = 0;
    if (client[0] == '\0')
        return 0;
    lock(b);
    struct account *a = account_of(b, client);
    if (a->limit > 0 && a->taken + a->stored >= a->limit)
        account_pass(b, a);
    rate_look(a, now_ms);
    if (a->limit > 0 && a->taken + a->stored >= a->limit) {
        wait = wait_of(a);
        a->refused++;
    } else {
        a->taken += bytes;
    }
    unlock(b);
    return wait;
}

/* An account with bytes stays, so it is the one they were taken for; or there was no room for it then. */
void backlog_give(struct backlog *b, const char *client, uint64_t bytes)
{
    if (client[0] == '\0')
        return;
    lock(b);
    struct account *a = known(b, client);
    if (a == NULL || a->taken < bytes)
        a = b->accounts[0];
    CHECK(a->taken >= bytes);
    a->taken -= bytes;
    unlock(b);
}

static void store(struct backlog *b, const char *client, uint64_t position, uint64_t bytes)
{
    lock(b);
    struct account *a = client[0] == '\0' ? b->accounts[0] : account_of(b, client);
    if (a->count == PIECES)
        account_pass(b, a);
    piece_add(a, position, bytes);
    unlock(b);
}

void backlog_store(struct backlog *b, const char *client, uint64_t position, uint64_t bytes)
{
    if (client[0] != '\0')
        store(b, client, position, bytes);
}

void backlog_found(struct backlog *b, struct slice client, uint64_t position, uint64_t bytes)
{
    char name[CLIENT_MAX + 1] = "";
    if (client.len > 0 && client.len <= CLIENT_MAX)
        memcpy(name, client.ptr, client.len);
    store(b, name, position, bytes);
}

/* --- looking --- */

static void describe(struct backlog *b, struct account *a, struct backlog_client *out)
{
    account_pass(b, a);
    *out = (struct backlog_client){.bytes = a->taken + a->stored, .limit = a->limit, .refused = a->refused};
    memcpy(out->name, a->name, sizeof out->name);
}

bool backlog_client_at(struct backlog *b, uint32_t n, struct backlog_client *out)
{
    lock(b);
    bool there = n < b->count;
    if (there)
        describe(b, b->accounts[n], out);
    unlock(b);
    return there;
}

void backlog_client(struct backlog *b, const char *client, struct backlog_client *out)
{
    *out = (struct backlog_client){.bytes = 0};
    lock(b);
    struct account *a = client[0] == '\0' ? NULL : known(b, client);
    if (a != NULL)
        describe(b, a, out);
    unlock(b);
}
