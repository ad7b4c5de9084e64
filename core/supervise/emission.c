/* What a puller emits, from the first piece to the journal and back: collected, scanned as a client's body would be,
 * written in one group together with the position, answered when it is durable.
 *
 * One for each host at a time, of at most http.max_body, and all of them pay for what they hold out of http.max_memory
 * as HTTP's bodies do. An emission pays at its first piece for all that will come, or is thrown away and offered again:
 * so none that waits holds anything that another waits for. When the host dies, what is not complete is dropped; what
 * is on its way to the journal goes on, and its position counts: no other host of the puller starts before that is
 * known. Loop thread. */
#include "supervise/internal.h"

#include "base/log.h"
#include "base/sys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT_BYTES_MAX = 256 << 20, SCAN_KEEP = 1 << 20 };

struct emission {
    struct supervisor *owner;
    struct puller *puller;
    struct wire_emit head; /* of the first piece */
    struct buf bytes;      /* position, then documents */
    uint64_t taken;
    struct charge charge;
    const char *unfit; /* why its pieces are thrown away; NULL: they are not */
    uint32_t unfit_as; /* HG_EMIT_REFUSED: it is too large; HG_EMIT_NOT_NOW: for now */
    struct buf contexts;
    struct row_span *spans;
    struct record_parts *records;
    uint64_t *positions;
    uint32_t count; /* of the records */
    uint64_t rows;
    struct journal_entry entry;
    char client[CLIENT_MAX + 1]; /* "": nobody's */
    uint64_t taken_bytes;        /* of its client's account */
};

/* Its memory is to be `bytes` in all. False, and `unfit` says why. */
static bool emission_pay(struct emission *x, uint64_t bytes)
{
    struct budget *b = x->owner->options.budget;
    x->unfit_as = HG_EMIT_REFUSED;
    x->unfit = budget_fits(b, bytes) ? NULL : "larger than three quarters of http.max_memory";
    if (x->unfit != NULL || budget_claim(b, &x->charge, bytes))
        return x->unfit == NULL;
    x->unfit_as = HG_EMIT_NOT_NOW;
    x->unfit = "no room for it in http.max_memory";
    return false;
}

static struct emission *emission_new(struct runner *r, const struct wire_emit *m)
{
    struct emission *x = calloc(1, sizeof *x);
    if (x == NULL)
        return NULL;
    x->owner = r->owner;
    x->puller = r->puller;
    x->head = *m;
    if (r->instance.common.client != NULL)
        snprintf(x->client, sizeof x->client, "%s", r->instance.common.client);
    buf_init(&x->bytes, (size_t)m->total);
    buf_init(&x->contexts, CONTEXT_BYTES_MAX);
    x->unfit_as = HG_EMIT_REFUSED;
    if (m->total > r->owner->settings->http_max_body + POSITION_MAX)
        x->unfit = "larger than http.max_body";
    else if (emission_pay(x, m->total) && buf_reserve(&x->bytes, (size_t)m->total) != ERR_OK) {
        x->unfit_as = HG_EMIT_NOT_NOW;
        x->unfit = "out of memory";
    }
    return x;
}

static void emission_free(struct emission *x)
{
    buf_free(&x->bytes);
    buf_free(&x->contexts);
    free(x->spans);
    free(x->records);
    free(x->positions);
    budget_return(x->owner->options.budget, &x->charge);
    free(x);
}

static struct slice documents(const struct emission *x)
{
    return slice_make(x->bytes.ptr + x->head.position, x->bytes.len - x->head.position);
}

/* --- answers --- */

static void answer(struct runner *r, const struct wire_head *to, uint32_t result, uint32_t bad_set, const char *reason)
{
    struct {
        struct wire_emitted head;
        char reason[HG_REASON_MAX];
    } m = {.head = {.head = {.type = WIRE_EMITTED, .lane = to->lane, .token = to->token},
                    .result = result,
                    .bad_set = bad_set}};
    snprintf(m.reason, sizeof m.reason, "%s", reason);
    m.head.reason = (uint32_t)strlen(m.reason);
    if (r->process != NULL && process_send(r->process, &m, sizeof m.head + m.head.reason, -1) != ERR_OK)
        process_kill(r->process); /* it is ending anyway */
}

