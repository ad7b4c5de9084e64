/* Alerts: conditions that are looked at twice a second, and what the webhook knows of them.
 *
 * What goes to and fro about its limit is one alert: it ends only below nine tenths of the limit, and only when it has
 * been there for a while (alerts.calm).
 *
 * There is no queue of messages. Each alert says whether it is on, and whether its beginning was told; where the two
 * differ there is something to tell, and it is tried until it is told, with pauses that grow. So what is kept is
 * bounded by what there is to alert of; a receiver that was away is told how things are then; and what began and ended
 * while it was away it need not know.
 *
 * After a crash between a request and the file that says it was told, it is told a second time. */
#include "api/alerts.h"

#include "access/keyfile.h"
#include "api/daemon.h"
#include "api/hook.h"
#include "base/list.h"
#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LOOK_MS = 500,
    RETRY_MIN_MS = 500,
    RETRY_MAX_MS = 60000,
    ALERTS_MAX = 1024,
    FILE_BYTES = 1 << 20,
    BODY = 8 << 10,
    TEXT = 600
};

enum alert_kind { ALERT_FAILING, ALERT_DEAD_LETTERS, ALERT_LAG, ALERT_BUDGET, ALERT_AUDIT, ALERT_KINDS };
static const char *const words[] = {"failing", "dead-letters", "lag", "budget", "audit"};
static const double ENOUGH = 0.9; /* of the limit: below this it ends */

struct alert {
    struct link link;
    enum alert_kind kind;
    char pusher[128]; /* "": of the gateway */
    int64_t since_us; /* wall clock: when it began */
    int64_t since_ms;
    int64_t seen_ms; /* when the condition held last */
    bool on, told;   /* told: the webhook knows that it is on */
    char text[TEXT];
};

struct alerts {
    struct api *api;
    char *data_dir;
    struct link all;
    size_t count;
    int64_t look_at_ms, send_at_ms;
    uint32_t tries;
    bool sending, hooked; /* hooked: there is a webhook */
    _Atomic bool stop;
    char error[256]; /* of the last request; "": it went well */
};

/* --- the list --- */

static struct alert *alert_find(struct alerts *a, enum alert_kind kind, const char *pusher)
{
    LIST_EACH(&a->all, it)
    {
        struct alert *x = container_of(it, struct alert, link);
        if (x->kind == kind && strcmp(x->pusher, pusher) == 0)
            return x;
    }
    return NULL;
}

static struct alert *alert_add(struct alerts *a, enum alert_kind kind, const char *pusher, int64_t now_ms)
{
    struct alert *x = a->count < ALERTS_MAX ? calloc(1, sizeof *x) : NULL;
    if (x == NULL)
        return NULL;
    x->kind = kind;
    x->since_us = clock_wall_us();
    x->since_ms = x->seen_ms = now_ms;
    snprintf(x->pusher, sizeof x->pusher, "%s", pusher);
    link_init(&x->link);
    list_push(&a->all, &x->link);
    a->count++;
    return x;
}

static void alert_remove(struct alerts *a, struct alert *x)
{
    link_remove(&x->link);
    a->count--;
    free(x);
}

/* The condition holds: it is on once it has held for `after_ms`. */
static struct alert *alert_hold(struct alerts *a, enum alert_kind kind, const char *pusher, int64_t after_ms,
                                int64_t now_ms)
{
    struct alert *x = alert_find(a, kind, pusher);
    if (x == NULL)
        x = alert_add(a, kind, pusher, now_ms);
    if (x == NULL)
        return NULL;
    x->seen_ms = now_ms;
    if (!x->on && now_ms - x->since_ms >= after_ms) {
        x->on = true;
        LOG(LOG_WARN, "alert.firing", words[kind], LOG_S("pusher", pusher));
    }
    return x;
}

/* The same for what has a limit (0: none): NULL when the value is not that high. */
static struct alert *alert_measure(struct alerts *a, enum alert_kind kind, const char *pusher, double value,
                                   double limit, int64_t now_ms)
{
    const struct alert *x = alert_find(a, kind, pusher);
    bool holds = limit > 0 && value >= (x != NULL && x->on ? limit * ENOUGH : limit);
    return holds ? alert_hold(a, kind, pusher, 0, now_ms) : NULL;
}

/* --- conditions --- */

