/* /metrics: Prometheus text format 0.0.4, or OpenMetrics 1.0 when the scraper asks for it (the differences: counters'
 * families are named without _total, and an EOF line ends it). Names and help come from metrics.def. */
#include "access/sessions.h"
#include "api/api.h"
#include "api/daemon.h"
#include "api/intake.h"
#include "api/onlookers.h"
#include "api/tap.h"

#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum metric {
#define METRIC(name, type, help) M_##name,
#include "api/metrics.def"
#undef METRIC
};

static const struct {
    const char *name, *type, *help;
} families[] = {
#define METRIC(name, type, help) {"headgate_" #name, type, help},
#include "api/metrics.def"
#undef METRIC
};

/* The text under way; an error sticks. */
struct text {
    struct buf b;
    int code;
    bool open;
};

static void say(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct text *t, const char *format, ...)
{
    if (t->code != ERR_OK)
        return;
    va_list args;
    va_start(args, format);
    t->code = buf_vaddf(&t->b, format, args);
    va_end(args);
}

static bool is_counter(enum metric m)
{
    return strcmp(families[m].type, "counter") == 0;
}

static void family(struct text *t, enum metric m)
{
    const char *suffix = is_counter(m) && !t->open ? "_total" : "";
    say(t, "# HELP %s%s %s\n# TYPE %s%s %s\n", families[m].name, suffix, families[m].help, families[m].name, suffix,
        families[m].type);
}

/* One sample; `labels` without braces, may be empty. */
static void sample(struct text *t, enum metric m, const char *labels, double value)
{
    bool some = labels[0] != '\0';
    say(t, "%s%s%s%s%s %.17g\n", families[m].name, is_counter(m) ? "_total" : "", some ? "{" : "", labels,
        some ? "}" : "", value);
}

