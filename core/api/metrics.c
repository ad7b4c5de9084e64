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

enum { MEMORY_MS = 1000 };

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

/* Most of the text is names and whole numbers: both without printf, which would take nine tenths of a scrape. */
static void put(struct text *t, const char *text)
{
    if (t->code == ERR_OK)
        t->code = buf_adds(&t->b, text);
}

static void put_whole(struct text *t, uint64_t value)
{
    if (t->code == ERR_OK)
        t->code = buf_addn(&t->b, value);
}

static void put_value(struct text *t, double value)
{
    if (value >= 0 && value < 1e15 && (double)(uint64_t)value == value)
        put_whole(t, (uint64_t)value);
    else
        say(t, "%.17g", value);
}

/* Of a sample; one without a name ends them. */
struct label {
    const char *name, *value;
};

enum { LABELS = 2 };
static const struct label NONE[LABELS] = {{NULL, NULL}};
#define OF(...) ((const struct label[LABELS]){__VA_ARGS__})

/* Without braces. */
static bool put_pairs(struct text *t, const struct label labels[LABELS])
{
    for (size_t i = 0; i < LABELS && labels[i].name != NULL; i++) {
        const char *const parts[] = {i > 0 ? "," : "", labels[i].name, "=\"", labels[i].value, "\""};
        for (size_t k = 0; k < COUNT_OF(parts); k++)
            put(t, parts[k]);
    }
    return labels[0].name != NULL;
}

static void put_labels(struct text *t, const struct label labels[LABELS])
{
    if (labels[0].name == NULL)
        return;
    put(t, "{");
    (void)put_pairs(t, labels);
    put(t, "}");
}

static bool is_counter(enum metric m)
{
    return families[m].type[0] == 'c';
}

static void family(struct text *t, enum metric m)
{
    const char *suffix = is_counter(m) && !t->open ? "_total " : " ";
    const char *const parts[] = {"# HELP ", families[m].name, suffix, families[m].help, "\n# TYPE ", families[m].name,
                                 suffix,    families[m].type, "\n"};
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        put(t, parts[i]);
}

static void sample(struct text *t, enum metric m, const struct label labels[LABELS], double value)
{
    put(t, families[m].name);
    put(t, is_counter(m) ? "_total" : "");
    put_labels(t, labels);
    put(t, " ");
    put_value(t, value);
    put(t, "\n");
}

static void bucket(struct text *t, enum metric m, const struct label labels[LABELS], const char *bound, uint64_t total)
{
    put(t, families[m].name);
    put(t, "_bucket{");
    put(t, put_pairs(t, labels) ? ",le=\"" : "le=\"");
    put(t, bound);
    put(t, "\"} ");
    put_whole(t, total);
    put(t, "\n");
}

static void histogram(struct text *t, enum metric m, const struct label labels[LABELS], const double *bounds,
                      const uint64_t *counts, size_t count, double sum)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        char bound[32];
        snprintf(bound, sizeof bound, "%g", bounds[i]);
        bucket(t, m, labels, bound, total += counts[i]);
    }
    bucket(t, m, labels, "+Inf", total += counts[count]);
    put(t, families[m].name);
    put(t, "_sum");
    put_labels(t, labels);
    say(t, " %.9g\n", sum);
    put(t, families[m].name);
    put(t, "_count");
    put_labels(t, labels);
    put(t, " ");
    put_whole(t, total);
    put(t, "\n");
}

/* --- pushers: one family after the other, each with all pushers --- */

struct pusher_value {
    enum metric metric;
    struct label label; /* a further one, or none */
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
    {M_rows_delivered, {NULL, NULL}, get_delivered},
    {M_rows_duplicate, {NULL, NULL}, get_duplicate},
    {M_rows_dead, {NULL, NULL}, get_dead},
    {M_rows_skipped, {"reason", "plugin"}, get_skipped},
    {M_rows_skipped, {"reason", "client"}, get_skipped_client},
    {M_rows_skipped, {"reason", "by-hand"}, get_by_hand},
    {M_rows_skipped, {"reason", "given-up"}, get_given_up},
    {M_retries, {NULL, NULL}, get_retries},
    {M_lag_rows, {NULL, NULL}, get_lag_rows},
    {M_lag_bytes, {NULL, NULL}, get_lag_bytes},
    {M_lag_seconds, {NULL, NULL}, get_lag_seconds},
    {M_dead_letters, {NULL, NULL}, get_dead_letters},
    {M_parked_rows, {NULL, NULL}, get_parked},
    {M_plugin_restarts, {"reason", "crash"}, get_crashes},
    {M_plugin_restarts, {"reason", "deadline"}, get_deadlines},
    {M_plugin_restarts, {"reason", "memory"}, get_memory_kills},
    {M_plugin_restarts, {"reason", "other"}, get_other_ends},
    {M_plugin_faults, {"fault", "unjudged"}, get_unjudged},
    {M_plugin_faults, {"fault", "uncertain"}, get_uncertain},
    {M_plugin_faults, {"fault", "log-dropped"}, get_log_dropped},
};

/* Rows that processors skipped, by their names; WHEN's is `when`. */
static void say_skips(struct text *t, struct api *api)
{
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        for (const struct counter *c = r->pusher == NULL ? NULL : r->skips; c != NULL; c = c->next) {
            sample(t, M_rows_skipped, OF({"pusher", r->name}, {"reason", c->name}), (double)c->value);
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
            if (r->pusher != NULL)
                sample(t, v->metric, OF({"pusher", r->name}, v->label), v->get(api, r));
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
        for (int s = 0; s < PUSHER_STATES && !api_is_puller(r); s++)
            sample(t, M_pusher_state, OF({"pusher", r->name}, {"state", pusher_state_word((enum pusher_state)s)}),
                   runner_state(r) == (enum pusher_state)s);
    }
    family(t, M_push_seconds);
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        if (r->pusher != NULL)
            histogram(t, M_push_seconds, OF({"pusher", r->name}), push_bounds, r->pusher->push_counts, PUSH_BUCKETS,
                      r->pusher->push_seconds);
    }
}

