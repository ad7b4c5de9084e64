/* What the host offers a plugin: every function of `struct hg_api`, each a thin view on the lent rows or on the host.
 * Called from the plugin's threads. Nothing here copies a row's data or allocates for a row; ids are formatted when
 * asked for. Arguments come from third-party code: what a careless caller may get wrong (a number beyond the end, a
 * NULL reason) is answered, not trusted. */
#include "host/hostapi.h"

#include "base/sys.h"
#include "host/emit.h"
#include "host/hostlog.h"
#include "host/life.h"
#include "rows/rows.h"

#include <stdio.h>

_Static_assert(ROW_ID_LEN < (int)HG_ROW_ID_SIZE && BATCH_ID_LEN < (int)HG_BATCH_ID_SIZE,
               "ids fit the plugin's buffers");

static struct hg_text text_of(struct slice s)
{
    return (struct hg_text){s.ptr, s.len};
}

/* --- rows --- */

static size_t api_row_count(const struct hg_rows *rows)
{
    return lent_seen_count(rows);
}

static const struct hg_row *api_row(const struct hg_rows *rows, size_t n)
{
    return lent_seen(rows, n);
}

/* The rows of a set share it, and most pushers ask for each. */
static const char *record_id(struct lent_record *record)
{
    if (record->id[0] == '\0')
        batch_id_text(&record->epoch, record->position, record->id);
    return record->id;
}

static void api_row_id(const struct hg_row *row, char out[HG_ROW_ID_SIZE])
{
    row_id_extend(record_id(row->record), row->number, out);
}

static void api_batch_id(const struct hg_row *row, char out[HG_BATCH_ID_SIZE])
{
    memcpy(out, record_id(row->record), BATCH_ID_LEN + 1);
}

static struct hg_text api_uuid(const struct hg_row *row)
{
    return text_of(row->record->uuid);
}

static uint32_t api_number(const struct hg_row *row)
{
    return row->number;
}

static int api_last(const struct hg_row *row)
{
    bool whole = row->record->store == STORE_JOURNAL || row->record->set;
    return whole && row->number + 1 == row->record->rows;
}

static int64_t api_index(const struct hg_row *row)
{
    return row->index == INDEX_NONE ? -1 : (int64_t)row->index;
}

static struct hg_text api_client(const struct hg_row *row)
{
    return text_of(row->record->client);
}

static int64_t api_received(const struct hg_row *row)
{
    return row->record->received_us;
}

static uint32_t api_attempt(const struct hg_row *row)
{
    return row->record->attempt;
}

static uint32_t api_origin(const struct hg_row *row)
{
    return row->record->origin;
}

static struct hg_text api_data(const struct hg_row *row)
{
    return (struct hg_text){row->data, row->length};
}

static struct hg_text api_tag(const struct hg_row *row, const char *wanted)
{
    size_t at = 0;
    struct slice name, value;
    while (lent_tag_next(lent_tags(row), &at, &name, &value))
        if (slice_is(name, wanted))
            return text_of(value);
    return (struct hg_text){NULL, 0};
}

static int api_tag_at(const struct hg_row *row, size_t n, struct hg_text *name, struct hg_text *value)
{
    size_t at = 0;
    struct slice found, content;
    while (lent_tag_next(lent_tags(row), &at, &found, &content))
        if (n-- == 0) {
            *name = text_of(found);
            *value = text_of(content);
            return 1;
        }
    return 0;
}

/* The first byte of a valid JSON value tells its type (RFC 8259 section 3). */
static struct hg_value value_of(struct slice json)
{
    uint32_t type = HG_NUM;
    switch (json.len > 0 ? json.ptr[0] : 'n') {
    case 'n': type = HG_NULL; break;
    case 'f': type = HG_FALSE; break;
    case 't': type = HG_TRUE; break;
    case '"': type = HG_STR; break;
    case '[': type = HG_ARRAY; break;
    case '{': type = HG_OBJECT; break;
    }
    return (struct hg_value){.type = type, .json = text_of(json)};
}

static int api_field(const struct hg_row *row, const char *key, struct hg_value *out)
{
    struct slice value;
    if (!json_get(slice_make(row->data, row->length), slice_of(key), &value))
        return 0;
    *out = value_of(value);
    return 1;
}

static int api_next(struct hg_text container, size_t *at, struct hg_text *key, struct hg_value *out)
{
    struct json_field field;
    if (!json_next(slice_make(container.ptr, container.len), at, &field))
        return 0;
    *key = text_of(field.key);
    *out = value_of(field.value);
    return 1;
}

static long api_text(struct hg_text json, char *out, size_t size)
{
    return json_unescape(slice_make(json.ptr, json.len), out, size);
}

/* --- verdicts --- */

static void api_judge(struct hg_rows *rows, size_t n, uint32_t verdict, int64_t after_ms, const char *reason)
{
    CHECK_MAGIC(rows, LENT_MAGIC);
    window_lock(rows);
    lent_judge(rows, n, verdict, after_ms, reason);
    window_unlock(rows);
}

static int api_not_now(struct hg_rows *rows, int64_t after_ms, const char *reason)
{
    CHECK_MAGIC(rows, LENT_MAGIC);
    window_lock(rows);
    lent_not_now(rows, after_ms, reason);
    window_unlock(rows);
    return HG_NOT_NOW;
}

static uint64_t api_later(struct hg_rows *rows)
{
    CHECK_MAGIC(rows, LENT_MAGIC);
    return rows->changing == NULL ? window_open(rows) : 0;
}