/* Nothing of it was taken. */
static void drop(struct runner *r, uint32_t result, uint32_t bad_set, const char *reason)
{
    struct emission *x = state_of(r)->emission;
    state_of(r)->emission = NULL;
    if (result == HG_EMIT_REFUSED)
        r->puller->counts.refused++;
    else
        snprintf(r->puller->error, sizeof r->puller->error, "no rows are taken: %s", reason);
    answer(r, &x->head.head, result, bad_set, reason);
    emission_free(x);
}

/* The faults of the first set that has any, in one text. */
static void drop_faults(struct runner *r, int code)
{
    struct emission *x = state_of(r)->emission;
    char text[HG_REASON_MAX];
    size_t used = 0;
    uint32_t count;
    const struct fault *faults = scan_faults(r->owner->scan, &count);
    if (code == ERR_NOMEM || count == 0) {
        drop(r, HG_EMIT_NOT_NOW, 0, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < count && used < sizeof text; i++) {
        const struct fault *f = &faults[i];
        if (f->line != faults[0].line)
            break;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s" SLICE_FMT "%s" SLICE_FMT, i == 0 ? "" : "; ",
                                 SLICE_ARG(f->pointer), f->pointer.len > 0 ? ": " : "", SLICE_ARG(f->detail));
    }
    bool one = faults[0].kind != FAULT_LIMIT && faults[0].line >= 1 && faults[0].line <= x->head.sets;
    drop(r, HG_EMIT_REFUSED, one ? (uint32_t)faults[0].line - 1 : x->head.sets, text);
}

/* --- to the journal --- */

static int add_context(struct emission *x, const struct row_set *set)
{
    int code = set == NULL ? ERR_OK : context_add(&x->contexts, CONTEXT_UUID, set->uuid);
    if (code == ERR_OK && set != NULL && x->client[0] != '\0')
        code = context_add(&x->contexts, CONTEXT_CLIENT, slice_of(x->client));
    if (code == ERR_OK)
        code = context_add(&x->contexts, CONTEXT_PULLER, slice_of(x->puller->name));
    for (uint32_t t = 0; code == ERR_OK && set != NULL && t < set->tag_count; t++)
        code = context_add_tag(&x->contexts, set->tags[t].name, set->tags[t].value);
    return code == ERR_OK ? context_finish(&x->contexts) : code;
}

/* What it holds beside its bytes once it is built. */
static uint64_t built_bytes(const struct emission *x)
{
    return x->count * (sizeof *x->records + sizeof *x->positions) + (x->rows + 1) * sizeof *x->spans;
}

/* Records of the sets and, last, of the position. Contexts are known by their lengths until all are there. */
static int build(struct emission *x, const struct row_set *sets, uint32_t set_count)
{
    x->rows = 0;
    for (uint32_t i = 0; i < set_count; i++)
        x->rows += sets[i].rows;
    x->count = set_count + (x->head.has_position != 0);
    if (!emission_pay(x, x->head.total + built_bytes(x)))
        return ERR_LIMIT;
    x->records = calloc(x->count, sizeof *x->records);
    x->positions = calloc(x->count, sizeof *x->positions);
    x->spans = calloc(x->rows + 1, sizeof *x->spans);
    if (x->records == NULL || x->positions == NULL || x->spans == NULL)
        return ERR_NOMEM;
    struct row_span *spans = x->spans;
    for (uint32_t i = 0; i < x->count; i++) {
        const struct row_set *set = i < set_count ? &sets[i] : NULL;
        size_t at = x->contexts.len;
        int code = add_context(x, set);
        if (code != ERR_OK)
            return code;
        struct record_parts *p = &x->records[i];
        *p = (struct record_parts){.type = RECORD_POSITION, .data = slice_make(x->bytes.ptr, x->head.position)};
        p->context.len = x->contexts.len - at;
        if (set == NULL)
            continue;
        *p = (struct record_parts){
            .type = RECORD_ROWS, .rows = set->rows, .spans = spans, .data = set->document, .context = p->context};
        if (set->rows > 0)
            memcpy(spans, set->spans, set->rows * sizeof *spans);
        spans += set->rows;
    }
    const char *context = x->contexts.ptr;
    for (uint32_t i = 0; i < x->count; i++) {
        x->records[i].context.ptr = context;
        context += x->records[i].context.len;
    }
    return emission_pay(x, x->head.total + built_bytes(x) + x->contexts.cap) ? ERR_OK : ERR_LIMIT;
}