/* One that starts has not failed; but one that had is not well before it runs. */
static bool fails(enum pusher_state state, bool before)
{
    switch (state) {
    case PUSHER_RETRYING:
    case PUSHER_BROKEN:
    case PUSHER_ORPHANED: return true;
    case PUSHER_STARTING: return before;
    case PUSHER_RUNNING:
    case PUSHER_PAUSED:
    case PUSHER_REFUSED:
    case PUSHER_UNCONFIGURED:
    case PUSHER_STATES: break;
    }
    return false;
}

static void look_failing(struct alerts *a, const struct settings *s, const struct runner *r, int64_t now_ms)
{
    enum pusher_state state = runner_state(r);
    bool before = alert_find(a, ALERT_FAILING, r->name) != NULL;
    if (s->alerts_failing == 0 || !fails(state, before))
        return;
    struct alert *x = alert_hold(a, ALERT_FAILING, r->name, s->alerts_failing, now_ms);
    const char *error = r->pusher != NULL ? r->pusher->error : "";
    if (x != NULL)
        snprintf(x->text, sizeof x->text, "%s has not worked for a while; it is %s%s%s", r->name,
                 pusher_state_word(state), error[0] != '\0' ? ": " : "", error);
}

static void look_dead(struct alerts *a, const struct settings *s, const struct runner *r, int64_t now_ms)
{
    size_t dead = r->pusher == NULL ? 0 : r->pusher->aside.dead_count;
    struct alert *x = alert_measure(a, ALERT_DEAD_LETTERS, r->name, (double)dead, s->alerts_dead_letters, now_ms);
    if (x != NULL)
        snprintf(x->text, sizeof x->text, "%zu dead letters of %s wait for a decision", dead, r->name);
}

static void look_lag(struct alerts *a, const struct settings *s, const struct runner *r, int64_t now_ms)
{
    double lag = s->alerts_lag == 0 || r->pusher == NULL ? 0 : supervisor_lag_seconds(a->api->supervisor, r);
    struct alert *x = alert_measure(a, ALERT_LAG, r->name, lag * 1000, (double)s->alerts_lag, now_ms);
    if (x != NULL)
        snprintf(x->text, sizeof x->text, "%s is %.0f seconds behind", r->name, lag);
}

static void look_budget(struct alerts *a, const struct settings *s, int64_t now_ms)
{
    struct journal_health health;
    journal_health(a->api->journal, &health);
    double percent = health.limit == 0 ? 0 : 100 * (double)health.bytes / (double)health.limit;
    struct alert *x = alert_measure(a, ALERT_BUDGET, "", percent, s->alerts_budget, now_ms);
    if (x != NULL)
        snprintf(x->text, sizeof x->text, "the journal has %.0f %% of its budget", percent);
}

static void look_audit(struct alerts *a, int64_t now_ms)
{
    const char *fault = daemon_audit_fault(a->api->daemon);
    struct alert *x = fault == NULL ? NULL : alert_hold(a, ALERT_AUDIT, "", 0, now_ms);
    if (x != NULL)
        snprintf(x->text, sizeof x->text, "what people do is not in the audit log: %s", fault);
}

/* What is over, and what nobody need be told of any more. */
static void end_unseen(struct alerts *a, const struct settings *s, int64_t now_ms)
{
    LIST_EACH_SAFE(&a->all, it)
    {
        struct alert *x = container_of(it, struct alert, link);
        if (x->seen_ms == now_ms || (x->on && now_ms - x->seen_ms < s->alerts_calm))
            continue;
        if (x->on)
            LOG(LOG_INFO, "alert.over", words[x->kind], LOG_S("pusher", x->pusher));
        x->on = false;
        if (!a->sending && (!x->told || !a->hooked)) /* else its answer is still to come */
            alert_remove(a, x);
    }
}

/* --- what was told, on disk --- */

/* A line for each alert of which the beginning is told: kind, when, pusher. */
static int file_text(const struct alerts *a, struct buf *out)
{
    int code = ERR_OK;
    LIST_EACH(&a->all, it)
    {
        const struct alert *x = container_of(it, struct alert, link);
        if (code == ERR_OK && x->told)
            code = buf_addf(out, "%s %" PRId64 " %s\n", words[x->kind], x->since_us, x->pusher);
    }
    return code;
}

static void load_line(struct alerts *a, const char *line, int64_t now_ms)
{
    char word[32] = "", pusher[128] = "";
    int64_t since = 0;
    if (sscanf(line, "%31s %" SCNd64 " %127s", word, &since, pusher) < 2)
        return;
    for (int kind = 0; kind < ALERT_KINDS; kind++) {
        struct alert *x = strcmp(words[kind], word) == 0 ? alert_add(a, (enum alert_kind)kind, pusher, now_ms) : NULL;
        if (x == NULL)
            continue;
        x->since_us = since;
        x->on = x->told = true;
    }
}

