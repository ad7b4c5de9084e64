/* The daemon: brings up journal, pushers, intake and listeners in this order, answers signals, and brings them to rest
 * in the opposite one.
 *
 * One loop, and those of http.threads (loops.h), which only take rows in. What the journal makes durable is noticed
 * once a turn of the loop (its completions wake the loop anyway) and passed on to the pushers. Stopping: readiness says
 * no, rows are still taken for stop.keep_taking, listeners close, who waits gets an answer, hosts finish, cursors
 * become durable, the journal is closed. */
#include "api/parts.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESCRIPTORS = 65536 }; /* as in headgate.service */

/* --- looking --- */

const struct conf *daemon_conf(const struct daemon *d)
{
    return d->conf;
}

const char *daemon_data_dir(const struct daemon *d)
{
    return d->data_dir;
}

struct refusals *daemon_refusals(struct daemon *d)
{
    return d->refusals;
}

double daemon_uptime(const struct daemon *d)
{
    return (double)(clock_ms() - d->began_ms) / 1e3;
}

const struct budget *daemon_budget(const struct daemon *d)
{
    return &d->budget;
}

uint32_t daemon_connections(const struct daemon *d)
{
    return http_server_connections(d->rows) + http_server_connections(d->operation) + loops_connections(d->loops);
}

uint64_t daemon_rows_received(const struct daemon *d)
{
    struct intake_counts counts;
    daemon_counts(d, &counts);
    return counts.rows;
}

void daemon_counts(const struct daemon *d, struct intake_counts *sum)
{
    memset(sum, 0, sizeof *sum);
    intake_count(d->intake, sum);
    loops_count(d->loops, sum);
}

bool daemon_draining(const struct daemon *d)
{
    return d->draining;
}

bool daemon_ready(struct daemon *d, char *why, size_t size)
{
    struct journal_health health;
    journal_try(d->journal); /* while no rows come nothing else would show that the disk has failed */
    journal_health(d->journal, &health);
    const char *blocked = supervisor_blocked(d->supervisor);
    why[0] = '\0';
    if (d->draining || d->phase != PHASE_RUNNING)
        snprintf(why, size, "draining: no more rows are taken");
    else if (health.intake != ERR_OK)
        snprintf(why, size, "%s: %s", health.intake == ERR_FULL ? "the journal is full" : "disk error", health.text);
    else if (health.trial != ERR_OK)
        snprintf(why, size, "disk error: %s", health.trial_text);
    else if (blocked != NULL)
        snprintf(why, size, "%s", blocked);
    return why[0] == '\0';
}

/* The host part of a Host field or an address, without port and brackets. */
static struct slice host_part(struct slice text)
{
    if (text.len > 0 && text.ptr[0] == '[') {
        const char *end = memchr(text.ptr, ']', text.len);
        return end == NULL ? text : slice_make(text.ptr + 1, (size_t)(end - text.ptr) - 1);
    }
    const char *colon = memrchr(text.ptr, ':', text.len);
    return colon == NULL ? text : slice_make(text.ptr, (size_t)(colon - text.ptr));
}

