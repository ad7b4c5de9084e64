/* What the journal's tests share: a journal in a directory of its own, entries that are waited for, and a memory of
 * everything that was acknowledged, to be compared with what a reader finds. */
#ifndef HG_TEST_JOURNAL_BED_H
#define HG_TEST_JOURNAL_BED_H

#include "base/hash.h"
#include "base/sys.h"
#include "journal/files.h"
#include "journal/journal.h"
#include "journal/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

enum { BED_SEGMENT = 64 * 1024, PUT_RECORDS_MAX = 8 };

/* One request with all its memory. */
struct put {
    struct journal_entry entry;
    struct record_parts records[PUT_RECORDS_MAX];
    struct buf contexts[PUT_RECORDS_MAX];
    struct row_span spans[PUT_RECORDS_MAX][4];
    char *data[PUT_RECORDS_MAX];
    uint64_t positions[PUT_RECORDS_MAX];
    char uuids[PUT_RECORDS_MAX][40];
};

struct fact { /* an acknowledged record */
    uint64_t position;
    struct epoch epoch;
    uint64_t content; /* hash of context, spans and data */
    uint32_t rows;
    uint64_t uuid, key;
};

struct bed {
    char dir[128];
    struct journal_options options;
    struct journal_report report;
    struct journal *j;
    struct commit_queue queue;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    uint64_t wakes;
    struct fact *facts;
    size_t fact_count, fact_cap;
    uint64_t serial;
    uint64_t settled; /* the position released */
};

/* The client of what is put from now on; "": nobody. */
static char bed_client_name[CLIENT_MAX + 1];

static inline void bed_client(const char *name)
{
    snprintf(bed_client_name, sizeof bed_client_name, "%s", name);
}

static inline void bed_wake(void *arg)
{
    struct bed *b = arg;
    pthread_mutex_lock(&b->lock);
    b->wakes++;
    pthread_cond_broadcast(&b->wake);
    pthread_mutex_unlock(&b->lock);
}

static inline int tree_remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

