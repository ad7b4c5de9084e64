/* Pushers, as operators see and steer them: GET /v1/pushers, pause, resume, forget. Pullers share their names with
 * them, so what concerns one by its name is here for both. */
#include "api/api.h"
#include "api/daemon.h"
#include "api/history.h"

#include "base/sys.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int64_t since_us(const struct runner *r)
{
    return r->pusher == NULL ? clock_wall_us() : r->pusher->state_since_us;
}

static int add_numbers(struct buf *b, struct supervisor *s, const struct runner *r)
{
    const struct pusher *p = r->pusher;
    uint64_t rows, bytes;
    pusher_lag(p, &rows, &bytes);
    return buf_addf(
        b,
        ",\"lag\":{\"rows\":%llu,\"bytes\":%llu,\"seconds\":%.3f},\"delivered\":%llu,\"duplicate\":%llu,"
        "\"skipped\":%llu,\"other_clients\":%llu,\"dead\":%llu,\"given_up\":%llu,\"by_hand\":%llu,\"retries\":%llu,"
        "\"restarts\":%llu,\"dead_letters\":%zu,"
        "\"parked\":%zu,\"waiting\":%zu,\"workers\":%u",
        (unsigned long long)rows, (unsigned long long)bytes, supervisor_lag_seconds(s, r),
        (unsigned long long)p->totals[TOTAL_DELIVERED], (unsigned long long)p->totals[TOTAL_DUPLICATE],
        (unsigned long long)p->totals[TOTAL_SKIPPED], (unsigned long long)p->counts.skipped_client,
        (unsigned long long)p->totals[TOTAL_DEAD], (unsigned long long)p->totals[TOTAL_GIVEN_UP],
        (unsigned long long)p->totals[TOTAL_BY_HAND], (unsigned long long)p->totals[TOTAL_RETRIES],
        (unsigned long long)p->counts.restarts, p->aside.dead_count, p->aside.parked_count, p->waiting.count,
        p->worker_count);
}

static int add_idle(struct buf *b)
{
    return buf_adds(
        b, ",\"lag\":{\"rows\":0,\"bytes\":0,\"seconds\":0},\"delivered\":0,\"duplicate\":0,\"skipped\":0,"
           "\"other_clients\":0,"
           "\"dead\":0,\"given_up\":0,\"by_hand\":0,\"retries\":0,\"restarts\":0,\"dead_letters\":0,\"parked\":0,"
           "\"waiting\":0,\"workers\":0");
}

static int add_options(struct buf *b, const struct runner *r)
{
    bool more = false;
    int code = buf_adds(b, ",\"options\":[");
    for (size_t pass = 0; pass < 2; pass++) {
        const struct conf_value *values = pass == 0 ? r->instance.common_values : r->instance.values;
        size_t count = pass == 0 ? r->instance.common_count : r->instance.count;
        for (size_t i = 0; code == ERR_OK && i < count; i++) {
            const struct conf_value *v = &values[i];
            code = api_comma(b, &more);
            if (code == ERR_OK)
                code = buf_adds(b, "{\"name\":");
            if (code == ERR_OK)
                code = buf_add_json(b, slice_of(v->name));
            if (code == ERR_OK)
                code = buf_adds(b, ",\"value\":");
            if (code == ERR_OK)
                code = buf_add_json(b, slice_of(v->secret ? "(hidden)" : v->value));
            if (code == ERR_OK)
                code = buf_adds(b, ",\"origin\":");
            if (code == ERR_OK)
                code = buf_add_json(b, slice_of(v->origin));
            if (code == ERR_OK)
                code = buf_addf(b, ",\"secret\":%s}", v->secret ? "true" : "false");
        }
    }
    return code == ERR_OK ? buf_addc(b, ']') : code;
}

/* Why its host was started again, since this process began. */
static int add_restarts(struct buf *b, const struct runner *r)
{
    const struct pusher_counts *c = &r->pusher->counts;
    uint64_t named = c->crashes + c->deadline_kills + c->memory_kills;
    return buf_addf(b,
                    ",\"restart_reasons\":{\"crash\":%llu,\"deadline\":%llu,\"memory\":%llu,\"other\":%llu},"
                    "\"pushes\":%u",
                    (unsigned long long)c->crashes, (unsigned long long)c->deadline_kills,
                    (unsigned long long)c->memory_kills,
                    (unsigned long long)(c->restarts > named ? c->restarts - named : 0), r->pusher->pushes);
}