/* NULL, and its client has paid; or why it has to wait. */
static const char *over_limit(struct runner *r)
{
    const struct supervisor_options *o = &r->owner->options;
    struct emission *x = state_of(r)->emission;
    uint64_t bytes = documents(x).len;
    if (x->client[0] == '\0' || x->head.sets == 0)
        return NULL;
    if (backlog_take(o->backlog, x->client, bytes, clock_ms()) != 0)
        return "its client has as much undelivered as it may have (clients.undelivered_bytes)";
    const char *why = o->admit == NULL ? NULL : o->admit(o->arg, x->client, x->rows, documents(x).len);
    if (why == NULL)
        x->taken_bytes = bytes;
    else
        backlog_give(o->backlog, x->client, bytes);
    return why;
}

static void append(struct runner *r)
{
    struct emission *x = state_of(r)->emission;
    x->entry = (struct journal_entry){
        .queue = &r->owner->emitted, .records = x->records, .count = x->count, .positions = x->positions};
    r->puller->emitting = true;
    int code = journal_append(r->owner->options.journal, &x->entry);
    if (code == ERR_OK)
        return;
    r->puller->emitting = false;
    backlog_give(r->owner->options.backlog, x->client, x->taken_bytes);
    if (code == ERR_LIMIT)
        drop(r, HG_EMIT_REFUSED, x->head.sets == 1 ? 0 : x->head.sets, "larger than a segment of the journal takes");
    else
        drop(r, HG_EMIT_NOT_NOW, 0, err_text(code));
}

/* There is no room for it, now or ever. */
static void drop_unfit(struct runner *r)
{
    const struct emission *x = state_of(r)->emission;
    drop(r, x->unfit_as, x->unfit_as == HG_EMIT_REFUSED && x->head.sets != 1 ? x->head.sets : 0, x->unfit);
}

/* All of it is here. */
static void complete(struct runner *r)
{
    struct supervisor *s = r->owner;
    struct emission *x = state_of(r)->emission;
    const struct scan_rules rules = {.max_rows = s->settings->http_max_rows,
                                     .max_depth = s->settings->rows_max_depth,
                                     .any_keys = s->settings->rows_keys == ROWS_KEYS_ANY,
                                     .ndjson = true};
    const char *refusing = s->options.refusing == NULL ? NULL : s->options.refusing(s->options.arg);
    if (x->unfit != NULL) {
        drop_unfit(r);
        return;
    }
    if (refusing != NULL) {
        drop(r, HG_EMIT_NOT_NOW, 0, refusing);
        return;
    }
    uint32_t count = 0;
    const struct row_set *sets = NULL;
    int code = ERR_OK;
    if (x->head.sets > 0) {
        code = scan_body(s->scan, &rules, documents(x));
        if (code == ERR_OK)
            sets = scan_sets(s->scan, &count);
    }
    if (code != ERR_OK)
        drop_faults(r, code);
    else if (count != x->head.sets)
        drop(r, HG_EMIT_REFUSED, x->head.sets, "it holds another number of documents than it says");
    else if (build(x, sets, count) != ERR_OK) {
        if (x->unfit == NULL)
            drop(r, HG_EMIT_NOT_NOW, 0, "out of memory");
        else
            drop_unfit(r);
    } else if ((refusing = over_limit(r)) != NULL)
        drop(r, HG_EMIT_NOT_NOW, 0, refusing);
    else
        append(r);
    scan_trim(s->scan, SCAN_KEEP);
}

