/* Dead letters over HTTP: list, show, send again, drop; one by id, or all that a filter matches.
 *
 * The index in memory says which rows there are; uuid, reason and data are read from the aside files. A request reads
 * at most READS of them, for nothing else happens meanwhile: a filter over very many dead letters takes several
 * requests. Each answer says where to go on (`next`), as the place of a row in its pusher's files.
 */
#include "api/api.h"

#include "base/hash.h"
#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000, READS = 4000, ROW_MAX = 80 << 20 };

/* Where to go on: with this row of this pusher. */
struct spot {
    char pusher[128]; /* "": at the beginning */
    uint32_t file, offset;
    int64_t before_us; /* 0, or only what came into its state before: what is refused again is not met again */
};

struct filter {
    char pusher[128], reason[256], uuid[UUID_MAX_BYTES + 1];
    const char *client; /* of the caller; "": everybody's */
    struct spot after;
    uint64_t uuid_hash;
    int64_t since_us;
    bool states; /* parked rows too */
};

static bool spot_read(const struct http_request *r, struct spot *spot)
{
    char text[192], *colon;
    unsigned long file, offset;
    unsigned long long before = 0;
    long length = http_query(r, "after", text, sizeof text);
    if (length == -1 || length == 0)
        return true;
    if (length < 0 || (colon = strchr(text, ':')) == NULL ||
        sscanf(colon, ":%8lx:%8lx:%16llx", &file, &offset, &before) < 2)
        return false;
    *spot = (struct spot){.file = (uint32_t)file, .offset = (uint32_t)offset, .before_us = (int64_t)before};
    snprintf(spot->pusher, sizeof spot->pusher, "%.*s", (int)(colon - text), text);
    return true;
}

static bool filter_read(const struct http_request *r, struct filter *f)
{
    char since[64];
    *f = (struct filter){.client = r->caller.client};
    if (http_query(r, "pusher", f->pusher, sizeof f->pusher) == -2 ||
        http_query(r, "reason", f->reason, sizeof f->reason) == -2 ||
        http_query(r, "uuid", f->uuid, sizeof f->uuid) == -2 || !spot_read(r, &f->after))
        return false;
    if (f->uuid[0] != '\0')
        f->uuid_hash = hash_bytes(slice_of(f->uuid));
    long length = http_query(r, "since", since, sizeof since);
    return length == -1 || length == 0 || (length > 0 && api_time_parse(since, &f->since_us) == ERR_OK);
}

static bool filter_index(const struct filter *f, const struct aside_entry *e)
{
    if (e->state == ASIDE_GONE || (e->state == ASIDE_PARKED && !f->states))
        return false;
    return (f->uuid_hash == 0 || e->uuid_hash == f->uuid_hash) && e->since_us >= f->since_us &&
           (f->after.before_us == 0 || e->since_us < f->after.before_us);
}

static bool contains(struct slice text, const char *part)
{
    return part[0] == '\0' || (text.len > 0 && memmem(text.ptr, text.len, part, strlen(part)) != NULL);
}

static bool is_of(const char *client, const struct record *record)
{
    struct slice whose;
    return client[0] == '\0' || (context_get(record->context, CONTEXT_CLIENT, &whose) && slice_is(whose, client));
}

static bool filter_record(const struct filter *f, const struct record *record)
{
    struct slice uuid = {"", 0};
    if (!is_of(f->client, record))
        return false;
    (void)context_get(record->context, CONTEXT_UUID, &uuid);
    return (f->uuid[0] == '\0' || slice_is(uuid, f->uuid)) && contains(aside_reason(record), f->reason);
}

static const char *aside_word(uint8_t state)
{
    return state == ASIDE_DEAD ? "dead" : state == ASIDE_PARKED ? "parked" : "retrying";
}

