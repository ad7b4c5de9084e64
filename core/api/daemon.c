/* The daemon: brings up journal, pushers, intake and listeners in this order, answers signals, and brings them to rest
 * in the opposite one.
 *
 * One loop, and those of http.threads (loops.h), which only take rows in. What the journal makes durable is noticed
 * once a turn of the loop (its completions wake the loop anyway) and passed on to the pushers. Stopping: readiness says
 * no, rows are still taken for stop.keep_taking, listeners close, who waits gets an answer, hosts finish, cursors
 * become durable, the journal is closed. */
#include "api/daemon.h"

#include "api/api.h"
#include "api/intake.h"
#include "api/loops.h"
#include "api/refusals.h"

#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_INTERNAL_FAULT = 70, EXIT_DISK_FAULT = 74, EXIT_CONFIG_FAULT = 78 };
enum { DAEMON_MAGIC = 0x48474441, FAULTS_MAX_BYTES = 1 << 20, LISTENERS_MAX = 32, REST_LOOK_MS = 20 };

enum phase { PHASE_RUNNING, PHASE_KEEP_TAKING, PHASE_ANSWERING, PHASE_HOSTS, PHASE_CLOSING };

struct daemon {
    uint32_t magic;
    const struct daemon_options *options;
    uv_loop_t loop;
    struct conf *conf;
    const struct settings *settings;
    struct journal *journal;
    struct supervisor *supervisor;
    struct intake *intake;
    struct loops *loops; /* NULL: http.threads is 1 */
    struct refusals *refusals;
    struct keyring *keyring;
    int open_servers;
    struct http_server *rows, *operation;
    struct http_budget budget;
    _Atomic uint32_t places; /* connections of all that take rows */
    struct api api;
    uv_signal_t signals[4];
    uv_prepare_t turn;
    uv_async_t journal_changed;
    uv_timer_t rest, look;
    uint64_t announced; /* position passed on to the pushers */
    int64_t began_ms, phase_until_ms;
    enum phase phase;
    bool draining, supervisor_done;
    int journal_intake; /* as logged last */
    int exit_code;
    char admin_bound[LISTENERS_MAX][128];
    int admin_count;
    char rows_bound[LISTENERS_MAX][LOOPS_ADDRESS]; /* but unix sockets */
    uint32_t rows_count;
};

/* --- looking --- */

const struct conf *daemon_conf(const struct daemon *d)
{
    return d->conf;
}

struct refusals *daemon_refusals(struct daemon *d)
{
    return d->refusals;
}

double daemon_uptime(const struct daemon *d)
{
    return (double)(clock_ms() - d->began_ms) / 1e3;
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
    journal_health(d->journal, &health);
    const char *blocked = supervisor_blocked(d->supervisor);
    why[0] = '\0';
    if (d->draining || d->phase != PHASE_RUNNING)
        snprintf(why, size, "draining: no more rows are taken");
    else if (health.intake != ERR_OK)
        snprintf(why, size, "%s: %s", health.intake == ERR_FULL ? "the journal is full" : "disk error", health.text);
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

bool daemon_host_allowed(const struct daemon *d, struct slice host)
{
    if (host.len == 0) /* HTTP/1.0 without one: no browser */
        return true;
    struct slice name = host_part(host);
    for (const char *const *h = d->settings->admin_hosts; *h != NULL; h++)
        if (same_name(host, slice_of(*h)) || same_name(name, slice_of(*h)))
            return true;
    if (d->settings->admin_hosts[0] != NULL)
        return false;
    if (same_name(name, SLICE_LIT("localhost")))
        return true;
    for (int i = 0; i < d->admin_count; i++)
        if (same_name(name, host_part(slice_of(d->admin_bound[i]))))
            return true;
    return false;
}

/* --- setting up: settings, folders --- */

static int say_faults(struct buf *faults)
{
    for (const char *at = buf_str(faults); *at != '\0'; at += strcspn(at, "\n") + 1) {
        char line[1024];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        LOG(LOG_ERROR, "settings.fault", line);
        if (at[strcspn(at, "\n")] == '\0')
            break;
    }
    return EXIT_CONFIG_FAULT;
}

static void set_log(const struct settings *s)
{
    bool json = s->log_format == LOG_FORMAT_JSON || (s->log_format == LOG_FORMAT_AUTO && isatty(STDERR_FILENO) == 0);
    log_setup((enum log_level)s->log_level, json);
}

static int load_settings(struct daemon *d)
{
    struct buf faults, notices;
    buf_init(&faults, FAULTS_MAX_BYTES);
    buf_init(&notices, FAULTS_MAX_BYTES);
    int code = conf_load(&d->options->input, &d->conf, &faults, &notices);
    int exit_code = EXIT_OK;
    if (code == ERR_OK) {
        d->settings = conf_settings(d->conf);
        set_log(d->settings);
    }
    for (const char *at = buf_str(&notices); *at != '\0';) {
        char line[1024];
        size_t len = strcspn(at, "\n");
        snprintf(line, sizeof line, "%.*s", (int)len, at);
        LOG(LOG_INFO, "settings.notice", line);
        at += len + (at[len] == '\n');
    }
    if (code != ERR_OK)
        exit_code = faults.len > 0 ? say_faults(&faults) : EXIT_INTERNAL_FAULT;
    buf_free(&faults);
    buf_free(&notices);
    return exit_code;
}

static int make_dirs(const char *path)
{
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *at = part + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (sys->mkdir(part, 0755) != 0 && errno != EEXIST)
            return err_from_errno(errno);
        *at = '/';
    }
    return sys->mkdir(part, 0750) != 0 && errno != EEXIST ? err_from_errno(errno) : ERR_OK;
}