static void histogram(struct text *t, enum metric m, const char *labels, const double *bounds, const uint64_t *counts,
                      size_t count, double sum)
{
    uint64_t total = 0;
    const char *comma = labels[0] != '\0' ? "," : "";
    for (size_t i = 0; i <= count; i++) {
        total += counts[i];
        if (i < count)
            say(t, "%s_bucket{%s%sle=\"%g\"} %llu\n", families[m].name, labels, comma, bounds[i],
                (unsigned long long)total);
    }
    say(t, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", families[m].name, labels, comma, (unsigned long long)total);
    const char *open = labels[0] != '\0' ? "{" : "", *close = labels[0] != '\0' ? "}" : "";
    say(t, "%s_sum%s%s%s %.9g\n", families[m].name, open, labels, close, sum);
    say(t, "%s_count%s%s%s %llu\n", families[m].name, open, labels, close, (unsigned long long)total);
}

/* --- pushers: one family after the other, each with all pushers --- */

struct pusher_value {
    enum metric metric;
    const char *label; /* a further label, or NULL */
    double (*get)(struct api *api, const struct runner *r);
};

static double get_delivered(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->totals[TOTAL_DELIVERED];
}

static double get_duplicate(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->totals[TOTAL_DUPLICATE];
}

static double get_dead(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->totals[TOTAL_DEAD];
}

static double get_skipped(struct api *api, const struct runner *r)
{
    uint64_t others = 0; /* its processors said so, not the plugin */
    (void)api;
    for (const struct counter *c = r->skips; c != NULL; c = c->next)
        others += c->value;
    uint64_t all = r->pusher->counts.skipped_plugin;
    return (double)(all > others ? all - others : 0);
}

static double get_skipped_client(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->counts.skipped_client;
}

static double get_given_up(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->totals[TOTAL_GIVEN_UP];
}

static double get_by_hand(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->totals[TOTAL_BY_HAND];
}

static double get_retries(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->totals[TOTAL_RETRIES];
}

static double get_lag_rows(struct api *api, const struct runner *r)
{
    uint64_t rows, bytes;
    (void)api;
    pusher_lag(r->pusher, &rows, &bytes);
    return (double)rows;
}

static double get_lag_bytes(struct api *api, const struct runner *r)
{
    uint64_t rows, bytes;
    (void)api;
    pusher_lag(r->pusher, &rows, &bytes);
    return (double)bytes;
}

static double get_lag_seconds(struct api *api, const struct runner *r)
{
    return supervisor_lag_seconds(api->supervisor, r);
}

static double get_dead_letters(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->aside.dead_count;
}

static double get_parked(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->aside.parked_count;
}

static double get_crashes(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->counts.crashes;
}

static double get_deadlines(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->counts.deadline_kills;
}

static double get_memory_kills(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->counts.memory_kills;
}

static double get_other_ends(struct api *api, const struct runner *r)
{
    const struct pusher_counts *c = &r->pusher->counts;
    uint64_t known = c->crashes + c->deadline_kills + c->memory_kills;
    (void)api;
    return c->restarts > known ? (double)(c->restarts - known) : 0;
}

static double get_unjudged(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->counts.unjudged;
}

static double get_uncertain(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->pusher->counts.uncertain;
}

static double get_log_dropped(struct api *api, const struct runner *r)
{
    (void)api;
    return (double)r->log_dropped;
}

static const struct pusher_value pusher_values[] = {
    {M_rows_delivered, NULL, get_delivered},
    {M_rows_duplicate, NULL, get_duplicate},
    {M_rows_dead, NULL, get_dead},
    {M_rows_skipped, "reason=\"plugin\"", get_skipped},
    {M_rows_skipped, "reason=\"client\"", get_skipped_client},
    {M_rows_skipped, "reason=\"by-hand\"", get_by_hand},
    {M_rows_skipped, "reason=\"given-up\"", get_given_up},
    {M_retries, NULL, get_retries},
    {M_lag_rows, NULL, get_lag_rows},
    {M_lag_bytes, NULL, get_lag_bytes},
    {M_lag_seconds, NULL, get_lag_seconds},
    {M_dead_letters, NULL, get_dead_letters},
    {M_parked_rows, NULL, get_parked},
    {M_plugin_restarts, "reason=\"crash\"", get_crashes},
    {M_plugin_restarts, "reason=\"deadline\"", get_deadlines},
    {M_plugin_restarts, "reason=\"memory\"", get_memory_kills},
    {M_plugin_restarts, "reason=\"other\"", get_other_ends},
    {M_plugin_faults, "fault=\"unjudged\"", get_unjudged},
    {M_plugin_faults, "fault=\"uncertain\"", get_uncertain},
    {M_plugin_faults, "fault=\"log-dropped\"", get_log_dropped},
};

/* Rows that processors skipped, by their names; WHEN's is `when`. */
static void say_skips(struct text *t, struct api *api)
{
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        for (const struct counter *c = r->pusher == NULL ? NULL : r->skips; c != NULL; c = c->next) {
            char labels[256];
            snprintf(labels, sizeof labels, "pusher=\"%s\",reason=\"%s\"", r->name, c->name);
            sample(t, M_rows_skipped, labels, (double)c->value);
        }
    }
}

static void say_pushers(struct text *t, struct api *api)
{
    for (size_t i = 0; i < COUNT_OF(pusher_values); i++) {
        const struct pusher_value *v = &pusher_values[i];
        if (i == 0 || v->metric != pusher_values[i - 1].metric)
            family(t, v->metric);
        LIST_EACH(supervisor_runners(api->supervisor), it)
        {
            const struct runner *r = container_of(it, struct runner, link);
            char labels[256];
            if (r->pusher == NULL)
                continue;
            snprintf(labels, sizeof labels, "pusher=\"%s\"%s%s", r->name, v->label == NULL ? "" : ",",
                     v->label == NULL ? "" : v->label);
            sample(t, v->metric, labels, v->get(api, r));
        }
        if (v->get == get_given_up)
            say_skips(t, api);
    }
}

static void say_states(struct text *t, struct api *api)
{
    family(t, M_pusher_state);
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        for (int s = 0; s < PUSHER_STATES && !api_is_puller(r); s++) {
            char labels[256];
            snprintf(labels, sizeof labels, "pusher=\"%s\",state=\"%s\"", r->name,
                     pusher_state_word((enum pusher_state)s));
            sample(t, M_pusher_state, labels, runner_state(r) == (enum pusher_state)s);
        }
    }
    family(t, M_push_seconds);
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        char labels[256];
        if (r->pusher == NULL)
            continue;
        snprintf(labels, sizeof labels, "pusher=\"%s\"", r->name);
        histogram(t, M_push_seconds, labels, push_bounds, r->pusher->push_counts, PUSH_BUCKETS,
                  r->pusher->push_seconds);
    }
}