/* --- pieces --- */

static bool begins(const struct runner *r, const struct wire_emit *m)
{
    return !r->puller->emitting && r->puller->pulling && m->offset == 0 && m->position <= POSITION_MAX &&
           m->position <= m->total && (m->has_position != 0 || m->position == 0) &&
           (m->sets > 0 || (m->has_position != 0 && m->position == m->total)) && m->total <= (UINT64_C(1) << 30);
}

static bool follows(const struct emission *x, const struct wire_emit *m)
{
    return m->head.token == x->head.head.token && m->total == x->head.total && m->sets == x->head.sets &&
           m->offset == x->taken && x->taken < x->head.total;
}

int emission_piece(struct runner *r, const struct wire_emit *m, size_t len)
{
    struct emission *x = state_of(r)->emission;
    if (m->length != len - sizeof *m || m->length > m->total - (m->offset < m->total ? m->offset : m->total))
        return ERR_SYNTAX;
    if (x == NULL ? !begins(r, m) : !follows(x, m))
        return ERR_SYNTAX;
    if (x == NULL && (x = state_of(r)->emission = emission_new(r, m)) == NULL)
        return ERR_NOMEM; /* the host is ended, and offers it again when it is back */
    if (x->unfit == NULL && buf_add(&x->bytes, m + 1, m->length) != ERR_OK)
        return ERR_NOMEM;
    x->taken += m->length;
    if (x->taken == x->head.total)
        complete(r);
    else if (m->length == 0)
        return ERR_SYNTAX;
    return ERR_OK;
}

void emission_host_down(struct runner *r)
{
    struct emission *x = state_of(r)->emission;
    state_of(r)->emission = NULL;
    if (x != NULL && !r->puller->emitting)
        emission_free(x);
}

/* --- back from the journal --- */

static void account(struct emission *x, bool durable)
{
    struct backlog *b = x->owner->options.backlog;
    for (uint32_t i = 0; durable && i < x->count; i++)
        if (x->records[i].type == RECORD_ROWS) /* its position is not its client's */
            backlog_store(b, x->client, x->positions[i], record_length(&x->records[i]));
    backlog_give(b, x->client, x->taken_bytes);
}

static void finished(struct emission *x)
{
    struct puller *p = x->puller;
    struct runner *r = p->owner;
    bool durable = x->entry.status == ERR_OK;
    p->emitting = false;
    account(x, durable);
    if (durable) {
        const uint32_t last = x->count - 1;
        p->position.journal = x->positions[last] + record_length(&x->records[last]);
        if (x->head.has_position != 0) {
            p->position.len = x->head.position;
            if (x->head.position > 0)
                memcpy(p->position.bytes, x->bytes.ptr, x->head.position);
            p->changed = true;
        }
        puller_emitted(p, x->rows, x->head.sets);
    }
    if (r != NULL && state_of(r)->emission == x) {
        state_of(r)->emission = NULL;
        if (!durable)
            snprintf(p->error, sizeof p->error, "no rows are taken: %s", err_text(x->entry.status));
        answer(r, &x->head.head, durable ? HG_EMITTED : HG_EMIT_NOT_NOW, 0, durable ? "" : err_text(x->entry.status));
    }
    emission_free(x);
    if (r != NULL)
        runner_step(r);
}

void emissions_collect(struct supervisor *s)
{
    struct journal_entry *entry = commit_take(&s->emitted);
    while (entry != NULL) {
        struct journal_entry *next = entry->next;
        finished(container_of(entry, struct emission, entry));
        entry = next;
    }
}