static int add_pusher(struct buf *b, struct api *api, const struct runner *r)
{
    struct supervisor *s = api->supervisor;
    int code = buf_addf(b, "{\"name\":\"%s\",\"plugin\":", r->name);
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(r->plugin));
    if (code == ERR_OK)
        code = buf_adds(b, ",\"version\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(r->file == NULL ? "" : r->file->about.version));
    if (code == ERR_OK)
        code = buf_addf(b, ",\"state\":\"%s\",\"since\":", pusher_state_word(runner_state(r)));
    if (code == ERR_OK)
        code = api_time(b, since_us(r));
    if (code == ERR_OK)
        code = r->pusher != NULL ? add_numbers(b, s, r) : add_idle(b);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"error\":");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(runner_error(r)));
    if (code == ERR_OK)
        code = buf_addf(b, ",\"pid\":%d,\"confined\":%s,\"memory\":%llu", runner_pid(r), r->confined ? "true" : "false",
                        (unsigned long long)r->memory);
    if (code == ERR_OK)
        code = buf_addf(b, ",\"rate\":%.6g", history_rate(api->history, r->name));
    if (code == ERR_OK && r->pusher != NULL)
        code = add_restarts(b, r);
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

static int add_refused(struct buf *b, const struct folder *f, bool *more)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < f->count; i++) {
        char why[4096];
        const char *path = f->entries[i].file->path, *name = strrchr(path, '/');
        if (!folder_refused(&f->entries[i], why, sizeof why))
            continue;
        code = api_comma(b, more);
        if (code == ERR_OK)
            code = buf_adds(b, "{\"name\":");
        if (code == ERR_OK)
            code = buf_add_json(b, slice_of(name == NULL ? path : name + 1));
        if (code == ERR_OK)
            code = buf_adds(b, ",\"plugin\":\"\",\"version\":\"\",\"state\":\"refused\",\"since\":");
        if (code == ERR_OK)
            code = api_time(b, f->entries[i].file->changed_ns / 1000);
        if (code == ERR_OK)
            code = add_idle(b);
        if (code == ERR_OK)
            code = buf_adds(b, ",\"error\":");
        if (code == ERR_OK)
            code = buf_add_json(b, slice_of(why));
        if (code == ERR_OK)
            code = buf_adds(b, ",\"pid\":0,\"confined\":false,\"memory\":0,\"rate\":0}");
    }
    return code;
}

static int add_journal(struct buf *b, struct api *api)
{
    struct journal_health h;
    journal_health(api->journal, &h);
    const char *word = h.intake == ERR_OK ? "ok" : h.intake == ERR_FULL ? "full" : "error";
    int code = buf_addf(
        b, "\"journal\":{\"bytes\":%llu,\"limit\":%llu,\"durable\":%llu,\"damages\":%u,\"intake\":\"%s\",\"text\":",
        (unsigned long long)h.bytes, (unsigned long long)h.limit,
        (unsigned long long)journal_durable(api->journal).position, h.damages, word);
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(h.text));
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

static int add_seconds(struct buf *b, const char *name, double seconds)
{
    return isnan(seconds) ? buf_addf(b, ",\"%s\":null", name) : buf_addf(b, ",\"%s\":%.6g", name, seconds);
}

/* Of the last seconds. */
static int add_now(struct buf *b, const struct history *h)
{
    struct history_now now;
    history_now(h, &now);
    int code = buf_addf(b, ",\"now\":{\"rows_per_second\":%.6g,\"bytes_per_second\":%.6g", now.rows, now.bytes);
    if (code == ERR_OK)
        code = add_seconds(b, "durable_p50", now.p50);
    if (code == ERR_OK)
        code = add_seconds(b, "durable_p99", now.p99);
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

int api_add_status(struct buf *b, struct api *api)
{
    bool more = false;
    int code = buf_adds(b, "{\"pushers\":[");
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *runner = container_of(it, struct runner, link);
        if (api_is_puller(runner))
            continue;
        if (code == ERR_OK)
            code = api_comma(b, &more);
        if (code == ERR_OK)
            code = add_pusher(b, api, runner);
    }
    if (code == ERR_OK)
        code = add_refused(b, supervisor_folder(api->supervisor), &more);
    if (code == ERR_OK)
        code = buf_adds(b, "],\"pullers\":");
    if (code == ERR_OK)
        code = api_add_pullers(b, api->supervisor);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"clients\":[");
    if (code == ERR_OK)
        code = api_add_clients(b, api);
    if (code == ERR_OK)
        code = buf_adds(b, "],");
    if (code == ERR_OK)
        code = add_journal(b, api);
    if (code == ERR_OK)
        code = add_now(b, api->history);
    char why[300];
    bool ready = daemon_ready(api->daemon, why, sizeof why);
    if (code == ERR_OK)
        code = buf_addf(b, ",\"rows_received\":%llu,\"uptime\":%.3f,\"version\":\"%s\",\"ready\":%s,\"reason\":",
                        (unsigned long long)daemon_rows_received(api->daemon), daemon_uptime(api->daemon), HG_VERSION,
                        ready ? "true" : "false");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(ready ? "" : why));
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

