/* The answers to what was taken: the ids, one line for each document of an NDJSON request; or, where the client asked
 * for it and everything is settled in time, the receipts. Older paths get a status and nothing else. */
#include "api/pending.h"

#include "base/id.h"
#include "base/sys.h"

enum { ANSWER_KEEP = 256 * 1024 };

static const char *durability_text(struct journal *j)
{
    switch (journal_durability(j)) {
    case DURABILITY_FSYNC: return ",\"durability\":\"fsync\"";
    case DURABILITY_INTERVAL: return ",\"durability\":\"interval\"";
    case DURABILITY_NONE: break;
    }
    return ",\"durability\":\"none\"";
}

static int add_document(struct buf *b, const struct pending *p, uint32_t d, const char *durability)
{
    const struct document *document = &p->documents[d];
    char id[BATCH_ID_LEN + 1];
    batch_id_text(&p->entry.epoch, p->positions[d], id);
    int code = buf_adds(b, "{\"id\":\"");
    if (code == ERR_OK)
        code = buf_add(b, id, BATCH_ID_LEN);
    if (code == ERR_OK)
        code = buf_adds(b, "\",\"uuid\":");
    if (code == ERR_OK)
        code = buf_add(b, p->text.ptr + document->uuid, document->uuid_len);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"rows\":");
    if (code == ERR_OK)
        code = buf_addn(b, document->rows);
    if (code == ERR_OK)
        code = buf_adds(b, durability);
    if (code == ERR_OK && document->ignored_len > 0)
        code = buf_adds(b, ",\"ignored\":");
    if (code == ERR_OK && document->ignored_len > 0)
        code = buf_add(b, p->text.ptr + document->ignored, document->ignored_len);
    return code != ERR_OK ? code : buf_adds(b, p->ndjson ? "}\n" : "}");
}

static int add_documents(struct buf *b, const struct pending *p)
{
    const char *durability = durability_text(p->intake->options.journal);
    int code = ERR_OK;
    buf_clear(b);
    for (uint32_t d = 0; code == ERR_OK && d < p->count && !p->older; d++)
        code = add_document(b, p, d, durability);
    return code;
}

static const char location[] = "Location: /v1/batches/", replayed[] = "Idempotency-Replayed: true\r\n";

enum { FIELDS_SIZE = sizeof location + BATCH_ID_LEN + 2 + sizeof replayed };

static void fields_of(const struct pending *p, char out[FIELDS_SIZE])
{
    char *end = out;
    if (!p->ndjson && !p->older) {
        end = mempcpy(end, location, sizeof location - 1);
        batch_id_text(&p->entry.epoch, p->positions[0], end);
        end = mempcpy(end + BATCH_ID_LEN, "\r\n", 2);
    }
    if (p->outcome == OUTCOME_REPLAYED)
        end = mempcpy(end, replayed, sizeof replayed - 1);
    *end = '\0';
}

static void respond(struct pending *p, int status, struct slice body)
{
    char fields[FIELDS_SIZE];
    fields_of(p, fields);
    const struct http_answer answer = {
        .status = status,
        .content_type = p->older    ? NULL
                        : p->ndjson ? "application/x-ndjson"
                                    : "application/json",
        .body = body,
        .fields = fields,
    };
    struct http_request *r = p->request;
    http_respond(r, &answer);
    pending_give(&p);
}

static void respond_ids(struct pending *p)
{
    struct intake *i = p->intake;
    int code = add_documents(&i->answer, p);
    /* Without memory for the text the status alone still says that the rows are safe. */
    respond(p, 202, code == ERR_OK ? buf_slice(&i->answer) : SLICE_LIT("{}"));
    if (i->answer.cap > ANSWER_KEEP)
        buf_free(&i->answer);
}

/* --- receipts --- */

/* One document after the other. Whoever waits may be done at once, from inside the call: that must not become a call
 * for each document on the stack, so the loop here goes on instead. */
static void wait_on(struct pending *p)
{
    struct intake *i = p->intake;
    do {
        if (p->waited == p->count) {
            respond(p, 200, buf_slice(&p->receipts));
            return;
        }
        const struct document *document = &p->documents[p->waited];
        p->wait.position = p->positions[p->waited];
        p->wait.rows = document->rows;
        p->wait.uuid_hash = document->uuid_hash;
        p->waiting = WAIT_ASKING;
        i->options.wait(i->options.wait_arg, &p->wait);
        if (p->waiting == WAIT_ASKING)
            p->waiting = WAIT_LATER;
    } while (p->waiting == WAIT_NEXT);
    if (p->waiting == WAIT_OVER)
        respond_ids(p);
}

static void waited(void *arg, int code, struct slice json)
{
    struct pending *p = arg;
    bool inside = p->waiting == WAIT_ASKING;
    CHECK(inside || p->waiting == WAIT_LATER);
    if (code == ERR_OK)
        code = buf_add(&p->receipts, json.ptr, json.len);
    if (code == ERR_OK && p->ndjson)
        code = buf_addc(&p->receipts, '\n');
    p->waiting = code == ERR_OK ? WAIT_NEXT : WAIT_OVER;
    p->waited += code == ERR_OK;
    if (inside)
        return;
    if (p->waiting == WAIT_OVER)
        respond_ids(p);
    else
        wait_on(p);
}

static void wait_begin(struct pending *p)
{
    http_body_done(p->request);
    p->wait = (struct intake_wait){.until_ms = clock_ms() + (int64_t)p->wait_s * 1000, .done = waited, .arg = p};
    wait_on(p);
}

static void count_stored(struct pending *p)
{
    struct intake *i = p->intake;
    size_t bucket = request_bucket(clock_ns() - p->request->began_ns);
    atomic_fetch_add_explicit(&i->rows, p->span_count, memory_order_relaxed);
    atomic_fetch_add_explicit(&i->bytes, p->request->body.len, memory_order_relaxed);
    atomic_fetch_add_explicit(&i->durable[bucket], 1, memory_order_relaxed);
}

void pending_answer(struct pending *p)
{
    struct http_request *r = p->request;
    pending_account(p, p->outcome == OUTCOME_STORED);
    switch (p->outcome) {
    case OUTCOME_STORED: count_stored(p); break;
    case OUTCOME_REPLAYED: break;
    case OUTCOME_CONFLICT:
        refuse_plain(r, 422, "key", "this Idempotency-Key was used with another body; take a new one");
        pending_give(&p);
        return;
    case OUTCOME_FAILED:
        refuse_code(r, p->code);
        pending_give(&p);
        return;
    }
    if (p->wait_s > 0 && p->intake->options.wait != NULL && !p->older)
        wait_begin(p);
    else
        respond_ids(p);
}