/* --- pullers --- */

static void say_pulls(struct text *t, const struct runner *r, const char *kind, uint64_t value)
{
    sample(t, M_pulls, OF({"puller", r->name}, {"kind", kind}), (double)value);
}

static void say_puller(struct text *t, enum metric m, const struct runner *r)
{
    const struct puller *p = r->puller;
    if (m == M_pulled_rows) {
        sample(t, m, OF({"puller", r->name}), (double)p->counts.rows);
    } else if (m == M_pull_last_run) {
        sample(t, m, OF({"puller", r->name}), (double)p->last_run_us / 1e6);
    } else if (m == M_pulls) {
        say_pulls(t, r, "run", p->counts.runs);
        say_pulls(t, r, "refused", p->counts.refused);
        say_pulls(t, r, "not-now", p->counts.not_now);
        say_pulls(t, r, "restart", p->counts.restarts);
    } else {
        for (int s = 0; s < PUSHER_STATES; s++)
            sample(t, m, OF({"puller", r->name}, {"state", pusher_state_word((enum pusher_state)s)}),
                   p->state == (enum pusher_state)s);
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
            if (!any)
                family(t, M_plugin_count);
            any = true;
            sample(t, M_plugin_count, OF({api_is_puller(r) ? "puller" : "pusher", r->name}, {"name", c->name}),
                   (double)c->value);
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
            const double values[] = {(double)c.bytes, (double)c.limit, (double)c.refused};
            if (c.name[0] != '\0' || c.bytes > 0)
                sample(t, metrics[i], OF({"client", c.name}), values[i]);
        }
    }
}

/* --- the daemon --- */

static uint64_t resident(void)
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

/* Looked at once a second, as that of the hosts is now and then: it takes a tenth of a scrape. */
static uint64_t own_memory(struct api *api)
{
    int64_t now = clock_ms();
    if (api->memory_ms == 0 || now - api->memory_ms >= MEMORY_MS) {
        api->memory = resident();
        api->memory_ms = now;
    }
    return api->memory;
}

static void say_memory(struct text *t, struct api *api)
{
    family(t, M_memory_bytes);
    sample(t, M_memory_bytes, OF({"process", "headgate"}), (double)own_memory(api));
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        if (r->process != NULL)
            sample(t, M_memory_bytes, OF({"process", r->name}), (double)r->memory);
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
    histogram(t, M_fsync_seconds, NONE, sync_bounds, counts, SYNC_BUCKETS, sum);
    family(t, M_journal_bytes);
    sample(t, M_journal_bytes, NONE, (double)h.bytes);
    family(t, M_journal_limit_bytes);
    sample(t, M_journal_limit_bytes, NONE, (double)h.limit);
    family(t, M_journal_damages);
    sample(t, M_journal_damages, NONE, h.damages);
    supervisor_aside_bytes(api->supervisor, &dead, &parked);
    family(t, M_dead_bytes);
    sample(t, M_dead_bytes, NONE, (double)dead);
}

static void say_requests(struct text *t, struct api *api)
{
    struct intake_counts c;
    daemon_counts(api->daemon, &c);
    family(t, M_requests);
    for (size_t i = 0; i < COUNT_OF(c.status); i++) {
        char code[24];
        if (c.status[i] == 0)
            continue;
        snprintf(code, sizeof code, "%zu", i + 100);
        sample(t, M_requests, OF({"code", code}), (double)c.status[i]);
    }
    family(t, M_rows_received);
    sample(t, M_rows_received, NONE, (double)c.rows);
    family(t, M_request_seconds);
    histogram(t, M_request_seconds, NONE, request_bounds, c.seconds, REQUEST_BUCKETS, c.seconds_sum);
    if (daemon_encrypts(api->daemon)) {
        family(t, M_tls_expires_seconds);
        sample(t, M_tls_expires_seconds, NONE, daemon_tls_left(api->daemon));
    }
    if (conf_settings(daemon_conf(api->daemon))->tls_client_crl != NULL) {
        family(t, M_tls_crl_expires_seconds);
        sample(t, M_tls_crl_expires_seconds, NONE, daemon_crl_left(api->daemon));
    }
    family(t, M_connections);
    sample(t, M_connections, NONE, daemon_connections(api->daemon));
    const struct budget *budget = daemon_budget(api->daemon);
    family(t, M_intake_memory_bytes);
    sample(t, M_intake_memory_bytes, NONE, (double)atomic_load(&budget->used));
    family(t, M_intake_memory_limit_bytes);
    sample(t, M_intake_memory_limit_bytes, NONE, (double)atomic_load(&budget->max));
    family(t, M_taps);
    sample(t, M_taps, NONE, taps_count(api->taps));
    family(t, M_onlookers);
    sample(t, M_onlookers, NONE, onlookers_count(api->onlookers));
    family(t, M_tap_events_lost);
    sample(t, M_tap_events_lost, NONE, (double)taps_lost(api->taps));
    family(t, M_audit_faults);
    sample(t, M_audit_faults, NONE, (double)daemon_audit_faults(api->daemon));
    family(t, M_sessions);
    sample(t, M_sessions, NONE, sessions_count(api->sessions, clock_ms()));
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
    sample(&t, M_build_info, OF({"version", HG_VERSION}), 1);
    if (t.open)
        say(&t, "# EOF\n");
    api_text(r, 200,
             t.open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                    : "text/plain; version=0.0.4; charset=utf-8",
             &t.b, t.code);
}