static int add_letter(struct buf *b, const struct pusher *p, const struct aside_entry *e, const struct record *record)
{
    char id[ROW_ID_LEN + 1];
    struct slice uuid = {"", 0};
    struct row_span span = record_span(record, 0);
    row_id_text(&e->epoch, e->place.position, e->place.row, id);
    (void)context_get(record->context, CONTEXT_UUID, &uuid);
    int code = buf_addf(b, "{\"id\":\"%s.%s\",\"pusher\":\"%s\",\"uuid\":", id, p->name, p->name);
    if (code == ERR_OK)
        code = buf_add_json(b, uuid);
    if (code == ERR_OK && span.index != INDEX_NONE)
        code = buf_addf(b, ",\"index\":%llu", (unsigned long long)span.index);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"reason\":");
    if (code == ERR_OK)
        code = buf_add_json(b, aside_reason(record));
    if (code == ERR_OK)
        code = buf_adds(b, ",\"since\":");
    if (code == ERR_OK)
        code = api_time(b, e->since_us);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"received\":");
    if (code == ERR_OK)
        code = api_time(b, record->received_us);
    if (code == ERR_OK)
        code = buf_addf(b, ",\"attempts\":%u,\"state\":\"%s\",\"returned\":%u,\"bytes\":%u", e->attempts,
                        aside_word(e->state), e->returned, e->length);
    return code;
}

/* --- walking what a filter matches --- */

/* The rows of one pusher that a filter may match: of one uuid, or all. */
struct range {
    struct aside *aside;
    size_t *numbers; /* of one uuid; NULL: all */
    size_t at, count;
};

static int range_open(struct range *range, struct aside *a, const struct filter *f, const struct spot *after)
{
    size_t from = after == NULL ? 0 : aside_from(a, after->file, after->offset);
    *range = (struct range){.aside = a, .at = from, .count = a->count};
    if (f->uuid_hash == 0)
        return ERR_OK;
    range->at = 0;
    return aside_of_uuid(a, f->uuid_hash, from, &range->numbers, &range->count);
}

static struct aside_entry *range_next(struct range *range, const struct filter *f)
{
    while (range->at < range->count) {
        size_t number = range->numbers != NULL ? range->numbers[range->at] : range->at;
        range->at++;
        if (filter_index(f, &range->aside->entries[number]))
            return &range->aside->entries[number];
    }
    return NULL;
}

/* `record` is NULL when only the index was asked. */
typedef int letter_visit(void *arg, struct runner *r, struct aside_entry *e, const struct record *record);

struct walk {
    struct api *api;
    const struct filter *filter;
    letter_visit *visit; /* ERR_CLOSED: stop before this one */
    void *arg;
    bool records; /* each row's record is wanted */
    uint32_t reads;
    struct spot next; /* out: where to go on, pusher "": nothing is left */
    struct buf copy;
};

static int walk_one(struct walk *w, struct runner *r, struct aside_entry *e)
{
    struct record record;
    if (!w->records)
        return w->visit(w->arg, r, e, NULL);
    if (w->reads == READS)
        return ERR_CLOSED;
    w->reads++;
    if (aside_read(r->pusher->dir, e->file, e->offset, &w->copy, &record) != ERR_OK ||
        !filter_record(w->filter, &record))
        return ERR_OK;
    return w->visit(w->arg, r, e, &record);
}

static int walk_runner(struct walk *w, struct runner *r, const struct spot *after)
{
    struct range range;
    struct aside_entry *e;
    int code = range_open(&range, &r->pusher->aside, w->filter, after);
    while (code == ERR_OK && (e = range_next(&range, w->filter)) != NULL) {
        code = walk_one(w, r, e);
        if (code == ERR_CLOSED) {
            w->next = (struct spot){.file = e->file, .offset = e->offset};
            snprintf(w->next.pusher, sizeof w->next.pusher, "%s", r->name);
        }
    }
    free(range.numbers);
    return code;
}

static bool filter_pusher(const struct filter *f, const struct runner *r)
{
    return r->pusher != NULL && (f->pusher[0] == '\0' || strcmp(f->pusher, r->name) == 0);
}

