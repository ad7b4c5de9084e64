/* Token buckets of clients under one lock, which is held for a look at a table: a client's requests wait for no
 * other's.
 *
 * The table is bounded: a new client takes the place of the one that has been silent for longest. A bucket fills within
 * a second of silence, and a full one says no more than none at all, so nothing is lost with it; only with more than
 * QUOTA_CLIENTS clients at the same time may somebody be forgotten who still owes. */
#include "api/quota.h"

#include "base/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { QUOTA_CLIENTS = 1024 };

struct named_limits {
    char name[CLIENT_MAX + 1];
    struct client_limits limits;
};

struct bucket {
    char name[CLIENT_MAX + 1];
    struct client_limits limits;
    double rows, bytes; /* left; below 0: owed */
    int64_t at_ms;      /* when that was so: the client's last request */
};

struct quota {
    pthread_mutex_t lock;
    atomic_bool any; /* some client has a limit */
    struct client_limits common;
    struct named_limits *named;
    size_t named_count, count;
    struct bucket buckets[QUOTA_CLIENTS];
};

struct quota *quota_new(void)
{
    struct quota *q = calloc(1, sizeof *q);
    if (q != NULL && pthread_mutex_init(&q->lock, NULL) != 0) {
        free(q);
        q = NULL;
    }
    return q;
}

void quota_free(struct quota **q)
{
    if (*q == NULL)
        return;
    pthread_mutex_destroy(&(*q)->lock);
    free((*q)->named);
    free(*q);
    *q = NULL;
}

/* --- one bucket --- */

static double least(double a, double b)
{
    return a < b ? a : b;
}

static void refill(struct bucket *b, int64_t now_ms)
{
    double seconds = now_ms > b->at_ms ? (double)(now_ms - b->at_ms) / 1e3 : 0;
    b->rows = least(b->rows + seconds * b->limits.rows_per_second, b->limits.rows_per_second);
    b->bytes = least(b->bytes + seconds * (double)b->limits.bytes_per_second, (double)b->limits.bytes_per_second);
    if (now_ms > b->at_ms)
        b->at_ms = now_ms;
}

/* Whole seconds until there is something in it again. */
static double seconds_until(double left, double rate)
{
    return rate == 0 || left > 0 ? 0 : 1 + (double)(uint64_t)(-left / rate);
}

static uint32_t wait_of(const struct bucket *b)
{
    double rows = seconds_until(b->rows, b->limits.rows_per_second);
    double bytes = seconds_until(b->bytes, (double)b->limits.bytes_per_second);
    double wait = rows > bytes ? rows : bytes;
    return wait < UINT32_MAX ? (uint32_t)wait : UINT32_MAX;
}

/* --- the table; under the lock --- */

static struct client_limits limits_of(const struct quota *q, const char *client)
{
    for (size_t i = 0; i < q->named_count; i++)
        if (strcmp(q->named[i].name, client) == 0)
            return q->named[i].limits;
    return q->common;
}

static void begin(struct bucket *b, const char *client, struct client_limits limits, int64_t now_ms)
{
    *b = (struct bucket){
        .limits = limits, .rows = limits.rows_per_second, .bytes = (double)limits.bytes_per_second, .at_ms = now_ms};
    memcpy(b->name, client, strlen(client) + 1);
}

static struct bucket *find(struct quota *q, const char *client, int64_t now_ms)
{
    struct bucket *oldest = &q->buckets[0];
    for (size_t i = 0; i < q->count; i++) {
        struct bucket *b = &q->buckets[i];
        if (strcmp(b->name, client) == 0)
            return b;
        if (b->at_ms < oldest->at_ms)
            oldest = b;
    }
    struct bucket *fresh = q->count < QUOTA_CLIENTS ? &q->buckets[q->count++] : oldest;
    begin(fresh, client, limits_of(q, client), now_ms);
    return fresh;
}

static uint32_t pass(struct quota *q, const char *client, uint64_t rows, uint64_t bytes, int64_t now_ms)
{
    CHECK(strlen(client) <= CLIENT_MAX);
    pthread_mutex_lock(&q->lock);
    struct bucket *b = find(q, client, now_ms);
    refill(b, now_ms);
    uint32_t wait = wait_of(b);
    if (wait == 0) {
        b->rows -= b->limits.rows_per_second == 0 ? 0 : (double)rows;
        b->bytes -= b->limits.bytes_per_second == 0 ? 0 : (double)bytes;
    }
    pthread_mutex_unlock(&q->lock);
    return wait;
}

uint32_t quota_take(struct quota *q, const char *client, uint64_t rows, uint64_t bytes, int64_t now_ms)
{
    if (client[0] == '\0' || !atomic_load_explicit(&q->any, memory_order_relaxed))
        return 0;
    return pass(q, client, rows, bytes, now_ms);
}

/* --- settings --- */

static bool limits(const struct client_limits *l)
{
    return l->rows_per_second > 0 || l->bytes_per_second > 0;
}

int quota_configure(struct quota *q, const struct conf *conf)
{
    size_t count = 0;
    while (conf_client_name(conf, count) != NULL)
        count++;
    struct named_limits *named = calloc(count + 1, sizeof *named);
    if (named == NULL)
        return ERR_NOMEM;
    const struct client_limits common = conf_client_limits(conf, slice_of(""));
    bool any = limits(&common);
    for (size_t i = 0; i < count; i++) {
        const char *name = conf_client_name(conf, i);
        memcpy(named[i].name, name, strlen(name) + 1);
        named[i].limits = conf_client_limits(conf, slice_of(name));
        any = any || limits(&named[i].limits);
    }
    pthread_mutex_lock(&q->lock);
    struct named_limits *before = q->named;
    q->named = named;
    q->named_count = count;
    q->common = common;
    for (size_t i = 0; i < q->count; i++) { /* what is owed stays owed */
        struct bucket *b = &q->buckets[i];
        b->limits = limits_of(q, b->name);
        b->rows = least(b->rows, b->limits.rows_per_second);
        b->bytes = least(b->bytes, (double)b->limits.bytes_per_second);
    }
    atomic_store(&q->any, any);
    pthread_mutex_unlock(&q->lock);
    free(before);
    return ERR_OK;
}
