/* Committing: what piled up becomes one group, is written, synced, published and handed back; then the next pile.
 *
 * Called by who has the writer, the commit thread as a rule: commit_step never waits for anything but the disk. There
 * is no timer: while one fdatasync runs the next pile gathers. Durable before visible: the mark moves and the entries
 * go back only after the sync (with durability `fsync`), so an answer never promises what a crash can take.
 *
 * A failed write or sync is never tried again on the same file: the kernel may have marked its pages clean. The segment
 * ends at its last durable group for good, and the next one begins beyond every byte that was ever handed to it. */
#include "base/sys.h"
#include "journal/files.h"
#include "journal/group.h"

#include <errno.h>

enum { WAKES_MAX = 32, SYNC_WEIGHT = 8 };

/* --- handing back --- */

static void queue_push(struct commit_queue *q, struct journal_entry *e)
{
    struct journal_entry *top = atomic_load_explicit(&q->done, memory_order_relaxed);
    do
        e->next = top;
    while (!atomic_compare_exchange_weak_explicit(&q->done, &top, e, memory_order_release, memory_order_relaxed));
}

struct journal_entry *commit_take(struct commit_queue *q)
{
    struct journal_entry *newest = atomic_exchange_explicit(&q->done, NULL, memory_order_acquire), *oldest = NULL;
    while (newest != NULL) {
        struct journal_entry *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void wakes_send(const struct writer *w, struct commit_queue *const *queues, int count)
{
    for (int i = 0; i < count; i++)
        if (queues[i] != w->own)
            queues[i]->wake(queues[i]->arg);
}

/* An entry belongs to its owner again once it is pushed. */
static void entries_finish(const struct writer *w, struct journal_entry *list, uint32_t count, int status)
{
    struct commit_queue *queues[WAKES_MAX];
    int used = 0;
    for (; count > 0; count--) {
        struct journal_entry *e = list;
        struct commit_queue *q = e->queue;
        list = e->next;
        e->status = status;
        queue_push(q, e);
        int i = 0;
        while (i < used && queues[i] != q)
            i++;
        if (i == used && used == WAKES_MAX) {
            wakes_send(w, queues, used);
            used = i = 0;
        }
        if (i == used)
            queues[used++] = q;
    }
    wakes_send(w, queues, used);
}

/* --- the pile --- */

static void pile_take(struct journal *j)
{
    struct writer *w = &j->writer;
    journal_lock(j);
    if (j->queue != NULL) {
        *w->pile_end = j->queue;
        w->pile_end = j->queue_end;
        j->queue = NULL;
        j->queue_end = &j->queue;
    }
    journal_unlock(j);
}

/* The first `count` entries leave the pile; they stay linked. */
static struct journal_entry *pile_cut(struct writer *w, uint32_t count)
{
    struct journal_entry *first = w->pile;
    for (; count > 0; count--)
        w->pile = w->pile->next;
    if (w->pile == NULL)
        w->pile_end = &w->pile;
    return first;
}

static void pile_fail(struct writer *w, int status)
{
    uint32_t count = 0;
    for (const struct journal_entry *e = w->pile; e != NULL; e = e->next)
        count++;
    entries_finish(w, pile_cut(w, count), count, status);
}

/* --- the head --- */

static void head_leave(struct writer *w)
{
    sys->close(w->fd);
    w->fd = -1;
    w->head = NULL;
    w->unsynced = false;
}

static void prepared_discard(struct journal *j)
{
    while (j->prepared_count > 0) {
        struct prepared *p = &j->prepared[--j->prepared_count];
        sys->close(p->fd);
        segment_discard(j, p->segment);
    }
}

/* Nothing after the last durable group counts, and nothing is written here ever again. If not even the first group of
 * the file came through, it is no segment at all, and the ones made ready before are not trusted either: the helper has
 * to prove a new one. */
static void head_void(struct journal *j, const char *what, int number)
{
    struct writer *w = &j->writer;
    struct err e;
    err_errno(&e, number, "segment %016llx is given up after a failed %s", (unsigned long long)w->head->header.base,
              what);
    journal_lock(j);
    w->head->voided = true;
    w->head->sealed_us = clock_wall_us();
    if (!w->begun) {
        segment_discard(j, w->head);
        prepared_discard(j);
    }
    j->voided++;
    intake_set(j, j->intake, "%.*s", (int)sizeof j->text - 1, e.text);
    helper_call(j);
    journal_unlock(j);
    head_leave(w);
}

static int head_sync(struct journal *j)
{
    struct writer *w = &j->writer;
    int64_t before = clock_ns();
    if (sys->fdatasync(w->fd) != 0)
        return err_from_errno(errno);
    int64_t spent = clock_ns() - before;
    w->sync_ns += w->sync_ns == 0 ? spent : (spent - w->sync_ns) / SYNC_WEIGHT;
    w->unsynced = false;
    journal_lock(j);
    sync_note(j, spent);
    journal_unlock(j);
    return ERR_OK;
}

/* Full, or left because the journal is closed: what was written without a sync is synced now, so that a segment that
 * is properly followed never needs to be looked through at a start. */
static void head_seal(struct journal *j)
{
    struct writer *w = &j->writer;
    if (w->unsynced) {
        if (head_sync(j) != ERR_OK) {
            head_void(j, "sync", errno);
            journal_tell(j);
            return;
        }
        w->synced = w->at;
    }
    journal_lock(j);
    w->head->sealed_us = clock_wall_us();
    helper_call(j);
    journal_unlock(j);
    head_leave(w);
}

/* Take the next segment that is ready. 0; ERR_AGAIN: wait for the helper; else why there is none. */
static int head_begin(struct journal *j)
{
    struct writer *w = &j->writer;
    journal_lock(j);
    int code = ERR_OK;
    if (j->prepared_count == 0) {
        code = j->intake != ERR_OK ? j->intake : ERR_AGAIN;
        j->need_segment = true;
        helper_call(j);
    } else {
        struct segment *before = table_last(j), *head = j->prepared[0].segment;
        w->fd = j->prepared[0].fd;
        memmove(j->prepared, j->prepared + 1, --j->prepared_count * sizeof j->prepared[0]);
        j->need_segment = false;
        head->header.prev_base = before == NULL ? POSITION_NONE : before->header.base;
        head->header.prev_end = before == NULL ? POSITION_NONE : before->end;
        head->header.prev_epoch = before == NULL ? (struct epoch){.bytes = {0}} : before->header.epoch;
        head->header.first_row = w->rows;
        head->header.created_us = clock_wall_us();
        w->head = head;
        w->begun = false;
        w->at = segment_first(head);
        w->prev_crc = 0;
        helper_call(j);
    }
    journal_unlock(j);
    return code;
}

/* --- a group --- */

/* Under the lock. */
static void entry_index(struct segment *head, const struct journal_entry *e)
{
    for (uint32_t i = 0; i < e->count; i++) {
        const struct record_parts *r = &e->records[i];
        index_add(head->memory, r->uuid_hash, r->key_hash, head->header.base, e->positions[i]);
        if (r->uuid_hash != 0)
            index_add_set(head->memory, r->client, record_length(r), e->received_us, head->header.base,
                          e->positions[i]);
    }
}

static void group_publish(struct journal *j, const struct group_plan *plan, uint32_t last_crc, bool synced)
{
    struct writer *w = &j->writer;
    uint64_t end = w->at + plan->length;
    struct segment *head = w->head;
    w->prev_crc = last_crc;
    w->rows += plan->rows;
    w->at = end;
    if (synced)
        w->synced = end;
    journal_lock(j);
    if (!w->begun)
        table_insert(j, head);
    head->end = end;
    j->mark = (struct journal_mark){.position = end, .rows = w->rows};
    j->commits++;
    struct journal_entry *e = w->pile;
    for (uint32_t n = 0; n < plan->entries; n++, e = e->next)
        entry_index(head, e);
    journal_unlock(j);
    w->begun = true;
    w->lonely = plan->entries == 1;
}

static void group_commit(struct journal *j, const struct group_plan *plan, const struct journal_options *options)
{
    struct writer *w = &j->writer;
    const char *what = "write";
    uint32_t last_crc;
    bool sync = options->durability == DURABILITY_FSYNC;
    int code = group_write(w, plan, clock_wall_us(), &last_crc);
    if (code == ERR_OK && sync) {
        what = "sync";
        code = head_sync(j);
    }
    int number = errno;
    if (code != ERR_OK) {
        head_void(j, what, number);
        entries_finish(w, pile_cut(w, plan->entries), plan->entries, ERR_IO);
        journal_tell(j);
        return;
    }
    if (!sync && !w->unsynced) {
        w->unsynced = true;
        w->sync_due_ms = clock_ms() + options->interval_ms;
    }
    group_publish(j, plan, last_crc, sync);
    entries_finish(w, pile_cut(w, plan->entries), plan->entries, ERR_OK);
}

/* A head in which at least the first waiting entry fits. */
static int head_with_room(struct journal *j, struct group_plan *plan)
{
    struct writer *w = &j->writer;
    if (w->head != NULL) {
        group_plan(w->pile, w->head->header.base + w->head->header.size - w->at, plan);
        if (plan->entries > 0)
            return ERR_OK;
        head_seal(j);
    }
    int code = head_begin(j);
    if (code == ERR_OK) {
        group_plan(w->pile, w->head->header.size - SEGMENT_HEADER, plan);
        CHECK(plan->entries > 0); /* journal_append refuses what no segment takes */
    }
    return code;
}

static enum commit_state sync_when_due(struct journal *j, const struct journal_options *options)
{
    struct writer *w = &j->writer;
    if (!w->unsynced || options->durability != DURABILITY_INTERVAL)
        return COMMIT_IDLE;
    if (clock_ms() < w->sync_due_ms)
        return COMMIT_SYNC_DUE;
    if (head_sync(j) == ERR_OK) {
        w->synced = w->at;
        return COMMIT_IDLE;
    }
    head_void(j, "sync", errno);
    journal_tell(j);
    return COMMIT_IDLE;
}

/* The settings in force: they may change while there is always something waiting, so each group asks. */
static struct journal_options options_now(struct journal *j)
{
    journal_lock(j);
    struct journal_options options = j->options;
    journal_unlock(j);
    return options;
}

static enum commit_state commit(struct journal *j, bool once)
{
    struct writer *w = &j->writer;
    struct journal_options options = options_now(j);
    for (pile_take(j); w->pile != NULL; pile_take(j)) {
        struct group_plan plan;
        int code = head_with_room(j, &plan);
        if (code == ERR_AGAIN)
            return COMMIT_SEGMENT;
        options = options_now(j);
        if (code == ERR_OK)
            group_commit(j, &plan, &options);
        else
            pile_fail(w, code);
        if (once && w->pile != NULL)
            return COMMIT_MORE;
        if (once)
            break;
    }
    return sync_when_due(j, &options);
}

enum commit_state commit_step(struct journal *j)
{
    return commit(j, false);
}

enum commit_state commit_one(struct journal *j)
{
    return commit(j, true);
}

void commit_finish(struct journal *j)
{
    if (j->writer.head != NULL)
        head_seal(j);
}