static int walk(struct walk *w)
{
    const struct spot *after = w->filter->after.pusher[0] == '\0' ? NULL : &w->filter->after;
    w->records =
        w->records || w->filter->client[0] != '\0' || w->filter->reason[0] != '\0' || w->filter->uuid[0] != '\0';
    int code = ERR_OK;
    buf_init(&w->copy, ROW_MAX);
    LIST_EACH(supervisor_runners(w->api->supervisor), it)
    {
        struct runner *r = container_of(it, struct runner, link);
        if (code != ERR_OK || !filter_pusher(w->filter, r) || (after != NULL && strcmp(after->pusher, r->name) != 0))
            continue;
        code = walk_runner(w, r, after);
        after = NULL;
    }
    buf_free(&w->copy);
    return code == ERR_CLOSED ? ERR_OK : code;
}

static int add_next(struct buf *b, const struct walk *w)
{
    const struct spot *next = &w->next;
    return next->pusher[0] == '\0' ? buf_adds(b, ",\"next\":null")
                                   : buf_addf(b, ",\"next\":\"%s:%x:%x:%llx\"", next->pusher, next->file, next->offset,
                                              (unsigned long long)w->filter->after.before_us);
}

struct page {
    struct buf *out;
    uint64_t limit, seen;
    bool more;
};

static int visit_page(void *arg, struct runner *r, struct aside_entry *e, const struct record *record)
{
    struct page *page = arg;
    if (page->seen == page->limit)
        return ERR_CLOSED;
    page->seen++;
    int code = api_comma(page->out, &page->more);
    if (code == ERR_OK)
        code = add_letter(page->out, r->pusher, e, record);
    return code == ERR_OK ? buf_addc(page->out, '}') : code;
}

/* Those that are no dead letters just now are few, or asked for; the others are counted already. */
static uint64_t total_all(const struct aside *a, const struct filter *f)
{
    uint64_t count = a->dead_count;
    for (const struct aside_entry *e = aside_active(a); e != NULL; e = aside_active_next(a, e))
        count += e->state != ASIDE_DEAD && filter_index(f, e);
    return count;
}