/* --- pullers --- */

static void say_pulls(struct text *t, const struct runner *r, const char *kind, uint64_t value)
{
    char labels[256];
    snprintf(labels, sizeof labels, "puller=\"%s\",kind=\"%s\"", r->name, kind);
    sample(t, M_pulls, labels, (double)value);
}

static void say_puller(struct text *t, enum metric m, const struct runner *r)
{
    const struct puller *p = r->puller;
    char labels[256];
    snprintf(labels, sizeof labels, "puller=\"%s\"", r->name);
    if (m == M_pulled_rows) {
        sample(t, m, labels, (double)p->counts.rows);
    } else if (m == M_pull_last_run) {
        sample(t, m, labels, (double)p->last_run_us / 1e6);
    } else if (m == M_pulls) {
        say_pulls(t, r, "run", p->counts.runs);
        say_pulls(t, r, "refused", p->counts.refused);
        say_pulls(t, r, "not-now", p->counts.not_now);
        say_pulls(t, r, "restart", p->counts.restarts);
    } else {
        for (int s = 0; s < PUSHER_STATES; s++) {
            snprintf(labels, sizeof labels, "puller=\"%s\",state=\"%s\"", r->name,
                     pusher_state_word((enum pusher_state)s));
            sample(t, m, labels, p->state == (enum pusher_state)s);
        }
    }
}

static void say_pullers(struct text *t, struct api *api)
{
    static const enum metric metrics[] = {M_pulled_rows, M_pulls, M_pull_last_run, M_puller_state};
    for (size_t i = 0; i < COUNT_OF(metrics); i++) {
        family(t, metrics[i]);
        LIST_EACH(supervisor_runners(api->supervisor), it)
        {
            const struct runner *r = container_of(it, struct runner, link);
            if (r->puller != NULL)
                say_puller(t, metrics[i], r);
        }
    }
}

static void say_plugin_counts(struct text *t, struct api *api)
{
    bool any = false;
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        for (const struct counter *c = r->counters; c != NULL; c = c->next) {
            char labels[256];
            if (!any)
                family(t, M_plugin_count);
            any = true;
            snprintf(labels, sizeof labels, "%s=\"%s\",name=\"%s\"", api_is_puller(r) ? "puller" : "pusher", r->name,
                     c->name);
            sample(t, M_plugin_count, labels, (double)c->value);
        }
    }
}

/* --- clients --- */

static void say_clients(struct text *t, struct api *api)
{
    static const enum metric metrics[] = {M_client_undelivered_bytes, M_client_undelivered_limit_bytes,
                                          M_client_undelivered_refused};
    for (size_t i = 0; i < COUNT_OF(metrics); i++) {
        struct backlog_client c;
        family(t, metrics[i]);
        for (uint32_t n = 0; backlog_client_at(api->backlog, n, &c); n++) {
            char labels[CLIENT_MAX + 16];
            if (c.name[0] == '\0' && c.bytes == 0)
                continue;
            snprintf(labels, sizeof labels, "client=\"%s\"", c.name);
            const double values[] = {(double)c.bytes, (double)c.limit, (double)c.refused};
            sample(t, metrics[i], labels, values[i]);
        }
    }
}

/* --- the daemon --- */

static uint64_t own_memory(void)
{
    char text[256];
    int fd = sys->open("/proc/self/statm", O_RDONLY, 0);
    if (fd < 0)
        return 0;
    ssize_t n = sys->read(fd, text, sizeof text - 1);
    sys->close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    char *end;
    (void)strtoull(text, &end, 10);
    return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void say_memory(struct text *t, struct api *api)
{
    family(t, M_memory_bytes);
    sample(t, M_memory_bytes, "process=\"headgate\"", (double)own_memory());
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        char labels[256];
        if (r->process == NULL)
            continue;
        snprintf(labels, sizeof labels, "process=\"%s\"", r->name);
        sample(t, M_memory_bytes, labels, (double)r->memory);
    }
}