/* A file that is not there, or cannot be read, says nothing: at worst something is told twice. */
static void load(struct alerts *a)
{
    char path[4200], bytes[FILE_BYTES / 16], *state = NULL;
    snprintf(path, sizeof path, "%s/alerts", a->data_dir);
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
    ssize_t n = fd < 0 ? 0 : sys->pread(fd, bytes, sizeof bytes - 1, 0);
    if (fd >= 0)
        sys->close(fd);
    bytes[n > 0 ? n : 0] = '\0';
    for (char *line = strtok_r(bytes, "\n", &state); line != NULL; line = strtok_r(NULL, "\n", &state))
        load_line(a, line, clock_ms());
}

/* --- sending --- */

struct sending {
    uv_work_t work;
    struct alerts *alerts;
    struct hook hook;
    enum alert_kind kind;
    char pusher[128];
    bool on;
    struct buf body, file; /* file: as it is when this was told */
    char *data_dir;
    int code, saved;
    struct err err, save_err;
};

static void sending_free(struct sending *s)
{
    hook_fini(&s->hook);
    buf_free(&s->body);
    buf_free(&s->file);
    free(s->data_dir);
    free(s);
}

static void send_run(uv_work_t *work)
{
    struct sending *s = work->data;
    s->code = hook_post(&s->hook, buf_slice(&s->body), &s->alerts->stop, &s->err);
    if (s->code == ERR_OK)
        s->saved = keyfile_replace(s->data_dir, "alerts", buf_slice(&s->file), true, &s->save_err);
}

static void told(struct alerts *a, const struct sending *s)
{
    struct alert *x = alert_find(a, s->kind, s->pusher);
    a->tries = 0;
    a->send_at_ms = 0;
    a->error[0] = '\0';
    if (s->saved != ERR_OK)
        LOG(LOG_ERROR, "alert.not_noted", s->save_err.text);
    if (x != NULL)
        x->told = s->on;
}

static void not_told(struct alerts *a, const struct sending *s)
{
    int64_t pause = RETRY_MIN_MS;
    for (uint32_t i = 0; i < a->tries && pause < RETRY_MAX_MS; i++)
        pause *= 2;
    a->tries++;
    a->send_at_ms = clock_ms() + (pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS);
    if (s->code != ERR_CLOSED && strcmp(a->error, s->err.text) != 0)
        LOG(LOG_WARN, "alert.not_sent", s->err.text);
    snprintf(a->error, sizeof a->error, "%.255s", s->err.text);
}

static void send_done(uv_work_t *work, int status)
{
    struct sending *s = work->data;
    struct alerts *a = s->alerts;
    (void)status;
    a->api->works--;
    a->sending = false;
    if (s->code == ERR_OK)
        told(a, s);
    else
        not_told(a, s);
    sending_free(s);
}

/* Of which pusher, since when. */
static int add_whence(struct buf *b, const struct alert *x)
{
    int code = x->pusher[0] == '\0' ? ERR_OK : buf_addf(b, ",\"pusher\":\"%s\"", x->pusher);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"since\":");
    return code == ERR_OK ? api_time(b, x->since_us) : code;
}

static int add_text(struct buf *b, const char *before, const char *text)
{
    char whole[TEXT + 16];
    snprintf(whole, sizeof whole, "%s%s", before, text);
    int code = buf_adds(b, ",\"text\":");
    return code == ERR_OK ? buf_add_json(b, slice_of(whole)) : code;
}

static int add_body(struct buf *b, const struct alert *x)
{
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    int code =
        buf_addf(b, "{\"alert\":\"%s\",\"state\":\"%s\",\"gateway\":", words[x->kind], x->on ? "firing" : "over");
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(host));
    if (code == ERR_OK)
        code = add_whence(b, x);
    if (code == ERR_OK)
        code = buf_adds(b, ",\"time\":");
    if (code == ERR_OK)
        code = api_time(b, clock_wall_us());
    if (code == ERR_OK)
        code = add_text(b, x->on ? "" : "over: ", x->text);
    return code == ERR_OK ? buf_adds(b, "}\n") : code;
}

static bool copy(char **to, const char *from)
{
    *to = from == NULL ? NULL : strdup(from);
    return from == NULL || *to != NULL;
}

