/* Who watches, and what they are told.
 *
 * `taken`: a row set was accepted, with its first rows. `verdict`: a pusher has come to something about it, with the
 * receipt; for that, some of the row sets that were told are kept in mind for a minute, and the state of their delivery
 * is looked at with every tick, as it stands in memory. `missed`: what this reader did not get: rows that were passed
 * over because they came too fast, events that its connection was too slow for.
 *
 * Everything for a reader is gathered in a bounded buffer and sent once a tick, and a tick is longer where many read,
 * so a hundred of them cost about fifty writes a second and nothing else. Whether its caller may still look is
 * asked again now and then: a key that is taken back ends its taps. */
#include "api/tap.h"

#include "api/tap_read.h"
#include "base/hash.h"
#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 200,
    READER_MS = 18,       /* a tick is so much longer for each reader: a hundred are told every two seconds */
    TELL_MAX = 320,       /* of one look, to all readers together: where many watch, each sees fewer */
    OUT_BYTES = 64 << 10, /* waiting for one reader */
    WATCH_MAX = 128,
    WATCH_MS = 60000,
    WATCH_PUSHERS = 16, /* of a row set that are watched */
    QUIET_MS = 15000,   /* then a comment is sent, so that both sides notice when the other has gone */
    ADMIT_MS = 5000,
};

struct tap {
    struct link link;
    struct taps *owner;
    struct http_request *request;
    struct tap_filter filter;
    char pusher[128]; /* verdicts of this one only; "": of all */
    struct buf out;
    uint64_t lost, passed; /* events, rows; since it was told */
    int64_t sent_ms, admitted_ms;
};

enum word { WORD_PENDING, WORD_RETRYING, WORD_SETTLED };

/* A row set whose verdicts are waited for. */
struct watch {
    struct link link;
    struct receipt_waiter waiter; /* while `asking` */
    struct taps *owner;
    struct tap_set set; /* without its text */
    int64_t until_ms;
    bool asking;
    uint32_t count;
    struct {
        uint64_t name; /* hash */
        enum word word;
        bool changed;
    } seen[WATCH_PUSHERS];
};

struct taps {
    struct api *api;
    uv_timer_t timer;
    struct link taps, watches;
    uint32_t count, watch_count;
    uv_work_t work;
    bool looking, ended;
    uint64_t lost; /* events, of all readers */
    uint64_t at;   /* where the next look begins */
    struct tap_look look;
    struct tap_filter filters[TAPS_MAX]; /* of the look */
};

/* --- telling --- */

/* ERR_CLOSED: it has gone. */
static int send_out(struct tap *t, int64_t now)
{
    int code = http_stream_send(t->request, buf_slice(&t->out));
    if (code == ERR_OK) {
        buf_clear(&t->out);
        t->sent_ms = now;
    }
    return code;
}

static bool put(struct tap *t, const char *event, struct slice json)
{
    size_t before = t->out.len;
    int code = buf_addf(&t->out, "event: %s\ndata: ", event);
    if (code == ERR_OK)
        code = buf_add(&t->out, json.ptr, json.len);
    if (code == ERR_OK)
        code = buf_add(&t->out, "\n\n", 2);
    if (code != ERR_OK)
        t->out.len = before;
    return code == ERR_OK;
}

/* Where it does not fit, what is gathered goes out now, if its connection takes it. */
static void tell(struct tap *t, const char *event, struct slice json)
{
    if (put(t, event, json) || (send_out(t, clock_ms()) == ERR_OK && put(t, event, json)))
        return;
    t->lost++;
    t->owner->lost++;
}

static void tell_missed(struct tap *t)
{
    char text[96];
    if (t->lost == 0 && t->passed == 0)
        return;
    uint64_t lost = t->lost, passed = t->passed;
    snprintf(text, sizeof text, "{\"events\":%llu,\"rows\":%llu}", (unsigned long long)lost,
             (unsigned long long)passed);
    tell(t, "missed", slice_of(text));
    if (t->lost == lost) /* there was room for it */
        t->lost = t->passed = 0;
    else
        t->lost = lost;
}

static void tap_free(struct taps *all, struct tap *t)
{
    link_remove(&t->link);
    all->count--;
    if (all->count == 0 && !all->ended)
        uv_timer_stop(&all->timer);
    http_stream_end(t->request);
    buf_free(&t->out);
    free(t);
}

/* False: it has gone. */
static bool flush(struct tap *t, int64_t now)
{
    tell_missed(t);
    if (t->out.len == 0 && now - t->sent_ms >= QUIET_MS && buf_adds(&t->out, ": still here\n\n") != ERR_OK)
        return true;
    return t->out.len == 0 || send_out(t, now) != ERR_CLOSED;
}

/* --- verdicts --- */

static enum word word_of(const struct pusher *p, const struct watch *w)
{
    struct pusher_view view;
    pusher_view(p, w->set.position, w->set.rows, w->set.uuid_hash, &view);
    if (view.pending + view.waiting + view.parked == 0)
        return WORD_SETTLED;
    return view.waiting + view.parked > 0 || p->state == PUSHER_RETRYING ? WORD_RETRYING : WORD_PENDING;
}

