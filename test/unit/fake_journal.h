/* A journal that forgets nothing and syncs nothing, for tests of what stands before it: entries are finished by a
 * thread of its own, when the test lets it. Linked instead of core/journal/journal.c and its neighbours. */
#ifndef TEST_FAKE_JOURNAL_H
#define TEST_FAKE_JOURNAL_H

#include "base/hash.h"
#include "journal/journal.h"

#include <pthread.h>
#include <stdlib.h>

struct fake_record {
    uint64_t position;
    uint32_t length, rows;
    char *context, *data;
    size_t context_len, data_len;
    struct row_span *spans;
};

struct journal {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct journal_entry *queue, **queue_end;
    bool stop, hold;
    int refuse;     /* journal_append returns it */
    int fail;       /* entries come back with it */
    int unreadable; /* journal_read returns it */
    enum durability durability;
    uint64_t next, appended;
    struct fake_record *records;
    size_t count, cap;
    bool forget; /* nothing is found by key */
};

static void fake_keep(struct journal *j, const struct record_parts *r, uint64_t position)
{
    if (j->count == j->cap) {
        j->cap = j->cap == 0 ? 64 : j->cap * 2;
        j->records = realloc(j->records, j->cap * sizeof *j->records);
    }
    struct fake_record *k = &j->records[j->count++];
    *k = (struct fake_record){.position = position, .length = record_length(r), .rows = r->rows};
    k->context = malloc(r->context.len + 1);
    memcpy(k->context, r->context.ptr, r->context.len);
    k->context_len = r->context.len;
    k->data = malloc(r->data.len + 1);
    memcpy(k->data, r->data.ptr, r->data.len);
    k->data_len = r->data.len;
    k->spans = malloc(r->rows * sizeof *k->spans + 1);
    if (r->rows > 0)
        memcpy(k->spans, r->spans, r->rows * sizeof *k->spans);
}

static void fake_finish(struct journal *j, struct journal_entry *e, bool keep)
{
    e->status = j->fail;
    e->epoch = (struct epoch){.bytes = "fake epoch 12345"};
    e->received_us = 1;
    for (uint32_t i = 0; i < e->count && j->fail == ERR_OK; i++) {
        e->positions[i] = j->next;
        if (keep)
            fake_keep(j, &e->records[i], j->next);
        j->next += record_length(&e->records[i]);
    }
    struct commit_queue *q = e->queue;
    struct journal_entry *top = atomic_load(&q->done);
    do
        e->next = top;
    while (!atomic_compare_exchange_weak(&q->done, &top, e));
    q->wake(q->arg);
}

static bool fake_keeps = true;

static void *fake_run(void *arg)
{
    struct journal *j = arg;
    pthread_mutex_lock(&j->lock);
    while (!j->stop) {
        if (j->queue == NULL || j->hold) {
            pthread_cond_wait(&j->changed, &j->lock);
            continue;
        }
        struct journal_entry *list = j->queue;
        j->queue = NULL;
        j->queue_end = &j->queue;
        while (list != NULL) {
            struct journal_entry *next = list->next;
            fake_finish(j, list, fake_keeps);
            list = next;
        }
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

static inline struct journal *fake_open(void)
{
    struct journal *j = calloc(1, sizeof *j);
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->changed, NULL);
    j->queue_end = &j->queue;
    j->next = 4096;
    pthread_create(&j->thread, NULL, fake_run, j);
    return j;
}

static inline void fake_set(struct journal *j, bool hold, int refuse, int fail)
{
    pthread_mutex_lock(&j->lock);
    j->hold = hold;
    j->refuse = refuse;
    j->fail = fail;
    pthread_cond_signal(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

static inline void fake_close(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    j->stop = true;
    pthread_cond_signal(&j->changed);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->thread, NULL);
    for (size_t i = 0; i < j->count; i++) {
        free(j->records[i].context);
        free(j->records[i].data);
        free(j->records[i].spans);
    }
    free(j->records);
    free(j);
}

int journal_append(struct journal *j, struct journal_entry *entry)
{
    pthread_mutex_lock(&j->lock);
    int code = j->refuse;
    if (code == ERR_OK) {
        j->appended++;
        entry->next = NULL;
        *j->queue_end = entry;
        j->queue_end = &entry->next;
        pthread_cond_signal(&j->changed);
    }
    pthread_mutex_unlock(&j->lock);
    return code;
}

int journal_put(struct journal *j, struct journal_entry *entry)
{
    return journal_append(j, entry);
}

void journal_wake(struct journal *j)
{
    (void)j;
}

bool journal_commit_here(struct journal *j, struct commit_queue *own)
{
    (void)j;
    (void)own;
    return false;
}

struct journal_entry *commit_take(struct commit_queue *queue)
{
    struct journal_entry *newest = atomic_exchange(&queue->done, NULL), *oldest = NULL;
    while (newest != NULL) {
        struct journal_entry *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

enum durability journal_durability(struct journal *j)
{
    return j->durability;
}

uint64_t journal_key_hash(struct slice client, struct slice path, struct slice key)
{
    (void)path; /* so that tests meet two paths with one hash */
    (void)client;
    return hash_bytes(key);
}

int journal_find_key(struct journal *j, uint64_t key_hash, uint64_t *position)
{
    int code = ERR_NOTFOUND;
    pthread_mutex_lock(&j->lock);
    for (size_t i = j->count; i > 0 && code != ERR_OK && !j->forget; i--) {
        struct slice key;
        const struct fake_record *r = &j->records[i - 1];
        if (context_get(slice_make(r->context, r->context_len), CONTEXT_KEY, &key) && hash_bytes(key) == key_hash) {
            *position = r->position;
            code = ERR_OK;
        }
    }
    pthread_mutex_unlock(&j->lock);
    return code;
}

int journal_read(struct journal *j, uint64_t position, struct buf *copy, struct record *out)
{
    (void)copy;
    int code = ERR_NOTFOUND;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->count; i++) {
        const struct fake_record *r = &j->records[i];
        if (r->position != position)
            continue;
        code = ERR_OK;
        *out = (struct record){.position = position,
                               .length = r->length,
                               .rows = r->rows,
                               .type = RECORD_ROWS,
                               .context = slice_make(r->context, r->context_len),
                               .data = slice_make(r->data, r->data_len)};
    }
    if (j->unreadable != ERR_OK)
        code = j->unreadable;
    pthread_mutex_unlock(&j->lock);
    return code;
}

int journal_segment_at(struct journal *j, uint64_t position, struct journal_segment *out)
{
    (void)j;
    *out = (struct journal_segment){.base = position, .epoch = {.bytes = "fake epoch 12345"}};
    return ERR_OK;
}

#endif
