/* Telling all open pages how the gateway does.
 *
 * Whoever has the role to look at pushers, alerts and history sees the same of them, so for each span of the history
 * there is one text, and every reader of it is given that text's bytes. It begins with what changes all the time; the
 * history stands last and is left out for those who have its newest point already. A reader that is still busy with the
 * text before is passed over: the next one says all that this one did. So nothing is kept for a reader, and one that
 * does not read costs nobody anything (its connection ends by the idle timeout).
 *
 * Why they are told and do not ask: a request that finds the loop asleep costs a wake-up, several times what the answer
 * does, and a hundred pages ask at a hundred different moments. */
#include "api/onlookers.h"

#include "api/history.h"
#include "base/sys.h"

#include <stdlib.h>

enum {
    PERIOD_MS = 2000,
    READER_MS = 10,  /* a period is so much longer for each reader: a hundred of them are told every three seconds */
    FRESH_MS = 1000, /* who comes meanwhile is given what was made for others, up to so long ago */
    ADMIT_MS = 5000, /* whether its caller may still look is asked again */
};

struct onlooker {
    struct link link;
    struct http_request *request;
    int span;
    int64_t point_us; /* the newest point of the history that it has */
    int64_t admitted_ms;
};

struct onlookers {
    struct api *api;
    uv_timer_t timer;
    struct link all;
    uint32_t count;
    bool ended;
    struct {
        struct buf text;
        size_t history;   /* where in it the history begins */
        int64_t point_us; /* the newest point of that */
        int64_t made_ms;  /* 0: never */
    } told[HISTORY_SPANS];
};

/* --- what is told --- */

static int add_state(struct buf *b, struct api *api)
{
    int code = buf_adds(b, "event: alerts\ndata: ");
    if (code == ERR_OK)
        code = api_add_alerts(b, api);
    if (code == ERR_OK)
        code = buf_adds(b, "\n\nevent: pushers\ndata: ");
    if (code == ERR_OK)
        code = api_add_status(b, api);
    return code == ERR_OK ? buf_adds(b, "\n\n") : code;
}

static int add_history(struct buf *b, const struct history *h, int span)
{
    int code = buf_adds(b, "event: history\ndata: ");
    if (code == ERR_OK)
        code = history_print(h, span, b);
    return code == ERR_OK ? buf_adds(b, "\n\n") : code;
}

/* False: no memory for it. */
static bool make(struct onlookers *o, int span, int64_t now)
{
    struct buf *b = &o->told[span].text;
    if (o->told[span].made_ms != 0 && now - o->told[span].made_ms < FRESH_MS)
        return true;
    buf_clear(b);
    int code = add_state(b, o->api);
    o->told[span].history = b->len;
    o->told[span].point_us = history_newest(o->api->history, span);
    if (code == ERR_OK)
        code = add_history(b, o->api->history, span);
    o->told[span].made_ms = code == ERR_OK ? now : 0;
    return code == ERR_OK;
}

/* False: it has gone. */
static bool tell(struct onlookers *o, struct onlooker *one, int64_t now)
{
    if (!make(o, one->span, now))
        return true;
    int64_t newest = o->told[one->span].point_us;
    struct slice text = buf_slice(&o->told[one->span].text);
    if (one->point_us == newest)
        text.len = o->told[one->span].history;
    int code = http_stream_send(one->request, text);
    if (code == ERR_OK)
        one->point_us = newest;
    return code != ERR_CLOSED;
}

static bool admitted(struct onlookers *o, struct onlooker *one, int64_t now)
{
    if (now - one->admitted_ms < ADMIT_MS)
        return true;
    one->admitted_ms = now;
    return api_admits_still(o->api, one->request);
}

static void onlooker_free(struct onlookers *o, struct onlooker *one)
{
    link_remove(&one->link);
    o->count--;
    if (o->count == 0 && !o->ended)
        uv_timer_stop(&o->timer);
    http_stream_end(one->request);
    free(one);
}

static void on_period(uv_timer_t *timer)
{
    struct onlookers *o = timer->data;
    int64_t now = clock_ms();
    uv_timer_set_repeat(timer, PERIOD_MS + READER_MS * (uint64_t)o->count);
    LIST_EACH_SAFE(&o->all, it)
    {
        struct onlooker *one = container_of(it, struct onlooker, link);
        if (!admitted(o, one, now) || !tell(o, one, now))
            onlooker_free(o, one);
    }
}

/* --- the route --- */

static void start(struct onlookers *o, struct onlooker *one)
{
    one->admitted_ms = clock_ms();
    list_push(&o->all, &one->link);
    if (o->count++ == 0)
        CHECK(uv_timer_start(&o->timer, on_period, PERIOD_MS, PERIOD_MS) == 0);
    api_events(one->request);
    if (!tell(o, one, one->admitted_ms))
        onlooker_free(o, one);
}

void api_watch(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct onlookers *o = api->onlookers;
    char word[16] = "hour";
    (void)params;
    int span = http_query(r, "span", word, sizeof word) == -2 ? -1 : history_span(word);
    if (span < 0) {
        api_problem(r, 422, "schema", "span is minute, hour or day");
        return;
    }
    if (r->method == HTTP_HEAD) {
        api_events_head(r);
        return;
    }
    struct onlooker *one = o->ended || o->count == ONLOOKERS_MAX ? NULL : calloc(1, sizeof *one);
    if (one == NULL) {
        api_problem(r, 503, "unavailable", "too many look on already, or this gateway is about to stop");
        return;
    }
    link_init(&one->link);
    one->request = r;
    one->span = span;
    start(o, one);
}

/* --- life --- */

int onlookers_open(struct onlookers **out, struct api *api)
{
    struct onlookers *o = calloc(1, sizeof *o);
    if (o == NULL)
        return ERR_NOMEM;
    o->api = api;
    link_init(&o->all);
    for (int span = 0; span < HISTORY_SPANS; span++)
        buf_init(&o->told[span].text, API_BODY_MAX);
    CHECK(uv_timer_init(api->loop, &o->timer) == 0);
    o->timer.data = o;
    *out = o;
    return ERR_OK;
}

bool onlookers_gone(struct onlookers *o, struct http_request *r)
{
    LIST_EACH(&o->all, it)
    {
        struct onlooker *one = container_of(it, struct onlooker, link);
        if (one->request != r)
            continue;
        onlooker_free(o, one);
        return true;
    }
    return false;
}

void onlookers_end(struct onlookers *o)
{
    o->ended = true;
    uv_timer_stop(&o->timer);
    LIST_EACH_SAFE(&o->all, it)
    onlooker_free(o, container_of(it, struct onlooker, link));
}

static void on_closed(uv_handle_t *handle)
{
    struct onlookers *o = handle->data;
    for (int span = 0; span < HISTORY_SPANS; span++)
        buf_free(&o->told[span].text);
    free(o);
}

void onlookers_close(struct onlookers **o)
{
    if (*o == NULL)
        return;
    CHECK((*o)->ended && (*o)->count == 0);
    uv_close((uv_handle_t *)&(*o)->timer, on_closed);
    *o = NULL;
}

uint32_t onlookers_count(const struct onlookers *o)
{
    return o->count;
}
