/* A puller's side of the kit: pull(), and emit() with a journal that is the kit's rows. All sets of an emission and the
 * position are taken together, or none of it; then notify() is called, as the host does, from inside emit(). */
#include "testkit.h"

#include "testkit_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UUID_MAX = 128, KEY_MAX = 256, BYTES_MAX = 16 << 20 };

void kit_notify(struct testkit *kit)
{
    const struct hg_puller *p = kit->plugin->puller;
    if (!p->notify || kit->unnotified || kit->host.state_len == 0)
        return;
    kit->notified++;
    p->notify(kit->worker, kit->host.state, kit->host.state_len);
}

/* --- the rules --- */

static int key_fits(struct hg_text key)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] == '\0' || !strchr(letters, key.ptr[i]))
            return 0;
    return key.len > 0 && key.len <= KEY_MAX && key.ptr[0] >= 'a' && key.ptr[0] <= 'z';
}

/* `where`: the pointer of the data object. */
static int data_fits(struct testkit *kit, struct hg_text data, const char *where)
{
    struct hg_value value, inner;
    struct hg_text key;
    size_t at = 0;
    if (!data.ptr || !kit_json_only(data, &value) || value.type != HG_OBJECT || !kit_json_sound(value))
        return kit_fault(kit, "%s: a JSON object is needed", where);
    while (kit_json_next(value.json, &at, &key, &inner))
        if (!key_fits(key))
            return kit_fault(kit, "%s/%.*s: a key must be camelCase", where, (int)(key.len < 300 ? key.len : 300),
                             key.ptr);
    return 1;
}

static int uuid_fits(struct testkit *kit, struct hg_text uuid)
{
    return uuid.ptr && uuid.len > 0 && uuid.len <= UUID_MAX ? 1 : kit_fault(kit, "/uuid: 1 to 128 bytes are needed");
}

/* --- taking --- */