/* Kinds of file systems that do not keep what they are given through a power cut, or not as one expects. */
static void warn_file_system(const char *dir)
{
    static const struct {
        long type;
        const char *what;
    } kinds[] = {
        {0x01021994, "tmpfs: it is lost with the machine"},
        {0x794C7630, "overlay: it is lost with the container; mount a volume"},
        {0x6969, "NFS: fsync depends on the server"},
        {0x517B, "SMB: fsync depends on the server"},
        {0xFF534D42, "CIFS: fsync depends on the server"},
        {0x65735546, "FUSE: fsync depends on its program"},
    };
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if ((long)fs.f_type == kinds[i].type)
            LOG(LOG_WARN, "data.file_system", kinds[i].what, LOG_S("dir", dir));
}

/* `auto`: the smaller of 10 GiB and half of what the journal has and could have. */
static uint64_t journal_limit(const struct settings *s, uint64_t has)
{
    struct statvfs fs;
    if (s->journal_max_bytes > 0)
        return s->journal_max_bytes;
    if (sys->statvfs(s->data_dir, &fs) != 0)
        return UINT64_C(10) << 30;
    uint64_t could = has + (uint64_t)fs.f_bavail * fs.f_frsize, all = (uint64_t)fs.f_blocks * fs.f_frsize;
    if (s->journal_max_bytes_percent > 0)
        return all / 100 * (uint64_t)s->journal_max_bytes_percent;
    uint64_t limit = could / 2 < UINT64_C(10) << 30 ? could / 2 : UINT64_C(10) << 30;
    return limit > 2 * s->journal_segment ? limit : 2 * s->journal_segment;
}

static void journal_woke(void *arg)
{
    struct daemon *d = arg;
    (void)uv_async_send(&d->journal_changed);
}

static struct journal_options journal_options_of(struct daemon *d, const char *dir, uint64_t has)
{
    const struct settings *s = d->settings;
    return (struct journal_options){
        .dir = dir,
        .segment_bytes = s->journal_segment,
        .max_bytes = journal_limit(s, has),
        .min_free = s->journal_min_free,
        .durability = (enum durability)s->journal_durability,
        .interval_ms = (uint32_t)s->journal_durability_ms,
        .keep_ms = s->journal_keep,
        .keep_bytes = s->journal_keep_bytes,
        .changed = journal_woke,
        .arg = d,
    };
}

static uint64_t dir_bytes(const char *dir)
{
    char path[PATH_MAX + 8];
    struct stat st;
    uint64_t sum = 0;
    uv_fs_t scan;
    uv_dirent_t entry;
    if (uv_fs_scandir(NULL, &scan, dir, 0, NULL) < 0) {
        uv_fs_req_cleanup(&scan);
        return 0;
    }
    while (uv_fs_scandir_next(&scan, &entry) == 0)
        if (snprintf(path, sizeof path, "%s/%s", dir, entry.name) < (int)sizeof path && sys->stat(path, &st) == 0)
            sum += (uint64_t)st.st_size;
    uv_fs_req_cleanup(&scan);
    return sum;
}