static inline void tree_remove(const char *path)
{
    nftw(path, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void bed_init(struct bed *b)
{
    memset(b, 0, sizeof *b);
    const char *tmp = getenv("TMPDIR");
    snprintf(b->dir, sizeof b->dir, "%s/journal-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(b->dir));
    b->options = (struct journal_options){.dir = b->dir,
                                          .segment_bytes = BED_SEGMENT,
                                          .max_bytes = 64 * BED_SEGMENT,
                                          .durability = DURABILITY_FSYNC,
                                          .interval_ms = 20,
                                          .keep_ms = 3600 * 1000,
                                          .keep_bytes = 32 * BED_SEGMENT,
                                          .retry_ms = 5,
                                          .changed = bed_wake,
                                          .arg = b};
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->wake, NULL);
    b->queue = (struct commit_queue){.wake = bed_wake, .arg = b};
}

static inline void bed_fini(struct bed *b)
{
    journal_close(&b->j);
    tree_remove(b->dir);
    free(b->facts);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->wake);
}

static inline int bed_try_open(struct bed *b)
{
    struct err e = {.text = ""};
    int code = journal_open(&b->j, &b->options, &b->report, &e);
    if (code != ERR_OK)
        assert_true(e.text[0] != '\0');
    return code;
}

static inline void bed_open(struct bed *b)
{
    assert_int_equal(bed_try_open(b), ERR_OK);
}

static inline void bed_reopen(struct bed *b)
{
    journal_close(&b->j);
    bed_open(b);
}

/* Waits for `ready`, which is asked again at every wake. */
static inline void bed_wait(struct bed *b, bool (*ready)(struct bed *b, void *arg), void *arg)
{
    for (;;) {
        pthread_mutex_lock(&b->lock);
        uint64_t seen = b->wakes;
        pthread_mutex_unlock(&b->lock);
        if (ready(b, arg))
            return;
        pthread_mutex_lock(&b->lock);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 20 * 1000000; /* some of what is waited for (a file removed) wakes nobody */
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        if (b->wakes == seen)
            pthread_cond_timedwait(&b->wake, &b->lock, &until);
        pthread_mutex_unlock(&b->lock);
    }
}

/* --- requests --- */

static inline void put_init(struct put *p, uint32_t count, uint64_t serial, size_t size, const char *key)
{
    memset(p, 0, sizeof *p);
    p->entry.records = p->records;
    p->entry.count = count;
    p->entry.positions = p->positions;
    for (uint32_t i = 0; i < count; i++) {
        size_t room = size + 128;
        p->data[i] = malloc(room);
        assert_non_null(p->data[i]);
        int head = snprintf(p->data[i], room, "{\"uuid\":\"u%llu\",\"row\":{\"data\":", (unsigned long long)serial);
        int body = snprintf(p->data[i] + head, room - (size_t)head, "{\"n\":%llu,\"i\":%u,\"pad\":\"",
                            (unsigned long long)serial, i);
        size_t len = (size_t)(head + body);
        for (size_t n = 0; n < size; n++)
            p->data[i][len++] = (char)('a' + (serial * 7 + n * 13 + i) % 26);
        memcpy(p->data[i] + len, "\"}}}", 4);
        uint32_t data_len = (uint32_t)len + 2 - (uint32_t)head;
        p->spans[i][0] = (struct row_span){.offset = (uint32_t)head, .length = data_len, .index = serial};
        snprintf(p->uuids[i], sizeof p->uuids[i], "u%llu", (unsigned long long)serial);
        buf_init(&p->contexts[i], 4096);
        assert_int_equal(context_add(&p->contexts[i], CONTEXT_UUID, slice_of(p->uuids[i])), 0);
        if (bed_client_name[0] != '\0')
            assert_int_equal(context_add(&p->contexts[i], CONTEXT_CLIENT, slice_of(bed_client_name)), 0);
        if (key != NULL && i == 0) {
            assert_int_equal(context_add(&p->contexts[i], CONTEXT_KEY, slice_of(key)), 0);
            assert_int_equal(context_add(&p->contexts[i], CONTEXT_PATH, SLICE_LIT("/v1/rows")), 0);
        }
        assert_int_equal(context_finish(&p->contexts[i]), 0);
        p->records[i] = (struct record_parts){.type = RECORD_ROWS,
                                              .rows = 1,
                                              .context = buf_slice(&p->contexts[i]),
                                              .spans = p->spans[i],
                                              .data = slice_make(p->data[i], len + 4)};
    }
}

static inline void put_fini(struct put *p)
{
    for (uint32_t i = 0; i < p->entry.count; i++) {
        free(p->data[i]);
        buf_free(&p->contexts[i]);
    }
}

static inline uint64_t content_hash(struct slice context, const void *spans, size_t spans_len, struct slice data)
{
    uint64_t three[3] = {hash_bytes(context), hash_bytes(slice_make(spans, spans_len)), hash_bytes(data)};
    return hash_bytes(slice_make(three, sizeof three));
}

static inline void bed_remember(struct bed *b, const struct put *p)
{
    for (uint32_t i = 0; i < p->entry.count; i++) {
        if (b->fact_count == b->fact_cap) {
            b->fact_cap = b->fact_cap == 0 ? 256 : b->fact_cap * 2;
            b->facts = realloc(b->facts, b->fact_cap * sizeof *b->facts);
            assert_non_null(b->facts);
        }
        const struct record_parts *r = &p->records[i];
        b->facts[b->fact_count++] =
            (struct fact){.position = p->positions[i],
                          .epoch = p->entry.epoch,
                          .content = content_hash(r->context, r->spans, r->rows * sizeof *r->spans, r->data),
                          .rows = r->rows,
                          .uuid = r->uuid_hash,
                          .key = r->key_hash};
    }
}

static inline bool queue_filled(struct bed *b, void *arg)
{
    struct journal_entry **list = arg;
    struct journal_entry *more = commit_take(&b->queue), **end = list;
    while (*end != NULL)
        end = &(*end)->next;
    *end = more;
    return *list != NULL;
}

/* One request, waited for; what was acknowledged is remembered. */
static inline int bed_put_key(struct bed *b, uint32_t count, size_t size, const char *key, uint64_t *position)
{
    struct put p;
    struct journal_entry *done = NULL;
    put_init(&p, count, ++b->serial, size, key);
    p.entry.queue = &b->queue;
    int code = journal_append(b->j, &p.entry);
    if (code == ERR_OK) {
        bed_wait(b, queue_filled, &done);
        assert_ptr_equal(done, &p.entry);
        assert_null(done->next);
        code = done->status;
        if (code == ERR_OK)
            bed_remember(b, &p);
        if (position != NULL)
            *position = p.positions[0];
    }
    put_fini(&p);
    return code;
}

static inline int bed_put(struct bed *b, uint32_t count, size_t size)
{
    return bed_put_key(b, count, size, NULL, NULL);
}

/* --- comparing --- */

struct bed_found {
    size_t records, facts, damages; /* facts: of them known to be acknowledged */
    uint64_t damaged_bytes;
};

static inline const struct fact *bed_fact(const struct bed *b, uint64_t position)
{
    for (size_t lo = 0, hi = b->fact_count; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        if (b->facts[mid].position == position)
            return &b->facts[mid];
        if (b->facts[mid].position < position)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* Reads everything there is, in order; what is known must be as it was. */
static inline struct bed_found bed_read_all(struct bed *b)
{
    struct bed_found found = {.records = 0};
    uint64_t at = 0, last = 0;
    struct journal_segment s;
    while (journal_segment_at(b->j, at, &s) == ERR_OK) {
        struct reader r;
        int fd, code = 0;
        assert_int_equal(journal_hold(b->j, s.base, &fd, NULL), ERR_OK);
        reader_init(&r, fd, s.base, s.salt);
        at = at < s.first ? s.first : at;
        for (enum read_result result = READ_RECORD; result != READ_END;) {
            struct record record;
            struct read_damage damage;
            result = reader_next(&r, &at, s.end, &record, &damage, &code);
            assert_int_not_equal(result, READ_ERROR);
            if (result == READ_DAMAGE) {
                found.damages++;
                found.damaged_bytes += damage.to - damage.from;
                journal_report_damage(b->j, damage);
            }
            if (result != READ_RECORD)
                continue;
            assert_true(record.position > last);
            last = record.position;
            found.records++;
            const struct fact *fact = bed_fact(b, record.position);
            if (fact == NULL)
                continue;
            found.facts++;
            assert_memory_equal(&fact->epoch, &s.epoch, sizeof s.epoch);
            assert_true(fact->content == content_hash(record.context, record.spans.ptr, record.spans.len, record.data));
        }
        at = s.end;
        reader_fini(&r);
        close(fd);
        journal_unhold(b->j, s.base);
    }
    return found;
}

static inline void bed_expect_all(struct bed *b)
{
    struct bed_found found = bed_read_all(b);
    assert_int_equal(found.facts, b->fact_count);
    assert_int_equal(found.damages, 0);
}

#endif