static void say_journal(struct text *t, struct api *api)
{
    struct journal_health h;
    uint64_t counts[SYNC_BUCKETS + 1], dead, parked;
    double sum;
    journal_health(api->journal, &h);
    journal_sync_histogram(api->journal, counts, &sum);
    family(t, M_fsync_seconds);
    histogram(t, M_fsync_seconds, "", sync_bounds, counts, SYNC_BUCKETS, sum);
    family(t, M_journal_bytes);
    sample(t, M_journal_bytes, "", (double)h.bytes);
    family(t, M_journal_limit_bytes);
    sample(t, M_journal_limit_bytes, "", (double)h.limit);
    family(t, M_journal_damages);
    sample(t, M_journal_damages, "", h.damages);
    supervisor_aside_bytes(api->supervisor, &dead, &parked);
    family(t, M_dead_bytes);
    sample(t, M_dead_bytes, "", (double)dead);
}

static void say_requests(struct text *t, struct api *api)
{
    struct intake_counts c;
    daemon_counts(api->daemon, &c);
    family(t, M_requests);
    for (size_t i = 0; i < COUNT_OF(c.status); i++) {
        char labels[32];
        if (c.status[i] == 0)
            continue;
        snprintf(labels, sizeof labels, "code=\"%zu\"", i + 100);
        sample(t, M_requests, labels, (double)c.status[i]);
    }
    family(t, M_rows_received);
    sample(t, M_rows_received, "", (double)c.rows);
    family(t, M_request_seconds);
    histogram(t, M_request_seconds, "", request_bounds, c.seconds, REQUEST_BUCKETS, c.seconds_sum);
    if (daemon_encrypts(api->daemon)) {
        family(t, M_tls_expires_seconds);
        sample(t, M_tls_expires_seconds, "", daemon_tls_left(api->daemon));
    }
    if (conf_settings(daemon_conf(api->daemon))->tls_client_crl != NULL) {
        family(t, M_tls_crl_expires_seconds);
        sample(t, M_tls_crl_expires_seconds, "", daemon_crl_left(api->daemon));
    }
    family(t, M_connections);
    sample(t, M_connections, "", daemon_connections(api->daemon));
    const struct budget *budget = daemon_budget(api->daemon);
    family(t, M_intake_memory_bytes);
    sample(t, M_intake_memory_bytes, "", (double)atomic_load(&budget->used));
    family(t, M_intake_memory_limit_bytes);
    sample(t, M_intake_memory_limit_bytes, "", (double)atomic_load(&budget->max));
    family(t, M_taps);
    sample(t, M_taps, "", taps_count(api->taps));
    family(t, M_onlookers);
    sample(t, M_onlookers, "", onlookers_count(api->onlookers));
    family(t, M_tap_events_lost);
    sample(t, M_tap_events_lost, "", (double)taps_lost(api->taps));
    family(t, M_audit_faults);
    sample(t, M_audit_faults, "", (double)daemon_audit_faults(api->daemon));
    family(t, M_sessions);
    sample(t, M_sessions, "", sessions_count(api->sessions, clock_ms()));
}

void api_metrics(struct api *api, struct http_request *r, const struct api_params *params)
{
    struct slice accept = {"", 0};
    struct text t = {.code = ERR_OK};
    (void)params;
    (void)http_field(r, "Accept", &accept);
    t.open = accept.len > 0 && memmem(accept.ptr, accept.len, "application/openmetrics-text", 28) != NULL;
    buf_init(&t.b, API_BODY_MAX);
    say_requests(&t, api);
    say_pushers(&t, api);
    say_states(&t, api);
    say_pullers(&t, api);
    say_plugin_counts(&t, api);
    say_clients(&t, api);
    say_journal(&t, api);
    say_memory(&t, api);
    family(&t, M_build_info);
    sample(&t, M_build_info, "version=\"" HG_VERSION "\"", 1);
    if (t.open)
        say(&t, "# EOF\n");
    api_text(r, 200,
             t.open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                    : "text/plain; version=0.0.4; charset=utf-8",
             &t.b, t.code);
}
