/* What a puller emits: row sets made into documents as a client would post them, one a line, and sent to the daemon in
 * pieces. The daemon scans them like a client's, writes them to the journal together with the position, and answers
 * when they are durable; only then does emit() return, and only then is notify() called.
 *
 * One emission at a time. Its memory here is the plugin's own; there it is bounded by http.max_body. While the daemon
 * takes no rows the emission is offered again every now and then, so that waiting costs it nothing. Nothing survives a
 * crash here: what was not durable is not in the position either. */
#include "host/emit.h"

#include "base/sys.h"
#include "host/descriptor.h"
#include "host/hostlog.h"
#include "host/life.h"
#include "host/tell.h"

#include <stdio.h>

enum {
    EMIT_MAX = 512 << 20, /* bytes; the daemon's http.max_body is far below */
    PIECE = WIRE_MAX - (int)sizeof(struct wire_emit),
    AGAIN_MIN_MS = 50,
    AGAIN_MAX_MS = 1000,
    SETS_MAX = 1 << 20,
};

static const size_t emit_1_0 = SIZE_1_0(struct hg_emit, wait_ms), set_1_0 = SIZE_1_0(struct hg_set, document),
                    emitted_1_0 = SIZE_1_0(struct hg_emitted, reason);

static struct slice slice_from(struct hg_text t)
{
    return slice_make(t.ptr, t.len);
}

/* --- documents --- */

static bool json_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && json_blank(s.ptr[0]))
        s = slice_make(s.ptr + 1, s.len - 1);
    while (s.len > 0 && json_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Copies `json` to `to`; NULL, or what is wrong with it. */
static const char *object_copy(struct slice json, char *to)
{
    bool text = false, escaped = false;
    size_t depth = 0;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];
        if (text && (c == '\n' || c == '\r'))
            return "a line break inside a string";
        to[i] = c == '\n' || c == '\r' ? ' ' : c;
        if (text) {
            text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        text = c == '"';
        depth += c == '{' || c == '[';
        if ((c == '}' || c == ']') && --depth == 0 && i + 1 < json.len)
            return "something follows the object";
    }
    return depth > 0 || text ? "the object does not end" : NULL;
}

bool emit_object(struct slice json, struct buf *out, int *code, const char **why)
{
    json = trimmed(json);
    *code = ERR_OK;
    *why = "a JSON object is needed";
    if (json.len < 2 || json.ptr[0] != '{')
        return false;
    *code = buf_reserve(out, json.len);
    if (*code != ERR_OK)
        return false;
    *why = object_copy(json, out->ptr + out->len);
    if (*why == NULL)
        out->len += json.len;
    return *why == NULL;
}

static int add_tags(struct buf *b, const struct hg_set *set)
{
    int code = set->tag_count > 0 ? buf_adds(b, ",\"tags\":{") : ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < set->tag_count; i++) {
        code = i > 0 ? buf_addc(b, ',') : ERR_OK;
        if (code == ERR_OK)
            code = buf_add_json(b, slice_from(set->tags[i].name));
        if (code == ERR_OK)
            code = buf_addc(b, ':');
        if (code == ERR_OK)
            code = buf_add_json(b, slice_from(set->tags[i].value));
    }
    return code == ERR_OK && set->tag_count > 0 ? buf_addc(b, '}') : code;
}

