/* Bringing the daemon to rest. Stopping: readiness says no, rows are still taken for stop.keep_taking, listeners close,
 * who waits gets an answer, hosts finish, cursors become durable, the journal is closed. */
#include "api/parts.h"

/* --- rest --- */

void daemon_drain(struct daemon *d)
{
    if (d->draining)
        return;
    d->draining = true;
    LOG(LOG_INFO, "drain", "no more rows are taken; what is there is delivered");
    daemon_look(d);
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
        daemon_look(d);
        http_server_drain(d->rows);
        loops_drain(d->loops);
        return;
    case PHASE_ANSWERING:
        if (http_server_connections(d->rows) + loops_connections(d->loops) > 0 && now < d->phase_until_ms)
            return;
        d->phase = PHASE_HOSTS;
        alerts_stop(d->api.alerts);
        supervisor_stop(d->supervisor, d->settings->stop_timeout, hosts_at_rest, d);
        return;
    case PHASE_HOSTS:
        taps_end(d->api.taps);
        onlookers_end(d->api.onlookers);
        if (!d->supervisor_done || d->api.works > 0)
            return;
        d->phase = PHASE_CLOSING;
        close_servers(d);
        return;
    case PHASE_CLOSING: return;
    }
}

void daemon_begin_stop(struct daemon *d)
{
    if (d->phase != PHASE_RUNNING)
        return;
    LOG(LOG_INFO, "stop", "stopping: what was acknowledged stays, what is not delivered waits for the next start");
    d->phase = PHASE_KEEP_TAKING;
    d->phase_until_ms = clock_ms() + d->settings->stop_keep_taking;
    CHECK(uv_timer_start(&d->rest, on_rest, 0, REST_LOOK_MS) == 0);
}

void daemon_signal(uv_signal_t *signal, int number)
{
    struct daemon *d = signal->data;
    struct buf changed, restart, faults;
    switch (number) {
    case SIGHUP:
        daemon_note_action(d, "reload", "signal HUP");
        buf_init(&changed, FAULTS_MAX_BYTES);
        buf_init(&restart, FAULTS_MAX_BYTES);
        buf_init(&faults, FAULTS_MAX_BYTES);
        if (daemon_reload(d, &changed, &restart, &faults) != ERR_OK)
            (void)daemon_say_faults(&faults);
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
        daemon_note_action(d, "stop", number == SIGTERM ? "signal TERM" : "signal INT");
        daemon_begin_stop(d);
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
    taps_close(&d->api.taps);
    onlookers_close(&d->api.onlookers);
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
