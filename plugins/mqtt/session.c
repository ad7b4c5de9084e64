/* libmosquitto keeps messages for the next connection and sends them again by itself; headgate has them in its journal,
 * so a connection that failed is thrown away with all it knew, and the rows come again. That leaves one place that
 * repeats.
 *
 * Between pushes nobody reads, so there is no keepalive: whether the broker went away in the meantime is looked at
 * before rows are given to the connection. */
#include "session.h"

#include "common/peer.h"
#include "common/reason.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

enum { STEP_MS = 200, STOP_GRACE_MS = 2000, MARGIN_MS = 200, FAILURE = 128, IN_FLIGHT = 1000 };

void session_init(struct session *s, const struct session_settings *settings, struct hg_host *host,
                  const struct hg_api *api)
{
    *s = (struct session){.api = api, .host = host, .settings = *settings};
}

void session_drop(struct session *s)
{
    if (s->mosquitto)
        mosquitto_destroy(s->mosquitto);
    s->mosquitto = NULL;
    s->accepted = 0;
}

int session_failed(struct session *s, const char *what, int rc)
{
    char line[SESSION_ERROR_SIZE / 2];
    reason_line(line, sizeof(line), rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
    snprintf(s->error, sizeof(s->error), "%s: %s", what, line);
    session_drop(s);
    return -1;
}

/* --- what libmosquitto calls --- */

static void on_connect(struct mosquitto *m, void *arg, int reason, int flags, const mosquitto_property *properties)
{
    struct session *s = arg;
    (void)m, (void)flags, (void)properties;
    s->accepted = reason == 0;
    if (reason != 0)
        snprintf(s->error, sizeof(s->error), "the broker refused the connection: %s",
                 s->settings.version5 ? mosquitto_reason_string(reason) : mosquitto_connack_string(reason));
}

/* The broker says why before it closes (MQTT 5). */
static void on_disconnect(struct mosquitto *m, void *arg, int reason, const mosquitto_property *properties)
{
    struct session *s = arg;
    (void)m, (void)properties;
    if (s->accepted && reason >= FAILURE)
        snprintf(s->error, sizeof(s->error), "the broker ended the connection: %s", mosquitto_reason_string(reason));
}

static void on_publish(struct mosquitto *m, void *arg, int id, int reason, const mosquitto_property *properties)
{
    struct session *s = arg;
    (void)m, (void)properties;
    if (s->acked)
        s->acked(s->arg, id, reason >= FAILURE ? reason : 0);
}

/* --- connecting --- */

static int trust_set(struct session *s, struct mosquitto *m)
{
    const struct session_settings *c = &s->settings;
    int rc = mosquitto_tls_set(m, c->ca, c->ca ? NULL : X509_get_default_cert_dir(), c->cert, c->key, NULL);
    if (rc == MOSQ_ERR_SUCCESS && !c->verify) {
        rc = mosquitto_tls_opts_set(m, 0, NULL, NULL);
        if (rc == MOSQ_ERR_SUCCESS)
            rc = mosquitto_tls_insecure_set(m, true);
    }
    return rc;
}

/* NULL with a sentence. */
static struct mosquitto *client_make(struct session *s)
{
    const struct session_settings *c = &s->settings;
    struct mosquitto *m = mosquitto_new(c->client_id, true, s);
    int rc = m ? MOSQ_ERR_SUCCESS : MOSQ_ERR_NOMEM;
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mosquitto_int_option(m, MOSQ_OPT_PROTOCOL_VERSION, c->version5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mosquitto_int_option(m, MOSQ_OPT_SEND_MAXIMUM, IN_FLIGHT);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
    if (rc == MOSQ_ERR_SUCCESS && c->user)
        rc = mosquitto_username_pw_set(m, c->user, c->password);
    if (rc == MOSQ_ERR_SUCCESS && c->tls)
        rc = trust_set(s, m);
    if (rc == MOSQ_ERR_SUCCESS) {
        mosquitto_connect_v5_callback_set(m, on_connect);
        mosquitto_disconnect_v5_callback_set(m, on_disconnect);
        mosquitto_publish_v5_callback_set(m, on_publish);
        return m;
    }
    session_failed(s, "the settings are refused", rc);
    if (m)
        mosquitto_destroy(m);
    return NULL;
}

int session_check(struct session *s)
{
    struct mosquitto *m = client_make(s);
    if (!m)
        return -1;
    mosquitto_destroy(m);
    return 0;
}

/* --- time --- */

static int64_t deadline_in(const struct session *s, int64_t ms)
{
    int64_t left = s->api->time_left(s->host) - MARGIN_MS;
    return peer_clock() + (left < ms ? left : ms);
}

/* How long to wait now; 0: no longer. A stop leaves a short while for what was begun. */
static int patience(struct session *s, int64_t deadline)
{
    int64_t now = peer_clock(), left = deadline - now;
    if (s->api->stopping(s->host)) {
        s->stop_seen = s->stop_seen ? s->stop_seen : now;
        if (now - s->stop_seen >= STOP_GRACE_MS)
            return 0;
    }
    return left <= 0 ? 0 : (int)(left < STEP_MS ? left : STEP_MS);
}

/* One turn. What the broker said about it stands in `error` already, if it said anything. */
static int turn(struct session *s, int ms, const char *what)
{
    int rc = mosquitto_loop(s->mosquitto, ms, 1);
    if (rc == MOSQ_ERR_SUCCESS)
        return 0;
    if (s->error[0] == '\0')
        return session_failed(s, what, rc);
    session_drop(s);
    return -1;
}

static int session_connect(struct session *s)
{
    int64_t deadline = deadline_in(s, s->settings.connect_ms);
    s->error[0] = '\0';
    s->mosquitto = client_make(s);
    if (!s->mosquitto)
        return -1;
    int rc = mosquitto_connect_async(s->mosquitto, s->settings.host, (int)s->settings.port, 0);
    if (rc != MOSQ_ERR_SUCCESS)
        return session_failed(s, s->settings.host, rc);
    while (!s->accepted) {
        int ms = patience(s, deadline);
        if (ms == 0) {
            snprintf(s->error, sizeof(s->error), "%s: no answer in time", s->settings.host);
            session_drop(s);
            return -1;
        }
        if (turn(s, ms, s->settings.host) != 0)
            return -1;
        if (s->error[0] != '\0') {
            session_drop(s);
            return -1;
        }
    }
    return 0;
}

int session_ready(struct session *s)
{
    s->stop_seen = 0;
    s->error[0] = '\0';
    if (s->mosquitto && turn(s, 0, "idle") == 0)
        return 0;
    return session_connect(s);
}

int session_wait(struct session *s, const size_t *open)
{
    int64_t deadline = deadline_in(s, s->settings.request_ms);
    while (*open > 0) {
        int ms = patience(s, deadline);
        if (ms == 0) {
            snprintf(s->error, sizeof(s->error), "no acknowledgement in time");
            session_drop(s);
            return -1;
        }
        if (turn(s, ms, "the connection was lost") != 0)
            return -1;
    }
    return 0;
}