static bool same_name(struct slice a, struct slice b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* Unless admin.hosts says: the listen addresses, localhost, loopback (a container's published port, a tunnel), and the
 * address the request came to, as a listener on 0.0.0.0 or :: has none of its own. A page of another site sends its own
 * name, whatever that resolves to: it can never say an address. */
bool daemon_host_allowed(const struct daemon *d, struct slice host, struct slice local)
{
    if (host.len == 0) /* HTTP/1.0 without one: no browser */
        return true;
    struct slice name = host_part(host);
    for (const char *const *h = d->settings->admin_hosts; *h != NULL; h++)
        if (same_name(host, slice_of(*h)) || same_name(name, slice_of(*h)))
            return true;
    if (d->settings->admin_hosts[0] != NULL)
        return false;
    if (same_name(name, SLICE_LIT("localhost")) || same_name(name, SLICE_LIT("127.0.0.1")) ||
        same_name(name, SLICE_LIT("::1")) || same_name(name, host_part(local)))
        return true;
    for (int i = 0; i < d->admin_count; i++)
        if (same_name(name, host_part(slice_of(d->admin_bound[i]))))
            return true;
    return false;
}

/* --- the journal's word --- */

static void tell_damages(struct daemon *d)
{
    struct read_damage damage;
    while (journal_take_damage(d->journal, &damage))
        LOG(LOG_ERROR, "journal.damaged", "a range of the journal cannot be read; its rows are lost unless repaired",
            LOG_N("from", damage.from), LOG_N("to", damage.to));
}

static const char *refusal_of(bool ending, bool blocked)
{
    return ending    ? "this gateway is about to stop and takes no more rows; send again later"
           : blocked ? "a pusher is further behind than its MAX_LAG; send again later"
                     : NULL;
}

const char *daemon_refusing(struct daemon *d)
{
    return refusal_of(d->draining, supervisor_blocked(d->supervisor) != NULL);
}

void daemon_look(struct daemon *d)
{
    struct journal_health health;
    journal_health(d->journal, &health);
    bool ending = d->draining || d->phase > PHASE_KEEP_TAKING;
    bool blocked = supervisor_blocked(d->supervisor) != NULL; /* /readyz says who */
    const char *word = ending ? "draining" : "budget";
    const char *refusing = refusal_of(ending, blocked);
    intake_set_refusing_as(d->intake, word, refusing);
    loops_refuse(d->loops, word, refusing);
    if (health.trial != d->journal_trial) {
        d->journal_trial = health.trial;
        if (health.trial == ERR_OK)
            LOG(LOG_INFO, "disk.good", "the disk takes what is written again");
        else
            LOG(LOG_ERROR, "disk.error", health.trial_text);
    }
    if (health.intake == d->journal_intake)
        return;
    d->journal_intake = health.intake;
    if (health.intake == ERR_OK)
        LOG(LOG_INFO, "intake.open", "rows are taken again");
    else
        LOG(LOG_ERROR, health.intake == ERR_FULL ? "intake.full" : "intake.disk_error", health.text);
}

static void on_journal_changed(uv_async_t *async)
{
    struct daemon *d = async->data;
    if (d->journal == NULL)
        return; /* closing */
    tell_damages(d);
    daemon_look(d);
}

static void on_turn(uv_prepare_t *turn)
{
    struct daemon *d = turn->data;
    uint64_t position = journal_durable(d->journal).position;
    if (position == d->announced)
        return;
    d->announced = position;
    supervisor_durable(d->supervisor);
}

static void sum_counts(void *arg, struct intake_counts *sum)
{
    daemon_counts(arg, sum);
}

static void on_look(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    tell_damages(d);
    daemon_look(d);
    daemon_look_access(d);
    daemon_look_tls(d);
    receipts_look(&d->api);
    history_look(d->history, d->supervisor, sum_counts, d, clock_ms());
    alerts_look(d->api.alerts, d->settings, clock_ms());
}

/* --- reload --- */

static int note_changes(const struct conf *before, const struct conf *after, struct buf *changed, struct buf *restart)
{
    size_t at = 0;
    struct conf_line line;
    int code = ERR_OK;
    while (code == ERR_OK && conf_changed(before, after, &at, &line))
        code = buf_addf(line.reloadable ? changed : restart, "%s\n", line.key);
    return code;
}

int daemon_reload(struct daemon *d, struct buf *changed, struct buf *restart, struct buf *faults)
{
    struct conf *fresh = NULL, *before = d->conf;
    struct buf notices;
    buf_init(&notices, FAULTS_MAX_BYTES);
    int code = conf_load(&d->options->input, &fresh, faults, &notices);
    buf_free(&notices);
    if (code == ERR_OK)
        code = note_changes(before, fresh, changed, restart);
    if (code == ERR_OK)
        code = supervisor_reload(d->supervisor, fresh, changed, faults);
    if (code != ERR_OK) {
        conf_free(&fresh);
        LOG(LOG_ERROR, "reload.failed", "the settings have faults; nothing was changed",
            LOG_S("faults", buf_str(faults)));
        return code;
    }
    d->conf = fresh;
    d->settings = conf_settings(fresh);
    if (daemon_limit_clients(d) != ERR_OK)
        LOG(LOG_ERROR, "reload.no_memory", "the limits of clients stay as they were");
    conf_free(&before);
    daemon_set_log(d->settings);
    daemon_look_access(d);
    daemon_look_tls(d);
    struct http_limits limits = daemon_limits(d->settings);
    http_server_limits(d->rows, &limits);
    http_server_limits(d->operation, &limits);
    d->budget.max = d->settings->http_max_memory;
    struct intake_rules rules = daemon_rules(d->settings);
    intake_set_rules(d->intake, &rules);
    loops_set(d->loops, &limits, &rules);
    struct journal_health health;
    journal_health(d->journal, &health);
    struct journal_options options = daemon_journal_options(d, "", health.bytes);
    journal_reconfigure(d->journal, &options);
    d->api.generation++;
    LOG(LOG_INFO, "reload.done", "the settings were read again", LOG_N("generation", d->api.generation),
        LOG_S("changed", buf_str(changed)), LOG_S("restart", buf_str(restart)));
    return ERR_OK;
}

/* --- run --- */

static void open_handles(struct daemon *d)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        CHECK(uv_signal_init(&d->loop, &d->signals[i]) == 0);
        d->signals[i].data = d;
        CHECK(uv_signal_start(&d->signals[i], daemon_signal, numbers[i]) == 0);
    }
    CHECK(uv_prepare_init(&d->loop, &d->turn) == 0 && uv_prepare_start(&d->turn, on_turn) == 0);
    CHECK(uv_timer_init(&d->loop, &d->rest) == 0 && uv_timer_init(&d->loop, &d->look) == 0);
    d->turn.data = d->rest.data = d->look.data = d;
}