static int api_settle(struct hg_host *w, uint64_t token, size_t n, uint32_t verdict, int64_t after_ms,
                      const char *reason)
{
    CHECK_MAGIC(w, WORKER_MAGIC);
    if (w != w->of)
        return 0;
    return window_settle(&w->rows, token, n, verdict, after_ms, reason);
}

static int api_settle_not_now(struct hg_host *w, uint64_t token, int64_t after_ms, const char *reason)
{
    CHECK_MAGIC(w, WORKER_MAGIC);
    if (w != w->of)
        return 0;
    return window_not_now(&w->rows, token, after_ms, reason);
}

/* --- the host --- */

static const char *api_instance(const struct hg_host *w)
{
    return w->name;
}

static void api_fail(struct hg_host *w, const char *reason)
{
    CHECK_MAGIC(w, WORKER_MAGIC);
    snprintf(w->reason, sizeof w->reason, "%.*s", reason == NULL ? 0 : (int)reason_cut(reason),
             reason == NULL ? "" : reason);
}

static void api_log(struct hg_host *w, uint32_t level, const char *text)
{
    CHECK_MAGIC(w, WORKER_MAGIC);
    if (text != NULL)
        hostlog_text(level, text);
}

static void api_count(struct hg_host *w, const char *name, uint64_t add)
{
    CHECK_MAGIC(w, WORKER_MAGIC);
    if (!tally_add(&w->host->tally, name, add))
        hostlog(HG_LOG_WARN, "a counter was not counted: its name is not [a-z][a-z0-9_]* or there are more than %d",
                TALLY_NAMES);
}

static int64_t api_time_left(const struct hg_host *w)
{
    int64_t left = atomic_load_explicit(&w->of->deadline, memory_order_relaxed) - clock_ms();
    return left > 0 ? left : 0;
}

static int api_stopping(const struct hg_host *w)
{
    return atomic_load(&w->host->stopping);
}

static int api_wait(struct hg_host *w, int64_t ms)
{
    CHECK_MAGIC(w, WORKER_MAGIC);
    return life_pause(w->of, ms);
}

static size_t api_state_get(const struct hg_host *w, void *out, size_t size)
{
    struct host *h = w->host;
    if (w != w->of) /* the state is the pusher's */
        return 0;
    pthread_mutex_lock(&h->mutex);
    size_t len = h->state_len;
    if (len > 0 && size > 0)
        memcpy(out, h->state, len < size ? len : size);
    pthread_mutex_unlock(&h->mutex);
    return len;
}

static int api_state_set(struct hg_host *w, const void *state, size_t len)
{
    CHECK_MAGIC(w, WORKER_MAGIC);
    struct host *h = w->host;
    if (len > HG_STATE_MAX || !w->pushing)
        return 0;
    pthread_mutex_lock(&h->mutex);
    if (len > 0)
        memcpy(h->state, state, len);
    h->state_len = len;
    pthread_mutex_unlock(&h->mutex);
    w->state_changed = true;
    return 1;
}

/* Rows before a range: the daemon hands ranges out in order, so what lies before one is settled or waits for another
 * try. While something waits its uuid is held back, so without one nothing does; but without order per uuid
 * (HAND_SPREAD) nobody is held back, and then, as in a list or a replay, nothing is certain. */
static int api_settled(const struct hg_host *w, const char *row_id)
{
    struct epoch epoch;
    uint64_t position;
    uint32_t row;
    const struct wire_hand *h = &w->hand.head;
    if (!w->pushing || h->kind != HAND_RANGE || (h->flags & (HAND_REPLAY | HAND_SPREAD)) != 0 || h->held > 0 ||
        row_id == NULL || row_id_parse(slice_of(row_id), &epoch, &position, &row) != ERR_OK)
        return 0;
    int order = memcmp(epoch.bytes, w->rows.rows[0].record->epoch.bytes, sizeof epoch.bytes);
    if (order != 0)
        return order < 0;
    return position < h->from.position || (position == h->from.position && row < h->from.row);
}

/* --- from process() --- */

static int api_set_data(struct hg_rows *rows, size_t n, const char *json, size_t len)
{
    CHECK_MAGIC(rows, LENT_MAGIC);
    return lent_set_data(rows, n, slice_make(json, json == NULL ? 0 : len));
}

static int api_set_tag(struct hg_rows *rows, size_t n, const char *name, const char *value)
{
    CHECK_MAGIC(rows, LENT_MAGIC);
    return lent_set_tag(rows, n, name, value);
}

const struct hg_api hostapi = {
    .size = sizeof(struct hg_api),
    .abi_minor = HG_ABI_MINOR,
    .row_count = api_row_count,
    .row = api_row,
    .row_id = api_row_id,
    .batch_id = api_batch_id,
    .uuid = api_uuid,
    .number = api_number,
    .last = api_last,
    .index = api_index,
    .client = api_client,
    .received = api_received,
    .attempt = api_attempt,
    .origin = api_origin,
    .data = api_data,
    .tag = api_tag,
    .tag_at = api_tag_at,
    .field = api_field,
    .next = api_next,
    .text = api_text,
    .judge = api_judge,
    .not_now = api_not_now,
    .instance = api_instance,
    .fail = api_fail,
    .log = api_log,
    .count = api_count,
    .time_left = api_time_left,
    .stopping = api_stopping,
    .wait = api_wait,
    .state_get = api_state_get,
    .state_set = api_state_set,
    .settled = api_settled,
    .later = api_later,
    .settle = api_settle,
    .settle_not_now = api_settle_not_now,
    .set_data = api_set_data,
    .set_tag = api_set_tag,
    .emit = emit_sets,
};