static int open_journal(struct daemon *d, bool *fresh)
{
    const char *data = d->settings->data_dir;
    char dir[PATH_MAX];
    struct stat st;
    struct err e = {0};
    int code = make_dirs(data);
    if (code != ERR_OK) {
        LOG(LOG_ERROR, "data.not_made", err_text(code), LOG_S("dir", data));
        return EXIT_DISK_FAULT;
    }
    warn_file_system(data);
    snprintf(dir, sizeof dir, "%s/journal", data);
    *fresh = sys->stat(dir, &st) != 0;
    struct journal_options options = journal_options_of(d, dir, dir_bytes(dir));
    struct journal_report report = {0};
    code = journal_open(&d->journal, &options, &report, &e);
    if (code != ERR_OK) {
        LOG(LOG_ERROR, "journal.not_opened", e.text, LOG_S("dir", dir));
        return code == ERR_VERSION ? EXIT_CONFIG_FAULT : EXIT_DISK_FAULT;
    }
    LOG(LOG_INFO, "journal.opened", "the journal is open", LOG_S("dir", dir), LOG_N("segments", report.segments),
        LOG_N("torn_bytes", report.torn_bytes), LOG_N("damages", report.damages));
    if (report.unverified_medium)
        LOG(LOG_WARN, "journal.unverified_medium",
            "this file system refuses O_DIRECT: what was read back at start may be the cache, not the medium");
    return EXIT_OK;
}

/* --- the journal's word --- */

static void tell_damages(struct daemon *d)
{
    struct read_damage damage;
    while (journal_take_damage(d->journal, &damage))
        LOG(LOG_ERROR, "journal.damaged", "a range of the journal cannot be read; its rows are lost unless repaired",
            LOG_N("from", damage.from), LOG_N("to", damage.to));
}