static void hint(const struct daemon *d)
{
    const char *rows = d->rows_count > 0 ? d->rows_bound[0] : "-";
    const char *in = daemon_tls(d, LISTENER_ROWS) == NULL ? "http" : "https";
    const char *admin = daemon_tls(d, LISTENER_ADMIN) == NULL ? "http" : "https";
    printf("rows go to   %s://%s/v1/rows\nlook at      %s://%s/v1/pushers\n"
           "try          curl -sS %s://%s/v1/rows -H 'Content-Type: application/json' -d "
           "'{\"uuid\":\"first\",\"row\":{\"data\":{\"hello\":\"world\"}}}'\n",
           in, rows, admin, d->admin_count > 0 ? d->admin_bound[0] : "-", in, rows);
    fflush(stdout);
}

static int bring_up(struct daemon *d)
{
    bool fresh = false;
    int code = daemon_open_journal(d, &fresh);
    if (code != EXIT_OK)
        return code;
    code = daemon_open_access(d);
    if (code == EXIT_OK)
        code = daemon_open_tls(d);
    if (code == EXIT_OK)
        code = daemon_open_supervisor(d, fresh);
    if (code == EXIT_OK)
        code = daemon_count_clients(d);
    d->api = (struct api){.loop = &d->loop,
                          .journal = d->journal,
                          .supervisor = d->supervisor,
                          .daemon = d,
                          .generation = 1,
                          .access = d->access,
                          .backlog = d->backlog,
                          .history = d->history,
                          .recent = d->recent,
                          .rows_auth = d->settings->http_auth,
                          .admin_auth = d->settings->admin_auth};
    shared_init(&d->api.shared);
    d->api.sessions = sessions_new();
    d->api.alerts = alerts_new(&d->api, d->data_dir);
    if (d->api.sessions == NULL || d->api.alerts == NULL)
        code = EXIT_INTERNAL_FAULT;
    if (code == EXIT_OK && taps_open(&d->api.taps, &d->api) != ERR_OK)
        code = EXIT_INTERNAL_FAULT;
    if (code == EXIT_OK && onlookers_open(&d->api.onlookers, &d->api) != ERR_OK)
        code = EXIT_INTERNAL_FAULT;
    if (code == EXIT_OK)
        code = daemon_open_intake(d);
    if (code == EXIT_OK)
        code = daemon_open_servers(d);
    if (code == EXIT_OK)
        code = daemon_open_loops(d);
    if (code != EXIT_OK)
        return code;
    CHECK(uv_timer_start(&d->look, on_look, 100, 100) == 0);
    supervisor_settled(d->supervisor); /* a journal that was full has room, where no cursor has to move any more */
    tell_damages(d);
    LOG(LOG_INFO, "ready", "headgate is ready", LOG_S("version", HG_VERSION), LOG_N("pid", getpid()));
    if (d->options->hint)
        hint(d);
    return EXIT_OK;
}