static void send_begin(struct alerts *a, const struct settings *s, struct alert *x)
{
    struct sending *job = calloc(1, sizeof *job);
    if (job == NULL)
        return; /* tried again at the next look */
    buf_init(&job->body, BODY);
    buf_init(&job->file, FILE_BYTES);
    job->work.data = job;
    job->alerts = a;
    job->kind = x->kind;
    job->on = x->on;
    snprintf(job->pusher, sizeof job->pusher, "%s", x->pusher);
    bool was = x->told;
    x->told = x->on; /* as it will be */
    bool well = add_body(&job->body, x) == ERR_OK && file_text(a, &job->file) == ERR_OK;
    x->told = was;
    if (!well || !copy(&job->data_dir, a->data_dir) || !copy(&job->hook.url, s->alerts_webhook) ||
        !copy(&job->hook.url_file, s->alerts_webhook_file) || !copy(&job->hook.token_file, s->alerts_token_file) ||
        !copy(&job->hook.ca, s->alerts_ca)) {
        sending_free(job);
        return;
    }
    a->sending = true;
    a->api->works++;
    CHECK(uv_queue_work(a->api->loop, &job->work, send_run, send_done) == 0);
}

static void send_next(struct alerts *a, const struct settings *s, int64_t now_ms)
{
    if (!a->hooked || a->sending || a->send_at_ms > now_ms || atomic_load(&a->stop))
        return;
    LIST_EACH(&a->all, it)
    {
        struct alert *x = container_of(it, struct alert, link);
        if (x->on != x->told) {
            send_begin(a, s, x);
            return;
        }
    }
}

/* --- outside --- */

void alerts_look(struct alerts *a, const struct settings *s, int64_t now_ms)
{
    send_next(a, s, now_ms);
    if (now_ms < a->look_at_ms)
        return;
    a->look_at_ms = now_ms + LOOK_MS;
    a->hooked = s->alerts_webhook != NULL || s->alerts_webhook_file != NULL;
    LIST_EACH(supervisor_runners(a->api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        look_failing(a, s, r, now_ms);
        look_dead(a, s, r, now_ms);
        look_lag(a, s, r, now_ms);
    }
    look_budget(a, s, now_ms);
    look_audit(a, now_ms);
    end_unseen(a, s, now_ms);
}

struct alerts *alerts_new(struct api *api, const char *data_dir)
{
    struct alerts *a = calloc(1, sizeof *a);
    char *dir = a == NULL ? NULL : strdup(data_dir);
    if (dir == NULL) {
        free(a);
        return NULL;
    }
    a->api = api;
    a->data_dir = dir;
    link_init(&a->all);
    load(a);
    return a;
}

void alerts_free(struct alerts **a)
{
    if (*a == NULL)
        return;
    LIST_EACH_SAFE(&(*a)->all, it)
    alert_remove(*a, container_of(it, struct alert, link));
    free((*a)->data_dir);
    free(*a);
    *a = NULL;
}

void alerts_stop(struct alerts *a)
{
    atomic_store(&a->stop, true);
}

static int add_alert(struct buf *b, const struct alert *x)
{
    int code = buf_addf(b, "{\"alert\":\"%s\"", words[x->kind]);
    if (code == ERR_OK)
        code = add_whence(b, x);
    if (code == ERR_OK)
        code = add_text(b, "", x->text);
    return code == ERR_OK ? buf_addf(b, ",\"told\":%s}", x->told ? "true" : "false") : code;
}

int api_add_alerts(struct buf *b, const struct api *api)
{
    const struct alerts *a = api->alerts;
    bool more = false;
    size_t untold = 0;
    int code = buf_adds(b, "{\"alerts\":[");
    LIST_EACH(&a->all, it)
    {
        const struct alert *x = container_of(it, struct alert, link);
        untold += x->on != x->told;
        if (code == ERR_OK && x->on)
            code = api_comma(b, &more);
        if (code == ERR_OK && x->on)
            code = add_alert(b, x);
    }
    if (code == ERR_OK)
        code = buf_addf(b, "],\"webhook\":%s,\"untold\":%zu,\"error\":", a->hooked ? "true" : "false",
                        a->hooked ? untold : 0);
    if (code == ERR_OK)
        code = buf_add_json(b, slice_of(a->error));
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

void api_alerts(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct buf b;
    (void)params;
    buf_init(&b, API_BODY_MAX);
    int code = api_add_alerts(&b, api);
    if (code == ERR_OK)
        code = buf_addc(&b, '\n');
    api_json(r, 200, &b, code);
}