static void look_at_intake(struct daemon *d)
{
    struct journal_health health;
    journal_health(d->journal, &health);
    const char *blocked = supervisor_blocked(d->supervisor);
    bool ending = d->draining || d->phase > PHASE_KEEP_TAKING;
    const char *refusing = ending ? "this gateway is about to stop and takes no more rows; send again later" : blocked;
    intake_set_refusing(d->intake, refusing);
    loops_refuse(d->loops, refusing);
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
    look_at_intake(d);
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

static void on_look(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    tell_damages(d);
    look_at_intake(d);
    receipts_look(&d->api);
}

static void on_settled(void *arg)
{
    struct daemon *d = arg;
    receipts_look(&d->api);
}

/* --- requests --- */

static void on_operation(void *arg, struct http_request *r)
{
    struct daemon *d = arg;
    api_dispatch(&d->api, r);
}

/* A client that waits for its receipt: intake's wish as the receipts' own. */
struct daemon_wait {
    struct receipt_waiter waiter;
    struct intake_wait *wish;
};

static void wait_done(void *arg, int code, struct slice json)
{
    struct daemon_wait *w = arg;
    w->wish->done(w->wish->arg, code, json);
    free(w);
}

static void begin_wait(void *arg, struct intake_wait *wish)
{
    struct daemon *d = arg;
    struct daemon_wait *w = calloc(1, sizeof *w);
    if (w == NULL) {
        wish->done(wish->arg, ERR_TIMEOUT, (struct slice){NULL, 0});
        return;
    }
    w->wish = wish;
    w->waiter = (struct receipt_waiter){
        .position = wish->position,
        .rows = wish->rows,
        .uuid_hash = wish->uuid_hash,
        .until_ms = wish->until_ms,
        .done = wait_done,
        .arg = w,
    };
    receipts_wait(&d->api, &w->waiter);
}

static struct http_limits limits_of(const struct settings *s)
{
    return (struct http_limits){
        .max_body = s->http_max_body,
        .max_header = (uint32_t)s->http_max_header,
        .max_connections = s->http_max_connections,
        .header_timeout_ms = (uint32_t)s->http_header_timeout,
        .body_timeout_ms = (uint32_t)s->http_body_timeout,
        .idle_timeout_ms = (uint32_t)s->http_idle_timeout,
    };
}

static long group_of(const char *name, struct err *e)
{
    if (name == NULL || name[0] == '\0')
        return -1;
    char *end;
    long number = strtol(name, &end, 10);
    if (*end == '\0')
        return number;
    struct group entry, *found = NULL;
    char names[16384];
    if (getgrnam_r(name, &entry, names, sizeof names, &found) != 0 || found == NULL) {
        err_set(e, ERR_CONFIG, "http.socket_group: there is no group \"%s\"", name);
        return -2;
    }
    return (long)found->gr_gid;
}

static int listen_on(struct daemon *d, struct http_server *server, const char *const *addresses, enum listener listener,
                     const char *word)
{
    struct err e = {0};
    long group = group_of(d->settings->http_socket_group, &e);
    for (; *addresses != NULL; addresses++) {
        char bound[128];
        struct http_listen listen = {.address = *addresses,
                                     .listener = listener,
                                     .share_port = listener == LISTENER_ROWS && d->settings->http_threads > 1,
                                     .socket_mode = d->settings->http_socket_mode,
                                     .socket_group = group};
        if (group == -2 || http_server_listen(server, &listen, bound, &e) != ERR_OK) {
            LOG(LOG_ERROR, "listen.failed", e.text, LOG_S("listener", word), LOG_S("address", *addresses));
            return EXIT_CONFIG_FAULT;
        }
        LOG(LOG_INFO, "listen", "listening", LOG_S("listener", word), LOG_S("address", bound));
        if (listener == LISTENER_ADMIN && d->admin_count < LISTENERS_MAX)
            snprintf(d->admin_bound[d->admin_count++], sizeof d->admin_bound[0], "%s", bound);
        if (listener == LISTENER_ROWS && strncmp(bound, "unix:", 5) != 0 && d->rows_count < LISTENERS_MAX)
            snprintf(d->rows_bound[d->rows_count++], sizeof d->rows_bound[0], "%s", bound);
    }
    return EXIT_OK;
}

static int open_servers(struct daemon *d)
{
    const struct settings *s = d->settings;
    struct http_limits limits = limits_of(s);
    struct http_routes rows = intake_routes(d->intake), operation = {.request = on_operation, .arg = d};
    d->budget.max = s->http_max_memory;
    if (http_server_new(&d->rows, &d->loop, &limits, &d->budget, &rows) != ERR_OK ||
        http_server_new(&d->operation, &d->loop, &limits, &d->budget, &operation) != ERR_OK) {
        LOG(LOG_ERROR, "listen.failed", "out of memory");
        return EXIT_INTERNAL_FAULT;
    }
    http_server_share(d->rows, &d->places);
    int code = listen_on(d, d->rows, s->http_listen, LISTENER_ROWS, "rows");
    if (code == EXIT_OK)
        code = listen_on(d, d->operation, s->admin_listen, LISTENER_ADMIN, "admin");
    if (code == EXIT_OK)
        code = listen_on(d, d->operation, s->probes_listen, LISTENER_PROBES, "probes");
    return code;
}

static struct intake_rules rules_of(const struct settings *s)
{
    return (struct intake_rules){
        .max_rows = s->http_max_rows, .max_depth = s->rows_max_depth, .any_keys = s->rows_keys == ROWS_KEYS_ANY};
}

/* Last of all: nothing may fail once they run. */
static int open_loops(struct daemon *d)
{
    struct err e = {0};
    const struct loops_options options = {
        .api = &d->api,
        .keyring = d->keyring,
        .refusals = d->refusals,
        .budget = &d->budget,
        .places = &d->places,
        .limits = limits_of(d->settings),
        .rules = rules_of(d->settings),
        .addresses = (const char(*)[LOOPS_ADDRESS])d->rows_bound,
        .address_count = d->rows_count,
        .count = d->settings->http_threads - 1,
    };
    if (options.count == 0 || options.address_count == 0 || loops_start(&d->loops, &options, &e) == ERR_OK)
        return EXIT_OK;
    LOG(LOG_ERROR, "loops.not_started", e.text);
    return EXIT_CONFIG_FAULT;
}

static int open_intake(struct daemon *d)
{
    struct intake_options options = {
        .journal = d->journal,
        .keyring = d->keyring,
        .refusals = d->refusals,
        .rules = rules_of(d->settings),
        .other = {.request = on_operation, .arg = d},
        .wait = begin_wait,
        .wait_arg = d,
    };
    if (intake_open(&d->intake, &d->loop, &options) != ERR_OK) {
        LOG(LOG_ERROR, "intake.not_opened", "out of memory");
        return EXIT_INTERNAL_FAULT;
    }
    return EXIT_OK;
}

static int open_supervisor(struct daemon *d, bool fresh)
{
    struct buf faults;
    struct err e = {0};
    uint32_t running = 0;
    buf_init(&faults, FAULTS_MAX_BYTES);
    struct supervisor_options options = {
        .loop = &d->loop,
        .journal = d->journal,
        .data_dir = d->settings->data_dir,
        .host = d->options->host,
        .fresh = fresh,
        .drained = on_settled,
        .arg = d,
    };
    int code = supervisor_new(&d->supervisor, &options, d->conf, &faults, &running, &e);
    int exit_code = EXIT_OK;
    bool any = false;
    if (d->supervisor != NULL)
        LIST_EACH(supervisor_runners(d->supervisor), it)
    any = any || container_of(it, struct runner, link)->pusher != NULL;
    if (code != ERR_OK) {
        LOG(LOG_ERROR, "pushers.not_opened", e.text);
        exit_code = code == ERR_NOMEM ? EXIT_INTERNAL_FAULT : EXIT_DISK_FAULT;
    } else if (faults.len > 0) {
        int said = say_faults(&faults);
        exit_code = d->settings->plugins_strict ? said : EXIT_OK;
    }
    if (exit_code == EXIT_OK && !any && !d->settings->plugins_none) {
        LOG(LOG_ERROR, "pushers.none",
            "there is no pusher that rows could be delivered to: configure one (headgate plugin list), or set "
            "plugins.none = yes");
        exit_code = EXIT_CONFIG_FAULT;
    }
    buf_free(&faults);
    return exit_code;
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
    conf_free(&before);
    set_log(d->settings);
    struct http_limits limits = limits_of(d->settings);
    http_server_limits(d->rows, &limits);
    http_server_limits(d->operation, &limits);
    d->budget.max = d->settings->http_max_memory;
    struct intake_rules rules = rules_of(d->settings);
    intake_set_rules(d->intake, &rules);
    loops_set(d->loops, &limits, &rules);
    struct journal_health health;
    journal_health(d->journal, &health);
    struct journal_options options = journal_options_of(d, "", health.bytes);
    journal_reconfigure(d->journal, &options);
    d->api.generation++;
    LOG(LOG_INFO, "reload.done", "the settings were read again", LOG_N("generation", d->api.generation),
        LOG_S("changed", buf_str(changed)), LOG_S("restart", buf_str(restart)));
    return ERR_OK;
}

/* --- rest --- */

void daemon_drain(struct daemon *d)
{
    if (d->draining)
        return;
    d->draining = true;
    LOG(LOG_INFO, "drain", "no more rows are taken; what is there is delivered");
    look_at_intake(d);
}

static void hosts_at_rest(void *arg)
{
    struct daemon *d = arg;
    d->supervisor_done = true;
}

static void close_servers(struct daemon *d);

/* Stopping is a chain of phases, each looked at every few milliseconds: what it waits for has no single event. */
static void on_rest(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    int64_t now = clock_ms();
    switch (d->phase) {
    case PHASE_RUNNING: return;
    case PHASE_KEEP_TAKING:
        if (now < d->phase_until_ms)
            return;
        d->phase = PHASE_ANSWERING;
        d->api.stopping = true;
        receipts_look(&d->api);
        d->phase_until_ms = now + d->settings->stop_timeout / 2;
        look_at_intake(d);
        http_server_drain(d->rows);
        loops_drain(d->loops);
        return;
    case PHASE_ANSWERING:
        if (http_server_connections(d->rows) + loops_connections(d->loops) > 0 && now < d->phase_until_ms)
            return;
        d->phase = PHASE_HOSTS;
        supervisor_stop(d->supervisor, d->settings->stop_timeout, hosts_at_rest, d);
        return;
    case PHASE_HOSTS:
        if (!d->supervisor_done || d->api.works > 0)
            return;
        d->phase = PHASE_CLOSING;
        close_servers(d);
        return;
    case PHASE_CLOSING: return;
    }
}

static void begin_stop(struct daemon *d)
{
    if (d->phase != PHASE_RUNNING)
        return;
    LOG(LOG_INFO, "stop", "stopping: what was acknowledged stays, what is not delivered waits for the next start");
    d->phase = PHASE_KEEP_TAKING;
    d->phase_until_ms = clock_ms() + d->settings->stop_keep_taking;
    CHECK(uv_timer_start(&d->rest, on_rest, 0, REST_LOOK_MS) == 0);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct daemon *d = signal->data;
    struct buf changed, restart, faults;
    switch (number) {
    case SIGHUP:
        buf_init(&changed, FAULTS_MAX_BYTES);
        buf_init(&restart, FAULTS_MAX_BYTES);
        buf_init(&faults, FAULTS_MAX_BYTES);
        if (daemon_reload(d, &changed, &restart, &faults) != ERR_OK)
            (void)say_faults(&faults);
        buf_free(&changed);
        buf_free(&restart);
        buf_free(&faults);
        break;
    case SIGUSR1: supervisor_reopen(d->supervisor); break;
    default:
        if (d->phase != PHASE_RUNNING) {
            LOG(LOG_WARN, "stop.at_once", "told twice: ending at once; nothing acknowledged is lost");
            _exit(EXIT_OK); /* hosts end with their parent; the journal is durable as it is */
        }
        begin_stop(d);
        break;
    }
}

static void intake_closed(void *arg)
{
    struct daemon *d = arg;
    for (size_t i = 0; i < COUNT_OF(d->signals); i++)
        uv_close((uv_handle_t *)&d->signals[i], NULL);
    uv_close((uv_handle_t *)&d->journal_changed, NULL);
    uv_close((uv_handle_t *)&d->rest, NULL);
}

/* Every request has been answered: nobody waits for the journal any more. The loop ends when the last handle has gone.
 */
static void server_closed(void *arg)
{
    struct daemon *d = arg;
    if (--d->open_servers > 0)
        return;
    uv_close((uv_handle_t *)&d->turn, NULL);
    uv_close((uv_handle_t *)&d->look, NULL);
    journal_close(&d->journal);
    loops_free(&d->loops);
    intake_close(d->intake, intake_closed, d);
}

static void close_servers(struct daemon *d)
{
    d->open_servers = 3;
    http_server_close(d->rows, server_closed, d);
    http_server_close(d->operation, server_closed, d);
    loops_close(d->loops, server_closed, d);
}

/* --- run --- */

static void open_handles(struct daemon *d)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        CHECK(uv_signal_init(&d->loop, &d->signals[i]) == 0);
        d->signals[i].data = d;
        CHECK(uv_signal_start(&d->signals[i], on_signal, numbers[i]) == 0);
    }
    CHECK(uv_prepare_init(&d->loop, &d->turn) == 0 && uv_prepare_start(&d->turn, on_turn) == 0);
    CHECK(uv_timer_init(&d->loop, &d->rest) == 0 && uv_timer_init(&d->loop, &d->look) == 0);
    d->turn.data = d->rest.data = d->look.data = d;
}