/* A start that failed half way: nothing has been promised yet, so the process may simply end; children end with it. */
static int run(struct daemon *d)
{
    int code = bring_up(d);
    if (code != EXIT_OK) {
        journal_close(&d->journal);
        return code;
    }
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    supervisor_free(&d->supervisor);
    keyring_free(&d->keyring);
    quota_free(&d->quota);
    backlog_free(&d->backlog);
    daemon_close_access(d);
    daemon_close_tls(d);
    refusals_free(&d->refusals);
    history_free(&d->history);
    sessions_free(&d->api.sessions);
    alerts_free(&d->api.alerts);
    shared_fini(&d->api.shared);
    conf_free(&d->conf);
    CHECK(uv_loop_close(&d->loop) == 0);
    LOG(LOG_INFO, "stopped", "headgate has stopped");
    log_also(NULL, NULL);
    recent_free(&d->recent);
    return EXIT_OK;
}

static void nothing(uv_work_t *work)
{
    (void)work;
}

static void nothing_done(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
}

/* libuv starts its threads with the first work, and ends the process when it cannot: better now than with rows in hand.
 */
static void start_threads(uv_loop_t *loop)
{
    static uv_work_t first;
    CHECK(uv_queue_work(loop, &first, nothing, nothing_done) == 0);
}

/* As many descriptors as may be had without asking: shells give 1024, which connections alone use up. And pipes are
 * tried, because libuv ends the process when it gets none for itself with the first loop, behind its epoll. */
static bool have_descriptors(void)
{
    struct rlimit limit;
    int ends[4];
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    int count = pipe2(ends, O_CLOEXEC) != 0 ? 0 : pipe2(ends + 2, O_CLOEXEC) != 0 ? 2 : 4;
    for (int i = 0; i < count; i++)
        close(ends[i]);
    return count == 4;
}

int daemon_run(const struct daemon_options *options)
{
    static struct daemon daemon; /* one for each process */
    struct daemon *d = &daemon;
    d->magic = DAEMON_MAGIC;
    d->options = options;
    d->began_ms = clock_ms();
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    log_setup(LOG_INFO, isatty(STDERR_FILENO) == 0);
    d->recent = recent_new();
    if (d->recent != NULL)
        log_also(recent_keep, d->recent);
    if (!have_descriptors() || uv_loop_init(&d->loop) != 0 ||
        uv_async_init(&d->loop, &d->journal_changed, on_journal_changed) != 0) {
        LOG(LOG_ERROR, "loop.not_opened", "no memory or no descriptors for an event loop");
        return EXIT_INTERNAL_FAULT;
    }
    d->journal_changed.data = d;
    start_threads(&d->loop);
    open_handles(d); /* a signal from now on waits until the loop runs */
    int code = daemon_load_settings(d);
    if (code != EXIT_OK)
        return code;
    d->refusals = refusals_new();
    d->keyring = keyring_new();
    d->quota = quota_new();
    d->backlog = backlog_new();
    d->history = history_new(d->began_ms);
    if (d->refusals == NULL || d->keyring == NULL || d->history == NULL || d->quota == NULL || d->backlog == NULL)
        return EXIT_INTERNAL_FAULT;
    return run(d);
}

int daemon_find_host(char *out, size_t size, struct err *e)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        char *slash = strrchr(self, '/');
        if (slash != NULL)
            *slash = '\0';
        snprintf(out, size, "%s/headgate-host", self);
        if (access(out, X_OK) == 0)
            return ERR_OK;
        snprintf(out, size, "%s/../libexec/headgate-host", self);
        if (access(out, X_OK) == 0)
            return ERR_OK;
    }
    snprintf(out, size, "%s/headgate-host", HG_LIBEXEC);
    if (access(out, X_OK) == 0)
        return ERR_OK;
    return err_set(e, ERR_NOTFOUND, "headgate-host is neither beside headgate, nor in ../libexec, nor in %s",
                   HG_LIBEXEC);
}
