/* Steering one row set at one pusher: POST /v1/batches/{id}/pushers/{pusher}/expedite, mark-delivered, mark-pending and
 * purge.
 *
 * A mark is answered when it is on disk, not before. Until then the segment of rows that are to be sent again is held,
 * for nothing else may keep it: they were settled. */
#include "access/audit.h"
#include "api/api.h"

#include "base/client.h"
#include "base/hash.h"
#include "base/sys.h"

#include <stdlib.h>

enum { RECORD_MAX = 80 << 20, NOTE_BYTES = 8 << 10, WRITTEN_WITHIN_MS = 20000 };

struct chosen {
    struct chosen_set set;
    uint64_t segment; /* base */
    bool other;       /* of a client that this pusher does not take */
    struct runner *runner;
};

/* 0, or it was answered. */
static int choose(struct api *api, struct http_request *r, const struct api_params *params, struct chosen *out)
{
    struct journal_segment segment;
    struct record record;
    struct buf copy;
    struct slice uuid = {"", 0};
    struct slice client = {"", 0};
    int code = batch_id_parse(slice_of(params->text[0]), &out->set.epoch, &out->set.position);
    if (code != ERR_OK)
        code = ERR_NOTFOUND;
    buf_init(&copy, RECORD_MAX);
    if (code == ERR_OK)
        code = journal_find_batch(api->journal, &out->set.epoch, out->set.position, &segment);
    if (code == ERR_OK)
        code = journal_read(api->journal, out->set.position, &copy, &record);
    if (code == ERR_OK) {
        (void)context_get(record.context, CONTEXT_UUID, &uuid);
        (void)context_get(record.context, CONTEXT_CLIENT, &client);
        out->set.uuid_hash = hash_bytes(uuid);
        out->set.rows = record.rows;
        out->set.bytes = record.length;
        out->segment = segment.base;
    }
    out->runner = supervisor_find(api->supervisor, slice_of(params->text[1]));
    const struct pusher *p = out->runner == NULL ? NULL : out->runner->pusher;
    out->other = p != NULL && p->clients != NULL && !client_listed(p->clients, client);
    buf_free(&copy);
    if (code != ERR_OK) {
        api_error(r, code, "there is no row set with this id (any more)");
        return code;
    }
    if (p != NULL && pusher_takes(p, out->set.position))
        return ERR_OK;
    api_problem(r, 404, "not-found", "there is no pusher of this name that this row set is for");
    return ERR_NOTFOUND;
}

void api_batch_expedite(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct chosen c;
    struct pusher_view view;
    if (choose(api, r, params, &c) != ERR_OK)
        return;
    struct pusher *p = c.runner->pusher;
    pusher_view(p, c.set.position, c.set.rows, c.set.uuid_hash, &view);
    if (view.pending + view.waiting + view.parked == 0) {
        api_problem(r, 409, "conflict", "this pusher has settled it; a replay sends it again");
        return;
    }
    if (p->state == PUSHER_PAUSED || p->broken || p->host != HOST_READY) {
        api_problem(r, 409, "conflict", "this pusher does not push just now; see its state");
        return;
    }
    uint32_t cut = pusher_expedite(p, &c.set.epoch, c.set.position, clock_ms());
    supervisor_step(api->supervisor, c.runner);
    struct buf b;
    buf_init(&b, 256);
    int code = buf_addf(&b, "{\"expedited\":%u,\"pending\":%u,\"waiting\":%u,\"parked\":%u}\n", cut, view.pending,
                        view.waiting, view.parked);
    api_json(r, 202, &b, code);
}

/* --- marks --- */

struct steering {
    struct steering *next;
    struct api *api;
    struct http_request *request;
    char pusher[128];
    uint64_t sequence, held; /* of the cursor; base of the segment */
    int64_t until_ms;
    bool holds;
    struct buf answer;
};

static void steering_end(struct steering *s, bool written)
{
    if (written) {
        api_json(s->request, 200, &s->answer, ERR_OK);
    } else {
        buf_free(&s->answer);
        api_problem(s->request, 503, "disk", "it is not on disk yet; look at the receipt, or ask again");
    }
    if (s->holds)
        journal_unhold(s->api->journal, s->held);
    free(s);
}

void steer_look(struct api *api)
{
    int64_t now = clock_ms();
    for (struct steering **at = &api->steerings; *at != NULL;) {
        struct steering *s = *at;
        const struct runner *r = supervisor_find(api->supervisor, slice_of(s->pusher));
        bool there = r != NULL && r->pusher != NULL, written = there && r->pusher->sequence >= s->sequence;
        if (there && !written && s->until_ms > now && !api->stopping) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        steering_end(s, written);
    }
}

/* Keep the segment until the copies are made. Without that they may be lost, so without that they are not begun. */
static int hold(struct steering *s, uint64_t segment)
{
    int fd;
    int code = journal_hold(s->api->journal, segment, &fd, NULL);
    if (code != ERR_OK)
        return code;
    sys->close(fd);
    s->held = segment;
    s->holds = true;
    return ERR_OK;
}

static int add_why(struct buf *b, const struct http_request *r)
{
    char why[AUDIT_WHY_MAX + 1];
    long len = http_query(r, "why", why, sizeof why);
    if (len <= 0)
        return ERR_OK;
    int code = buf_adds(b, ",\"why\":");
    return code == ERR_OK ? buf_add_json(b, slice_make(why, (size_t)len)) : code;
}