void api_pushers_list(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct buf b;
    (void)params;
    if (shared_answer(&api->shared, SHARED_PUSHERS, r))
        return;
    buf_init(&b, API_BODY_MAX);
    int code = api_add_status(&b, api);
    if (code == ERR_OK)
        code = buf_addc(&b, '\n');
    if (code == ERR_OK)
        shared_keep(&api->shared, SHARED_PUSHERS, r, buf_slice(&b));
    api_json(r, 200, &b, code);
}

static struct runner *find(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct runner *runner = supervisor_find(api->supervisor, slice_of(params->text[0]));
    if (runner == NULL)
        api_problem(r, 404, "not-found", "there is no pusher or puller of this name; GET /v1/pushers lists them");
    return runner;
}

static void show(struct api *api, struct http_request *r, const struct runner *runner)
{
    struct buf b;
    buf_init(&b, API_BODY_MAX);
    int code = api_is_puller(runner) ? api_add_puller(&b, runner) : add_pusher(&b, api, runner);
    if (code == ERR_OK) {
        b.len--; /* the options go before the last brace */
        code = add_options(&b, runner);
    }
    if (code == ERR_OK)
        code = buf_adds(&b, "}\n");
    api_json(r, 200, &b, code);
}

void api_pusher_show(struct api *api, struct http_request *r, const struct api_params *params)
{
    const struct runner *runner = find(api, r, params);
    if (runner != NULL)
        show(api, r, runner);
}

static void set_paused(struct api *api, struct http_request *r, const struct api_params *params, bool paused)
{
    struct runner *runner = find(api, r, params);
    if (runner == NULL)
        return;
    if (runner->puller != NULL) {
        supervisor_pause_puller(api->supervisor, runner, paused);
        show(api, r, runner);
        return;
    }
    if (runner->pusher == NULL) {
        api_problem(r, 409, "conflict", "it does not run; see its state");
        return;
    }
    pusher_pause(runner->pusher, paused, clock_ms());
    supervisor_step(api->supervisor, runner);
    show(api, r, runner);
}

void api_pusher_pause(struct api *api, struct http_request *r, const struct api_params *params)
{
    set_paused(api, r, params, true);
}

void api_pusher_resume(struct api *api, struct http_request *r, const struct api_params *params)
{
    set_paused(api, r, params, false);
}

void api_pusher_hurry(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct runner *runner = find(api, r, params);
    if (runner == NULL)
        return;
    if (runner->pusher == NULL) {
        api_problem(r, 409, "conflict", "this pusher does not run; see its state");
        return;
    }
    pusher_hurry(runner->pusher, clock_ms());
    supervisor_step(api->supervisor, runner);
    show(api, r, runner);
}

void api_pusher_forget(struct api *api, struct http_request *r, const struct api_params *params)
{
    bool dead = false;
    struct runner *runner = api_flag_or_refuse(r, "dead-letter", &dead) ? find(api, r, params) : NULL;
    if (runner == NULL)
        return;
    uint64_t rows = 0, bytes = 0;
    struct err e = {0};
    if (runner->pusher != NULL)
        pusher_lag(runner->pusher, &rows, &bytes);
    int code = runner->puller != NULL ? supervisor_forget_puller(api->supervisor, runner, &e)
                                      : supervisor_forget(api->supervisor, runner, dead, &e);
    if (code != ERR_OK) {
        api_error(r, code, e.text);
        return;
    }
    struct buf b;
    buf_init(&b, 4096);
    code = buf_addf(&b, "{\"name\":\"%s\",\"forgotten_rows\":%llu,\"dead_lettered\":%llu}\n", params->text[0],
                    (unsigned long long)(dead ? 0 : rows), (unsigned long long)(dead ? rows : 0));
    api_json(r, 200, &b, code);
}