static int seen_of(struct watch *w, const struct runner *r)
{
    uint64_t name = hash_bytes(slice_of(r->name));
    for (uint32_t i = 0; i < w->count; i++)
        if (w->seen[i].name == name)
            return (int)i;
    if (w->count == WATCH_PUSHERS)
        return -1;
    w->seen[w->count].name = name;
    return (int)w->count++;
}

/* `*open`: some pusher has not settled it. True: something has changed. */
static bool watch_look(struct watch *w, bool *open)
{
    bool changed = false;
    *open = false;
    LIST_EACH(supervisor_runners(w->owner->api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        if (r->pusher == NULL || !pusher_takes(r->pusher, w->set.position))
            continue;
        int i = seen_of(w, r);
        if (i < 0)
            continue;
        enum word word = word_of(r->pusher, w);
        *open = *open || word != WORD_SETTLED;
        w->seen[i].changed = w->seen[i].changed || word != w->seen[i].word;
        w->seen[i].word = word;
        changed = changed || w->seen[i].changed;
    }
    return changed;
}

static void watch_free(struct watch *w)
{
    CHECK(!w->asking);
    link_remove(&w->link);
    w->owner->watch_count--;
    free(w);
}

static void tell_verdict(struct taps *all, const struct watch *w, const char *pusher, struct slice receipt)
{
    struct buf b;
    buf_init(&b, OUT_BYTES);
    int code = buf_addf(&b, "{\"pusher\":\"%s\",\"receipt\":", pusher);
    if (code == ERR_OK)
        code = buf_add(&b, receipt.ptr, receipt.len);
    if (code == ERR_OK)
        code = buf_addc(&b, '}');
    LIST_EACH(&all->taps, it)
    {
        struct tap *t = container_of(it, struct tap, link);
        if (!tap_fits(&t->filter, &w->set) || (t->pusher[0] != '\0' && strcmp(t->pusher, pusher) != 0))
            continue;
        if (code == ERR_OK)
            tell(t, "verdict", buf_slice(&b));
    }
    buf_free(&b);
}

static void have_receipt(void *arg, int code, struct slice json)
{
    struct watch *w = arg;
    struct taps *all = w->owner;
    w->asking = false;
    LIST_EACH(supervisor_runners(all->api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        int i = seen_of(w, r);
        if (i < 0 || !w->seen[i].changed)
            continue;
        w->seen[i].changed = false;
        if (code == ERR_OK)
            tell_verdict(all, w, r->name, json);
    }
    if (all->ended)
        watch_free(w);
}

static void watch_tick(struct watch *w, int64_t now)
{
    bool open;
    if (w->asking)
        return;
    if (watch_look(w, &open)) {
        w->asking = true;
        w->waiter = (struct receipt_waiter){.position = w->set.position, .done = have_receipt, .arg = w};
        receipts_make(w->owner->api, &w->waiter);
    } else if (!open || now >= w->until_ms) {
        watch_free(w);
    }
}

/* For the newest one the oldest is given up. */
static void watch_add(struct taps *all, const struct tap_set *set, int64_t now)
{
    if (all->watch_count == WATCH_MAX) {
        struct watch *oldest = container_of(all->watches.next, struct watch, link);
        /* The analyzer does not see that watch_free takes it out of the list, and meets it again there. */
        if (oldest->asking) /* NOLINT(clang-analyzer-unix.Malloc) */
            return;
        watch_free(oldest);
    }
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        return;
    w->owner = all;
    w->set = *set;
    w->until_ms = now + WATCH_MS;
    link_init(&w->link);
    list_push(&all->watches, &w->link);
    all->watch_count++;
}

/* --- looking --- */

static void tell_look(struct taps *all)
{
    struct tap_look *l = &all->look;
    int64_t now = clock_ms();
    LIST_EACH(&all->taps, it)
    {
        struct tap *t = container_of(it, struct tap, link);
        t->passed += l->passed;
        for (uint32_t i = 0; i < l->count; i++)
            if (tap_fits(&t->filter, &l->sets[i]))
                tell(t, "taken", buf_slice(&l->sets[i].json));
    }
    for (uint32_t i = 0; i < l->count; i++)
        watch_add(all, &l->sets[i], now);
}

static void look_run(uv_work_t *work)
{
    struct taps *all = work->data;
    tap_look(&all->look);
}

static void look_done(uv_work_t *work, int status)
{
    struct taps *all = work->data;
    (void)status;
    all->api->works--;
    all->looking = false;
    all->at = all->look.at;
    if (!all->ended)
        tell_look(all);
    tap_look_fini(&all->look);
}

static void look_begin(struct taps *all)
{
    struct journal_mark to = journal_durable(all->api->journal);
    if (all->looking || all->at >= to.position)
        return;
    uint32_t count = 0;
    LIST_EACH(&all->taps, it) /* the analyzer does not see that tap_free takes one out of the list */
    all->filters[count++] = container_of(it, struct tap, link)->filter; /* NOLINT(clang-analyzer-unix.Malloc) */
    CHECK(count > 0);
    all->look.journal = all->api->journal;
    all->look.at = all->at;
    all->look.to = to;
    all->look.filters = all->filters;
    all->look.filter_count = count;
    all->look.keep = TELL_MAX / count < 1 ? 1 : TELL_MAX / count > TAP_SETS ? TAP_SETS : TELL_MAX / count;
    all->look.count = 0;
    all->look.passed = 0;
    all->looking = true;
    all->api->works++;
    CHECK(uv_queue_work(all->api->loop, &all->work, look_run, look_done) == 0);
}

static bool admitted(struct taps *all, struct tap *t, int64_t now)
{
    if (now - t->admitted_ms < ADMIT_MS)
        return true;
    t->admitted_ms = now;
    return api_admits_still(all->api, t->request);
}

static void on_tick(uv_timer_t *timer)
{
    struct taps *all = timer->data;
    int64_t now = clock_ms();
    uv_timer_set_repeat(timer, TICK_MS + READER_MS * (uint64_t)all->count);
    LIST_EACH_SAFE(&all->watches, it)
    watch_tick(container_of(it, struct watch, link), now);
    LIST_EACH_SAFE(&all->taps, it)
    {
        struct tap *t = container_of(it, struct tap, link);
        if (!flush(t, now) || !admitted(all, t, now))
            tap_free(all, t);
    }
    if (all->count > 0)
        look_begin(all);
}

/* --- the route --- */

static bool read_filter(struct http_request *r, struct tap *t)
{
    if (http_query(r, "uuid", t->filter.uuid, sizeof t->filter.uuid) == -2 ||
        http_query(r, "client", t->filter.client, sizeof t->filter.client) == -2 ||
        http_query(r, "pusher", t->pusher, sizeof t->pusher) == -2)
        return false;
    if (r->caller.client[0] == '\0')
        return true;
    memcpy(t->filter.client, r->caller.client, sizeof t->filter.client); /* its own only, whatever it asks for */
    return true;
}

static void start(struct taps *all, struct tap *t)
{
    t->sent_ms = t->admitted_ms = clock_ms();
    list_push(&all->taps, &t->link);
    if (all->count++ == 0) {
        all->at = journal_durable(all->api->journal).position;
        CHECK(uv_timer_start(&all->timer, on_tick, TICK_MS, TICK_MS) == 0);
    }
    api_events(t->request);
    if (buf_adds(&t->out, "retry: 2000\n: what passes\n\n") != ERR_OK || !flush(t, t->sent_ms))
        tap_free(all, t);
}

void api_tap(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct taps *all = api->taps;
    (void)params;
    if (r->method == HTTP_HEAD) {
        api_events_head(r);
        return;
    }
    struct tap *t = all->ended || all->count == TAPS_MAX ? NULL : calloc(1, sizeof *t);
    if (t == NULL) {
        api_problem(r, 503, "unavailable", "too many watch already, or this gateway is about to stop");
        return;
    }
    link_init(&t->link);
    t->owner = all;
    buf_init(&t->out, OUT_BYTES);
    t->request = r;
    if (read_filter(r, t)) {
        start(all, t);
        return;
    }
    free(t);
    api_problem(r, 400, "syntax", "a filter is malformed; there are uuid, pusher and client");
}

/* --- life --- */

int taps_open(struct taps **out, struct api *api)
{
    struct taps *all = calloc(1, sizeof *all);
    if (all == NULL)
        return ERR_NOMEM;
    all->api = api;
    link_init(&all->taps);
    link_init(&all->watches);
    CHECK(uv_timer_init(api->loop, &all->timer) == 0);
    all->timer.data = all->work.data = all;
    *out = all;
    return ERR_OK;
}

bool taps_gone(struct taps *all, struct http_request *r)
{
    LIST_EACH(&all->taps, it)
    {
        struct tap *t = container_of(it, struct tap, link);
        if (t->request != r)
            continue;
        tap_free(all, t);
        return true;
    }
    return false;
}

void taps_end(struct taps *all)
{
    all->ended = true;
    uv_timer_stop(&all->timer);
    LIST_EACH_SAFE(&all->taps, it)
    tap_free(all, container_of(it, struct tap, link));
    LIST_EACH_SAFE(&all->watches, it)
    {
        struct watch *w = container_of(it, struct watch, link);
        if (!w->asking)
            watch_free(w);
    }
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void taps_close(struct taps **all)
{
    if (*all == NULL)
        return;
    CHECK((*all)->ended && !(*all)->looking && (*all)->watch_count == 0);
    uv_close((uv_handle_t *)&(*all)->timer, on_closed);
    *all = NULL;
}

uint64_t taps_lost(const struct taps *all)
{
    return all->lost;
}

uint32_t taps_count(const struct taps *all)
{
    return all->count;
}