static void hint(const struct daemon *d)
{
    const char *rows = d->rows_count > 0 ? d->rows_bound[0] : "-";
    printf("rows go to   http://%s/v1/rows\nlook at      http://%s/v1/pushers\ntry          curl --json "
           "'{\"uuid\":\"first\",\"row\":{\"data\":{\"hello\":\"world\"}}}' http://%s/v1/rows\n",
           rows, d->admin_count > 0 ? d->admin_bound[0] : "-", rows);
    fflush(stdout);
}

static int bring_up(struct daemon *d)
{
    bool fresh = false;
    int code = open_journal(d, &fresh);
    if (code != EXIT_OK)
        return code;
    code = open_supervisor(d, fresh);
    d->api = (struct api){
        .loop = &d->loop, .journal = d->journal, .supervisor = d->supervisor, .daemon = d, .generation = 1};
    if (code == EXIT_OK)
        code = open_intake(d);
    if (code == EXIT_OK)
        code = open_servers(d);
    if (code == EXIT_OK)
        code = open_loops(d);
    if (code != EXIT_OK)
        return code;
    CHECK(uv_timer_start(&d->look, on_look, 100, 100) == 0);
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
    refusals_free(&d->refusals);
    conf_free(&d->conf);
    CHECK(uv_loop_close(&d->loop) == 0);
    LOG(LOG_INFO, "stopped", "headgate has stopped");
    return EXIT_OK;
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
    CHECK(uv_loop_init(&d->loop) == 0);
    open_handles(d); /* a signal from now on waits until the loop runs */
    CHECK(uv_async_init(&d->loop, &d->journal_changed, on_journal_changed) == 0);
    d->journal_changed.data = d;
    int code = load_settings(d);
    if (code != EXIT_OK)
        return code;
    d->refusals = refusals_new();
    d->keyring = keyring_new();
    if (d->refusals == NULL || d->keyring == NULL)
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