static int add_row(struct buf *b, const struct hg_new_row *row, bool first, const char **why)
{
    int code = buf_adds(b, first ? "{" : ",{");
    if (code == ERR_OK && row->index >= 0)
        code = buf_addf(b, "\"index\":%lld,", (long long)row->index);
    if (code == ERR_OK)
        code = buf_adds(b, "\"data\":");
    if (code == ERR_OK && !emit_object(slice_from(row->data), b, &code, why))
        return code == ERR_OK ? ERR_SYNTAX : code;
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

static int add_rows(struct buf *b, const struct hg_set *set, char *reason)
{
    int code = buf_adds(b, "{\"uuid\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_from(set->uuid));
    if (code == ERR_OK)
        code = add_tags(b, set);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"rows\":[");
    for (size_t i = 0; code == ERR_OK && i < set->row_count; i++) {
        const char *why = NULL;
        code = add_row(b, &set->rows[i], i == 0, &why);
        if (code == ERR_SYNTAX)
            snprintf(reason, HG_REASON_MAX, "/rows/%zu/data: %s", i, why);
    }
    return code == ERR_OK ? buf_adds(b, "]}\n") : code;
}

static int add_set(struct buf *b, const struct hg_set *set, char *reason)
{
    const char *why;
    int code;
    if (set->document.ptr == NULL)
        return add_rows(b, set, reason);
    if (emit_object(slice_from(set->document), b, &code, &why))
        return buf_addc(b, '\n');
    if (code == ERR_OK)
        snprintf(reason, HG_REASON_MAX, "%s", why);
    return code == ERR_OK ? ERR_SYNTAX : code;
}

/* Position and documents. ERR_SYNTAX: a set that is refused here. */
static int compose(const struct hg_emit *emit, struct buf *b, struct hg_emitted *out)
{
    int code = emit->position == NULL ? ERR_OK : buf_add(b, emit->position, emit->position_size);
    for (size_t i = 0; code == ERR_OK && i < emit->set_count; i++) {
        out->bad_set = i;
        code = add_set(b, (const void *)((const char *)emit->sets + i * emit->set_size), out->reason);
    }
    if (code == ERR_LIMIT || code == ERR_NOMEM) {
        out->bad_set = emit->set_count;
        snprintf(out->reason, sizeof out->reason, "%s",
                 code == ERR_LIMIT ? "too large" : "no memory for the rows that are emitted");
    }
    return code;
}

/* --- to the daemon and back --- */

static bool send_pieces(struct hg_host *w, const struct hg_emit *emit, uint64_t token, const struct buf *b)
{
    struct wire_emit m = {
        .head = {.token = token},
        .total = b->len,
        .sets = (uint32_t)emit->set_count,
        .position = emit->position == NULL ? 0 : (uint32_t)emit->position_size,
        .has_position = emit->position != NULL,
    };
    do {
        uint64_t left = m.total - m.offset;
        m.length = left < PIECE ? (uint32_t)left : PIECE;
        if (!tell_emit(w, &m, b->ptr == NULL ? "" : b->ptr + m.offset))
            return false;
        m.offset += m.length;
    } while (m.offset < m.total);
    return true;
}

/* The answer, copied to `out`. */
static int offer(struct hg_host *w, const struct hg_emit *emit, const struct buf *b, struct hg_emitted *out)
{
    struct host *h = w->host;
    struct emitting *at = &w->emitting;
    pthread_mutex_lock(&h->mutex);
    uint64_t token = ++at->token;
    at->answered = false;
    pthread_mutex_unlock(&h->mutex);
    bool sent = send_pieces(w, emit, token, b);
    int result = HG_EMIT_NOT_NOW;
    pthread_mutex_lock(&h->mutex);
    while (sent && !at->answered && !atomic_load(&h->outlet.gone))
        (void)life_wait(w, INT64_MAX);
    if (at->answered) {
        result = (int)at->result;
        out->bad_set = at->bad_set;
        memcpy(out->reason, at->reason, sizeof out->reason);
    }
    pthread_mutex_unlock(&h->mutex);
    return result;
}

/* Until it is taken or refused, the time is over, or the host stops. */
static int offer_until(struct hg_host *w, const struct hg_emit *emit, const struct buf *b, struct hg_emitted *out)
{
    int64_t pause = AGAIN_MIN_MS, began = clock_ms();
    for (;;) {
        int result = offer(w, emit, b, out);
        int64_t left = emit->wait_ms < 0 ? INT64_MAX : emit->wait_ms - (clock_ms() - began);
        if (result != HG_EMIT_NOT_NOW || left <= 0 || !life_pause(w, pause < left ? pause : left))
            return result;
        pause = pause * 2 < AGAIN_MAX_MS ? pause * 2 : AGAIN_MAX_MS;
    }
}

static void durable(struct hg_host *w, const struct hg_emit *emit)
{
    struct host *h = w->host;
    if (emit->position != NULL) {
        pthread_mutex_lock(&h->mutex);
        if (emit->position_size > 0)
            memcpy(h->state, emit->position, emit->position_size);
        h->state_len = emit->position_size;
        pthread_mutex_unlock(&h->mutex);
    }
    tell_counts(h);
    if (emit->position != NULL && h->puller->notify != NULL)
        h->puller->notify(w->state, emit->position, emit->position_size);
}

/* NULL, or a sentence, in `why` perhaps. */
static const char *misused(const struct hg_host *w, const struct hg_emit *emit, char why[HG_REASON_MAX])
{
    if (!w->pulling || !pthread_equal(pthread_self(), w->thread))
        return "emit() belongs to pull()";
    if (emit == NULL)
        return "emit: expected what to emit, found none";
    if (emit->size < emit_1_0 || emit->set_size < set_1_0) {
        bool own = emit->size < emit_1_0;
        snprintf(why, HG_REASON_MAX, "emit.%s: expected at least %zu, found %u", own ? "size" : "set_size",
                 own ? emit_1_0 : set_1_0, own ? emit->size : emit->set_size);
        return why;
    }
    if (emit->set_count > SETS_MAX || (emit->set_count > 0 && emit->sets == NULL))
        return "emit: too many sets, or none where some are said to be";
    if (emit->position != NULL && emit->position_size > HG_STATE_MAX)
        return "emit: the position is larger than HG_STATE_MAX";
    return emit->set_count == 0 && emit->position == NULL ? "emit: neither rows nor a position" : NULL;
}

static void give(const struct hg_emitted *from, struct hg_emitted *to)
{
    if (to == NULL || to->size < emitted_1_0)
        return;
    to->bad_set = from->bad_set;
    memcpy(to->reason, from->reason, sizeof to->reason);
}

int emit_sets(struct hg_host *w, const struct hg_emit *emit, struct hg_emitted *out)
{
    CHECK_MAGIC(w, WORKER_MAGIC);
    struct hg_emitted told = {.size = sizeof told};
    char why[HG_REASON_MAX];
    const char *wrong = misused(w, emit, why);
    if (wrong != NULL) {
        hostlog(HG_LOG_WARN, "%s", wrong);
        told.bad_set = emit == NULL || emit->size < emit_1_0 ? 0 : emit->set_count;
        snprintf(told.reason, sizeof told.reason, "%s", wrong);
        give(&told, out);
        return HG_EMIT_REFUSED;
    }
    struct buf b;
    buf_init(&b, EMIT_MAX);
    int code = compose(emit, &b, &told);
    int result = code == ERR_OK      ? offer_until(w, emit, &b, &told)
                 : code == ERR_NOMEM ? (int)HG_EMIT_NOT_NOW
                                     : (int)HG_EMIT_REFUSED;
    buf_free(&b);
    if (result == HG_EMITTED)
        durable(w, emit);
    give(&told, out);
    return result;
}