/* For the receipt. */
static int make_note(struct buf *b, const struct http_request *r, const char *action, uint32_t rows)
{
    int code = buf_addf(b, "{\"action\":\"%s\",\"rows\":%u,\"time\":", action, rows);
    if (code == ERR_OK)
        code = api_time(b, clock_wall_us());
    if (code == ERR_OK)
        code = buf_adds(b, ",\"who\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(r->caller.who[0] == '\0' ? "anybody" : r->caller.who));
    if (code == ERR_OK)
        code = add_why(b, r);
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

enum act { ACT_DELIVERED, ACT_PENDING, ACT_PURGE };
static const char *const acts[] = {"mark-delivered", "mark-pending", "purge"};

static enum ruling_kind ruling_of(enum act act)
{
    return act == ACT_DELIVERED ? RULING_DELIVERED : RULING_GIVEN_UP;
}

static int add_numbers(struct buf *b, const struct api_params *params, const struct chosen *c, uint32_t marked,
                       bool dry)
{
    const struct chosen_set *set = &c->set;
    struct pusher_view view;
    pusher_view(c->runner->pusher, set->position, set->rows, set->uuid_hash, &view);
    uint32_t open = view.pending + view.waiting + view.parked;
    return buf_addf(b,
                    "{\"id\":\"%s\",\"pusher\":\"%s\",\"rows\":%u,\"pending\":%u,\"waiting\":%u,\"parked\":%u,"
                    "\"settled\":%u,\"dead\":%u,\"marked\":%u,\"dry_run\":%s}\n",
                    params->text[0], c->runner->name, set->rows, view.pending, view.waiting, view.parked,
                    open < set->rows ? set->rows - open : 0, pusher_dead_rows(c->runner->pusher, set), marked,
                    dry ? "true" : "false");
}

static int act_on(struct steering *s, const struct chosen *c, enum act act, const char *note)
{
    if (act != ACT_PENDING)
        return pusher_rule(c->runner->pusher, &c->set, ruling_of(act), note);
    int code = hold(s, c->segment);
    return code == ERR_OK ? pusher_send_again(c->runner->pusher, &c->set, note, clock_ms()) : code;
}

static void refuse(struct http_request *r, int code, enum act act)
{
    if (code == ERR_LIMIT && act == ACT_PENDING)
        api_problem(r, 409, "conflict", "there is no room for copies of its rows (park.max_bytes)");
    else if (code == ERR_BUSY)
        api_problem(r, 409, "conflict", "rows of it are being set aside at this moment; ask again in a second");
    else if (code == ERR_LIMIT)
        api_problem(r, 409, "conflict",
                    "this pusher has as many marked row sets before it as it can; let it go on first");
    else
        api_error(r, code, err_text(code));
}

/* Begins what is answered when it is on disk. */
static int begin(struct steering *s, const struct chosen *c, enum act act, uint32_t marked)
{
    struct buf note;
    buf_init(&note, NOTE_BYTES);
    int code = make_note(&note, s->request, acts[act], marked);
    if (code == ERR_OK)
        code = act_on(s, c, act, buf_str(&note));
    buf_free(&note);
    return code;
}

static void mark(struct api *api, struct http_request *r, const struct api_params *params, enum act act)
{
    struct chosen c = {0};
    bool dry = false;
    if (!api_flag_or_refuse(r, "dry-run", &dry) || choose(api, r, params, &c) != ERR_OK)
        return;
    struct pusher *p = c.runner->pusher;
    if (c.other || p->forgotten) {
        api_problem(r, 409, "conflict",
                    c.other ? "this row set is not for this pusher (CLIENTS)" : "this pusher was forgotten");
        return;
    }
    uint32_t marked = act == ACT_PENDING ? pusher_settled_rows(p, &c.set) : pusher_rulable(p, &c.set, ruling_of(act));
    struct steering *s = calloc(1, sizeof *s);
    if (s == NULL) {
        api_error(r, ERR_NOMEM, "out of memory");
        return;
    }
    *s = (struct steering){.api = api, .request = r, .until_ms = clock_ms() + WRITTEN_WITHIN_MS};
    snprintf(s->pusher, sizeof s->pusher, "%s", c.runner->name);
    buf_init(&s->answer, 4096);
    int code = add_numbers(&s->answer, params, &c, marked, dry);
    if (code == ERR_OK && marked > 0 && !dry)
        code = begin(s, &c, act, marked);
    if (code != ERR_OK) {
        buf_free(&s->answer);
        if (s->holds)
            journal_unhold(api->journal, s->held);
        free(s);
        refuse(r, code, act);
        return;
    }
    s->sequence = dry ? 0 : pusher_written_by(p); /* nothing to do: what was said before may still be on its way */
    s->next = api->steerings;
    api->steerings = s;
    supervisor_step(api->supervisor, c.runner);
    steer_look(api);
}

void api_batch_mark_delivered(struct api *api, struct http_request *r, const struct api_params *params)
{
    mark(api, r, params, ACT_DELIVERED);
}

void api_batch_mark_pending(struct api *api, struct http_request *r, const struct api_params *params)
{
    mark(api, r, params, ACT_PENDING);
}

void api_batch_purge(struct api *api, struct http_request *r, const struct api_params *params)
{
    mark(api, r, params, ACT_PURGE);
}
