/* Bringing the daemon up, second half: pushers, intake, listeners, further loops. Before the loop runs. */
#include "api/parts.h"

#include <grp.h>
#include <stdlib.h>

static int on_operation_head(void *arg, struct http_request *r)
{
    struct daemon *d = arg;
    return api_admit(&d->api, r);
}

static void on_operation(void *arg, struct http_request *r)
{
    struct daemon *d = arg;
    api_dispatch(&d->api, r);
}

static void on_operation_gone(void *arg, struct http_request *r)
{
    struct daemon *d = arg;
    if (!taps_gone(d->api.taps, r))
        (void)onlookers_gone(d->api.onlookers, r);
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

struct http_limits daemon_limits(const struct settings *s)
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
                                     .listener = (int)listener,
                                     .share_port = listener == LISTENER_ROWS && d->settings->http_threads > 1,
                                     .socket_mode = d->settings->http_socket_mode,
                                     .socket_group = group,
                                     .tls = strncmp(*addresses, "unix:", 5) == 0 ? NULL : daemon_tls(d, listener)};
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

int daemon_open_servers(struct daemon *d)
{
    const struct settings *s = d->settings;
    struct http_limits limits = daemon_limits(s);
    struct http_routes rows = intake_routes(d->intake), operation = {.head = on_operation_head,
                                                                     .request = on_operation,
                                                                     .gone = on_operation_gone,
                                                                     .answering = daemon_note_answer,
                                                                     .answered = daemon_note_refused,
                                                                     .arg = d};
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

struct intake_rules daemon_rules(const struct settings *s)
{
    return (struct intake_rules){
        .max_rows = s->http_max_rows, .max_depth = s->rows_max_depth, .any_keys = s->rows_keys == ROWS_KEYS_ANY};
}

/* Last of all: nothing may fail once they run. */
int daemon_open_loops(struct daemon *d)
{
    struct err e = {0};
    const struct loops_options options = {
        .api = &d->api,
        .keyring = d->keyring,
        .quota = d->quota,
        .backlog = d->backlog,
        .refusals = d->refusals,
        .budget = &d->budget,
        .places = &d->places,
        .limits = daemon_limits(d->settings),
        .rules = daemon_rules(d->settings),
        .tls = daemon_tls(d, LISTENER_ROWS),
        .addresses = (const char(*)[LOOPS_ADDRESS])d->rows_bound,
        .address_count = d->rows_count,
        .count = d->settings->http_threads - 1,
    };
    if (options.count == 0 || options.address_count == 0 || loops_start(&d->loops, &options, &e) == ERR_OK)
        return EXIT_OK;
    LOG(LOG_ERROR, "loops.not_started", e.text);
    return EXIT_CONFIG_FAULT;
}

int daemon_open_intake(struct daemon *d)
{
    struct intake_options options = {
        .journal = d->journal,
        .keyring = d->keyring,
        .quota = d->quota,
        .backlog = d->backlog,
        .refusals = d->refusals,
        .rules = daemon_rules(d->settings),
        .access = d->access,
        .auth = d->settings->http_auth,
        .other = {.head = on_operation_head, .request = on_operation, .arg = d},
        .wait = begin_wait,
        .wait_arg = d,
    };
    if (intake_open(&d->intake, &d->loop, &options) != ERR_OK) {
        LOG(LOG_ERROR, "intake.not_opened", "out of memory");
        return EXIT_INTERNAL_FAULT;
    }
    return EXIT_OK;
}

static void on_settled(void *arg)
{
    struct daemon *d = arg;
    receipts_look(&d->api);
}

static const char *on_emission(void *arg)
{
    return daemon_refusing(arg);
}

static const char *on_admit(void *arg, const char *client, uint64_t rows, uint64_t bytes)
{
    const struct daemon *d = arg;
    return quota_take(d->quota, client, rows, bytes, clock_ms()) == 0
               ? NULL
               : "its client has used up what it may send in a second (clients.rows_per_second, bytes_per_second)";
}

int daemon_open_supervisor(struct daemon *d, bool fresh)
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
        .refusing = on_emission,
        .admit = on_admit,
        .backlog = d->backlog,
        .budget = &d->budget,
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
        int said = daemon_say_faults(&faults);
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