static char *plain(struct hg_text text)
{
    char *out = strndup(text.ptr, text.len);
    for (char *c = out; c && *c != '\0'; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    return out;
}

static int tags_take(struct testkit *kit, struct hg_row *row, const struct hg_set *set)
{
    if (set->tag_count > TAGS_MAX)
        return kit_fault(kit, "/tags: at most %d", TAGS_MAX);
    for (; row->tag_count < set->tag_count; row->tag_count++) {
        const struct hg_tag *tag = &set->tags[row->tag_count];
        row->tags[row->tag_count] = strndup(tag->name.ptr, tag->name.len);
        row->values[row->tag_count] = strndup(tag->value.ptr, tag->value.len);
    }
    return 1;
}

static int rows_take(struct testkit *kit, const struct hg_set *set)
{
    char where[40];
    int ok = uuid_fits(kit, set->uuid);
    for (size_t i = 0; ok && i < set->row_count; i++) {
        snprintf(where, sizeof(where), "/rows/%zu/data", i);
        if (!data_fits(kit, set->rows[i].data, where))
            return 0;
        struct hg_row row = {.number = (uint32_t)i, .index = set->rows[i].index};
        ok = tags_take(kit, &row, set);
        row.uuid = strndup(set->uuid.ptr, set->uuid.len);
        row.data = plain(set->rows[i].data);
        ok = kit_row_add(kit, row) && ok;
    }
    return ok;
}

static int document_take(struct testkit *kit, struct hg_text document)
{
    size_t first = kit->row_count;
    char where[40];
    char *text = plain(document);
    int ok = text ? kit_document_add(kit, kit_text(text)) : kit_fault(kit, "no memory");
    free(text);
    for (size_t i = first; ok && i < kit->row_count; i++) {
        snprintf(where, sizeof(where), "/rows/%zu/data", i - first);
        ok = uuid_fits(kit, kit_text(kit->rows[i].uuid)) && data_fits(kit, kit_text(kit->rows[i].data), where);
    }
    return ok;
}

/* What makes the sets too much together; or NULL. */
static const char *too_much(const struct testkit *kit, const struct hg_emit *emit)
{
    size_t rows = 0, bytes = 0;
    for (size_t i = 0; i < emit->set_count; i++) {
        const struct hg_set *set = &emit->sets[i];
        rows += set->document.ptr ? 1 : set->row_count;
        bytes += set->document.ptr ? set->document.len : 0;
        for (size_t k = 0; !set->document.ptr && k < set->row_count; k++)
            bytes += set->rows[k].data.len;
    }
    return rows > kit->emit_most ? "too many rows" : bytes > BYTES_MAX ? "too large" : NULL;
}

/* enum hg_emit_result; `told` says the rest. */
static int sets_take(struct testkit *kit, const struct hg_emit *emit, struct hg_emitted *told)
{
    const size_t before = kit->row_count, sets = kit->set_count;
    const char *much = too_much(kit, emit);
    int ok = !much || kit_fault(kit, "%s", much);
    told->bad_set = emit->set_count;
    for (size_t i = 0; ok && i < emit->set_count; i++) {
        size_t first = kit->row_count;
        told->bad_set = i;
        ok = emit->sets[i].document.ptr ? document_take(kit, emit->sets[i].document) : rows_take(kit, &emit->sets[i]);
        kit_set_end(kit, first);
    }
    if (ok && kit->row_count - before > kit->emit_most) {
        told->bad_set = emit->set_count;
        ok = kit_fault(kit, "too many rows");
    }
    if (ok)
        return HG_EMITTED;
    kit_rows_cut(kit, before);
    kit->set_count = sets;
    snprintf(told->reason, sizeof(told->reason), "%s", kit->host.fault);
    return HG_EMIT_REFUSED;
}

/* --- emit() --- */

static const char *misused(const struct testkit *kit, const struct hg_emit *emit)
{
    if (!kit->pulling)
        return "emit() belongs to pull()";
    if (!emit || emit->size != sizeof(*emit) || emit->set_size != sizeof(struct hg_set))
        return "emit: its sizes are not those of this header";
    if (emit->set_count > 0 && !emit->sets)
        return "emit: no sets where some are said to be";
    if (emit->position && emit->position_size > HG_STATE_MAX)
        return "emit: the position is larger than HG_STATE_MAX";
    return emit->set_count == 0 && !emit->position ? "emit: neither rows nor a position" : NULL;
}

/* On the test's clock. 1: there is room now. */
static int room_wait(struct testkit *kit, int64_t wait_ms)
{
    struct hg_host *h = &kit->host;
    pthread_mutex_lock(&h->lock);
    int room = kit->full == 0;
    if (!room && !h->stopping) {
        int64_t left = h->stop_at < 0 ? INT64_MAX : h->stop_at - h->waited;
        int64_t most = wait_ms >= 0 && wait_ms < left ? wait_ms : left;
        room = kit->full > 0 && kit->full <= most;
        int64_t waited = room ? kit->full : most == INT64_MAX ? 0 : most;
        kit->full -= kit->full > 0 ? waited : 0;
        h->waited += waited;
        kit_stop_check(h);
        h->stopping |= !room && wait_ms < 0;
    }
    pthread_mutex_unlock(&h->lock);
    return room;
}

static int offer(struct testkit *kit, const struct hg_emit *emit, struct hg_emitted *told)
{
    told->bad_set = emit->set_count;
    if (kit->fails > 0) {
        kit->fails--;
        snprintf(told->reason, sizeof(told->reason), "%s", kit->fails_why);
        return kit->fails_as;
    }
    if (!room_wait(kit, emit->wait_ms)) {
        snprintf(told->reason, sizeof(told->reason), "the disk budget is spent");
        return HG_EMIT_NOT_NOW;
    }
    return sets_take(kit, emit, told);
}

static void durable(struct testkit *kit, const struct hg_emit *emit)
{
    if (!emit->position)
        return;
    kit->host.state_len = 0;
    if (emit->position_size > 0)
        kit_state_put(&kit->host, emit->position, emit->position_size);
    kit->placed = kit->row_count;
    kit_notify(kit);
}

int kit_emit(struct hg_host *host, const struct hg_emit *emit, struct hg_emitted *out)
{
    struct testkit *kit = host->kit;
    struct hg_emitted told = {.size = sizeof(told)};
    const char *wrong = misused(kit, emit);
    char fault[TEXT_SIZE]; /* is the plugin's, not ours */
    memcpy(fault, host->fault, sizeof(fault));
    int result = HG_EMIT_REFUSED;
    if (wrong)
        snprintf(told.reason, sizeof(told.reason), "%s", wrong);
    else
        result = offer(kit, emit, &told);
    memcpy(host->fault, fault, sizeof(fault));
    if (result == HG_EMITTED)
        durable(kit, emit);
    if (out && out->size == sizeof(*out))
        *out = told;
    return result;
}

/* --- the test's side --- */

int testkit_pull(struct testkit *kit)
{
    if (!kit->opened || kit->plugin->kind != HG_PULLER)
        return kit_fault(kit, "not started, or no puller");
    kit->host.fault[0] = '\0';
    kit->host.time_left = INT64_MAX / 2; /* TIMEOUT does not hold for pull() */
    kit->pulling = 1;
    int result = kit->plugin->puller->pull(kit->worker);
    kit->pulling = 0;
    return result >= HG_PULLED && result <= HG_PULL_BROKEN
               ? result
               : kit_fault(kit, "pull() returned %d, which is no result", result);
}

int testkit_run(struct testkit *kit, size_t most)
{
    int result = HG_PULLED;
    for (size_t i = 0; result == HG_PULLED && i < most; i++)
        result = testkit_pull(kit);
    return result;
}

size_t testkit_placed(const struct testkit *kit)
{
    return kit->placed;
}

size_t testkit_notified(const struct testkit *kit)
{
    return kit->notified;
}

void testkit_unnotified(struct testkit *kit, int unnotified)
{
    kit->unnotified = unnotified;
}

void testkit_emit_fails(struct testkit *kit, size_t times, int result, const char *reason)
{
    kit->fails = times;
    kit->fails_as = result;
    snprintf(kit->fails_why, sizeof(kit->fails_why), "%s", reason);
}

void testkit_full(struct testkit *kit, int64_t ms)
{
    kit->full = ms;
}

void testkit_emit_most(struct testkit *kit, size_t rows)
{
    kit->emit_most = rows;
}
