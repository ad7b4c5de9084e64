/* From a valid request to its outcome: idempotency keys, the journal, and the way back to the loop.
 *
 * A request with a key first enters the keyring: if the same request is under way it joins it and gets its outcome. If
 * not, the journal is asked whether it was committed before; the index answers on the loop, the records are read on a
 * worker thread. Only then is it appended. A request leaves the keyring after its records can be found by key, so there
 * is no moment at which a repeat would be taken for new.
 *
 * The journal's commit thread, and other loops, wake this loop through one uv_async. The first request of a turn of the
 * loop is only put into the queue: if it stays the only one and the gateway is idle, it is written and synced on this
 * thread, which spares the way to the commit thread and back. A second one wakes the commit thread at once. */
#include "api/pending.h"

static void finish(struct pending *p, enum outcome outcome, int code);

/* --- back from the journal --- */

static void hand_on(struct pending *from, struct keyring_entry *joined)
{
    while (joined != NULL) {
        struct keyring_entry *next = joined->next;
        struct pending *p = container_of(joined, struct pending, key);
        struct intake *i = p->intake;
        p->outcome = from->outcome == OUTCOME_STORED ? OUTCOME_REPLAYED : from->outcome;
        p->code = from->code;
        p->entry.epoch = from->entry.epoch;
        if (p->outcome == OUTCOME_REPLAYED) {
            CHECK(p->count == from->count); /* the same bytes */
            memcpy(p->positions, from->positions, p->count * sizeof *p->positions);
        }
        p->next = atomic_load(&i->joined);
        while (!atomic_compare_exchange_weak(&i->joined, &p->next, p))
            ;
        uv_async_send(&i->async);
        joined = next;
    }
}

static void finish(struct pending *p, enum outcome outcome, int code)
{
    p->outcome = outcome;
    p->code = code;
    if (p->entered) {
        p->entered = false;
        hand_on(p, keyring_leave(p->intake->options.keyring, &p->key));
    }
    pending_answer(p);
}

void pending_collect(struct intake *i)
{
    struct journal_entry *entry = commit_take(&i->committed);
    while (entry != NULL) {
        struct journal_entry *next = entry->next;
        struct pending *p = container_of(entry, struct pending, entry);
        finish(p, entry->status == ERR_OK ? OUTCOME_STORED : OUTCOME_FAILED, entry->status);
        entry = next;
    }
    struct pending *joined = atomic_exchange(&i->joined, NULL);
    while (joined != NULL) {
        struct pending *next = joined->next;
        pending_answer(joined);
        joined = next;
    }
}

/* --- to the journal --- */

static void append(struct pending *p)
{
    p->entry = (struct journal_entry){
        .queue = &p->intake->committed,
        .records = p->records,
        .count = p->count,
        .positions = p->positions,
    };
    struct intake *i = p->intake;
    struct journal *j = i->options.journal;
    int code = i->appended++ == 0 ? journal_put(j, &p->entry) : journal_append(j, &p->entry);
    if (code != ERR_OK)
        finish(p, OUTCOME_FAILED, code);
}

void pending_turn(struct intake *i, bool alone)
{
    uint32_t appended = i->appended;
    i->appended = 0;
    if (appended != 1)
        return;
    if (!alone)
        journal_wake(i->options.journal);
    else if (journal_commit_here(i->options.journal, &i->committed))
        pending_collect(i);
}

/* --- was it committed before? --- */

static bool context_is(const struct record *record, enum context_tag tag, struct slice wanted)
{
    struct slice value;
    return context_get(record->context, (uint16_t)tag, &value) ? slice_eq(value, wanted) : wanted.len == 0;
}

static bool same_count(const struct record *record, uint32_t count)
{
    struct slice v;
    if (!context_get(record->context, CONTEXT_DOCUMENTS, &v) || v.len != 4)
        return false;
    const unsigned char *b = (const unsigned char *)v.ptr;
    return (b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24) == count;
}

/* The records of one request stand one behind the other. */
static int walk(struct pending *p, struct journal *j, struct buf *copy, struct record *record)
{
    int code = ERR_OK;
    for (uint32_t d = 0; code == ERR_OK && d < p->count; d++) {
        p->positions[d] = record->position;
        if (d + 1 < p->count)
            code = journal_read(j, record->position + record->length, copy, record);
    }
    struct journal_segment segment;
    if (code == ERR_OK)
        code = journal_segment_at(j, p->found, &segment);
    if (code == ERR_OK)
        p->entry.epoch = segment.epoch;
    return code;
}

/* Worker thread. `code`: 0 it was (with its positions), ERR_EXISTS with another body, ERR_NOTFOUND it was not. */
static void look(uv_work_t *work)
{
    struct pending *p = work->data;
    struct journal *j = p->intake->options.journal;
    struct record record;
    struct buf copy;
    buf_init(&copy, UINT32_MAX);
    p->code = journal_read(j, p->found, &copy, &record);
    if (p->code == ERR_OK) {
        if (!context_is(&record, CONTEXT_KEY, p->key.key) || !context_is(&record, CONTEXT_PATH, p->key.path) ||
            !context_is(&record, CONTEXT_CLIENT, p->key.client))
            p->code = ERR_NOTFOUND; /* two keys with one hash */
        else if (!context_is(&record, CONTEXT_DIGEST, slice_make(p->key.digest, KEY_DIGEST)))
            p->code = ERR_EXISTS;
        else
            p->code = same_count(&record, p->count) ? walk(p, j, &copy, &record) : ERR_DAMAGED;
    }
    buf_free(&copy);
}

static void looked(uv_work_t *work, int status)
{
    struct pending *p = work->data;
    int code = status == 0 ? p->code : ERR_IO;
    if (code == ERR_OK)
        finish(p, OUTCOME_REPLAYED, ERR_OK);
    else if (code == ERR_EXISTS)
        finish(p, OUTCOME_CONFLICT, code);
    else if (code == ERR_NOTFOUND || code == ERR_GONE) /* never there, or it lingers no more */
        append(p);
    else
        finish(p, OUTCOME_FAILED, code);
}

static void look_up(struct pending *p)
{
    int code = journal_find_key(p->intake->options.journal, p->key.hash, &p->found);
    if (code == ERR_NOTFOUND) {
        append(p);
        return;
    }
    p->work.data = p;
    if (code == ERR_OK && uv_queue_work(p->intake->loop, &p->work, look, looked) == 0)
        return;
    finish(p, OUTCOME_FAILED, code == ERR_OK ? ERR_NOMEM : code);
}

void pending_submit(struct pending *p)
{
    if (!p->keyed) {
        append(p);
        return;
    }
    switch (keyring_enter(p->intake->options.keyring, &p->key)) {
    case KEYRING_FIRST:
        p->entered = true;
        look_up(p);
        break;
    case KEYRING_JOINED: break; /* comes back through `joined` */
    case KEYRING_OTHER: finish(p, OUTCOME_CONFLICT, ERR_EXISTS); break;
    }
}