/* How many the index matches, from the first on; texts in the records are not looked at. */
static int total(struct api *api, const struct filter *f, uint64_t *count)
{
    *count = 0;
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        struct range range;
        if (!filter_pusher(f, r))
            continue;
        if (f->uuid_hash == 0 && f->since_us == 0) {
            *count += total_all(&r->pusher->aside, f);
            continue;
        }
        int code = range_open(&range, &r->pusher->aside, f, NULL);
        while (code == ERR_OK && range_next(&range, f) != NULL)
            ++*count;
        free(range.numbers);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

static const char bad_filter[] = "a filter is malformed; since takes 2026-01-31T12:00:00Z or a duration such as 2h, "
                                 "after takes the `next` of the answer before, limit a number, "
                                 "parked, all and dry-run yes or no";

void api_dead_list(struct api *api, struct http_request *r, const struct api_params *params)
{
    (void)params;
    struct filter f;
    uint64_t limit = PAGE_DEFAULT, count = 0;
    if (!filter_read(r, &f) || !api_number(r, "limit", &limit) || !api_flag(r, "parked", &f.states)) {
        api_problem(r, 400, "syntax", bad_filter);
        return;
    }
    struct buf b;
    buf_init(&b, API_BODY_MAX);
    struct page page = {.out = &b, .limit = limit < PAGE_MAX ? limit : PAGE_MAX};
    struct walk w = {.api = api, .filter = &f, .visit = visit_page, .arg = &page, .records = true};
    int code = buf_adds(&b, "{\"dead\":[");
    if (code == ERR_OK)
        code = walk(&w);
    if (code == ERR_OK)
        code = total(api, &f, &count);
    if (code == ERR_OK)
        code = buf_addc(&b, ']');
    if (code == ERR_OK)
        code = add_next(&b, &w);
    if (code == ERR_OK) /* the index does not know whose they are */
        code = f.client[0] != '\0' ? buf_adds(&b, ",\"total\":null}\n")
                                   : buf_addf(&b, ",\"total\":%llu}\n", (unsigned long long)count);
    api_json(r, 200, &b, code);
}

/* --- one --- */

/* One of another client is not there for this caller. */
static bool may_see(const struct http_request *r, const struct pusher *p, const struct aside_entry *e)
{
    struct buf copy;
    struct record record;
    if (r->caller.client[0] == '\0')
        return true;
    buf_init(&copy, ROW_MAX);
    bool own = aside_read(p->dir, e->file, e->offset, &copy, &record) == ERR_OK && is_of(r->caller.client, &record);
    buf_free(&copy);
    return own;
}

static struct aside_entry *find(struct api *api, struct http_request *r, const char *id, struct runner **runner)
{
    struct epoch epoch;
    struct place place;
    struct aside_entry *e = NULL;
    const char *dot = strchr(id, '.');
    if (dot != NULL &&
        row_id_parse(slice_make(id, (size_t)(dot - id)), &epoch, &place.position, &place.row) == ERR_OK) {
        *runner = supervisor_find(api->supervisor, slice_of(dot + 1));
        if (*runner != NULL && (*runner)->pusher != NULL)
            e = aside_find(&(*runner)->pusher->aside, &epoch, place);
        if (e != NULL && !may_see(r, (*runner)->pusher, e))
            e = NULL;
    }
    if (e == NULL)
        api_problem(r, 404, "not-found",
                    "there is no such dead letter (an id is <row id>.<pusher>); it may have been "
                    "delivered or dropped");
    return e;
}

void api_dead_show(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct runner *runner;
    const struct aside_entry *e = find(api, r, params->text[0], &runner);
    if (e == NULL)
        return;
    struct buf b, copy;
    struct record record;
    buf_init(&b, API_BODY_MAX);
    buf_init(&copy, ROW_MAX);
    int code = aside_read(runner->pusher->dir, e->file, e->offset, &copy, &record);
    if (code == ERR_OK)
        code = add_letter(&b, runner->pusher, e, &record);
    if (code == ERR_OK)
        code = buf_adds(&b, ",\"data\":");
    if (code == ERR_OK) {
        struct slice row = record_row(&record, 0);
        code = buf_add(&b, row.ptr, row.len);
    }
    if (code == ERR_OK)
        code = buf_adds(&b, ",\"tags\":");
    if (code == ERR_OK)
        code = api_tags(&b, record.context);
    if (code == ERR_OK)
        code = buf_adds(&b, "}\n");
    buf_free(&copy);
    api_json(r, 200, &b, code);
}

/* The new row's data object out of `{"data":{…}}`; the body was checked as a row set of its own. Its bytes are kept. */
static int new_data(struct slice body, struct slice *data, char *why, size_t size)
{
    struct buf wrapped;
    buf_init(&wrapped, body.len + 64);
    struct scan *scan = scan_new();
    struct scan_rules rules = {.max_rows = 1, .max_depth = 32, .any_keys = true, .single = true};
    struct slice found;
    size_t at = 0;
    struct json_field field;
    int code = scan == NULL ? ERR_NOMEM : buf_adds(&wrapped, "{\"uuid\":\"x\",\"row\":");
    if (code == ERR_OK)
        code = buf_add(&wrapped, body.ptr, body.len);
    if (code == ERR_OK)
        code = buf_addc(&wrapped, '}');
    if (code == ERR_OK)
        code = scan_body(scan, &rules, buf_slice(&wrapped));
    uint32_t faults = 0;
    const struct fault *first = scan == NULL ? NULL : scan_faults(scan, &faults);
    if (code != ERR_OK && faults > 0)
        snprintf(why, size, "the new row is not valid: " SLICE_FMT, SLICE_ARG(first[0].detail));
    scan_free(&scan);
    buf_free(&wrapped);
    if (code != ERR_OK)
        return ERR_RANGE;
    while (at < body.len && body.ptr[at] != '{')
        at++;
    found = slice_make(body.ptr + at, body.len - at);
    at = 0;
    while (json_next(found, &at, &field))
        if (slice_is(field.key, "data")) {
            *data = field.value;
            return ERR_OK;
        }
    snprintf(why, size, "the body has no \"data\" object");
    return ERR_RANGE;
}

void api_dead_retry(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct runner *runner;
    struct aside_entry *e = find(api, r, params->text[0], &runner);
    if (e == NULL)
        return;
    if (e->out || e->state == ASIDE_RETRYING) {
        api_problem(r, 409, "conflict", "it is being tried just now");
        return;
    }
    if (runner->pusher->forgotten) {
        api_problem(r, 409, "conflict", "its pusher was forgotten; send it again when the pusher is back");
        return;
    }
    struct slice data = {NULL, 0};
    char why[300] = "the new row is not valid";
    if (r->body.len > 0 && new_data(r->body, &data, why, sizeof why) != ERR_OK) {
        api_problem(r, 422, "schema", why);
        return;
    }
    int code = pusher_dead_retry(runner->pusher, e, data, clock_ms());
    supervisor_step(api->supervisor, runner);
    struct buf b;
    buf_init(&b, 256);
    if (code == ERR_OK)
        code = buf_adds(&b, "{\"retried\":1}\n");
    api_json(r, 202, &b, code);
}

void api_dead_drop(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct runner *runner;
    struct aside_entry *e = find(api, r, params->text[0], &runner);
    if (e == NULL)
        return;
    if (e->out) {
        api_problem(r, 409, "conflict", "it is being tried just now");
        return;
    }
    pusher_dead_drop(runner->pusher, e);
    supervisor_step(api->supervisor, runner);
    struct buf b;
    buf_init(&b, 256);
    api_json(r, 200, &b, buf_adds(&b, "{\"dropped\":1}\n"));
}

/* --- all that a filter matches --- */

struct bulk {
    bool drop, dry;
    uint64_t matched, done;
    int64_t now;
};

static int visit_bulk(void *arg, struct runner *r, struct aside_entry *e, const struct record *record)
{
    struct bulk *bulk = arg;
    (void)record;
    if (e->state != ASIDE_DEAD)
        return ERR_OK;
    bulk->matched++;
    if (bulk->dry || e->out || (!bulk->drop && r->pusher->forgotten))
        return ERR_OK;
    bulk->done++;
    if (!bulk->drop)
        return pusher_dead_retry(r->pusher, e, (struct slice){NULL, 0}, bulk->now);
    pusher_dead_drop(r->pusher, e);
    return ERR_OK;
}

static void run_bulk(struct api *api, struct http_request *r, bool drop)
{
    struct filter f;
    bool all = false, dry = false;
    if (!filter_read(r, &f) || !api_flag(r, "all", &all) || !api_flag(r, "dry-run", &dry)) {
        api_problem(r, 400, "syntax", bad_filter);
        return;
    }
    if (f.pusher[0] == '\0' && f.reason[0] == '\0' && f.uuid[0] == '\0' && f.since_us == 0 && !all) {
        api_problem(r, 422, "schema", "say which: pusher, reason, uuid or since; or all=yes");
        return;
    }
    struct bulk bulk = {.drop = drop, .dry = dry, .now = clock_ms()};
    if (f.after.before_us == 0)
        f.after.before_us = clock_wall_us();
    struct walk w = {.api = api, .filter = &f, .visit = visit_bulk, .arg = &bulk};
    int code = walk(&w);
    LIST_EACH_SAFE(supervisor_runners(api->supervisor), it)
    supervisor_step(api->supervisor, container_of(it, struct runner, link));
    struct buf b;
    buf_init(&b, 256);
    if (code == ERR_OK)
        code = buf_addf(&b, "{\"matched\":%llu,\"%s\":%llu", (unsigned long long)bulk.matched,
                        drop ? "dropped" : "retried", (unsigned long long)bulk.done);
    if (code == ERR_OK)
        code = add_next(&b, &w);
    if (code == ERR_OK)
        code = buf_adds(&b, "}\n");
    api_json(r, 200, &b, code);
}

void api_dead_retry_all(struct api *api, struct http_request *r, const struct api_params *params)
{
    (void)params;
    run_bulk(api, r, false);
}

void api_dead_drop_all(struct api *api, struct http_request *r, const struct api_params *params)
{
    (void)params;
    run_bulk(api, r, true);
}
