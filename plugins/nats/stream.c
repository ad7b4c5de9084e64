/* The library could reconnect by itself and send again what it kept; headgate has the rows in its journal, so a
 * connection that failed is thrown away and the rows come again. That leaves one place that repeats.
 *
 * Answers come to an inbox of the connection, whose last token is the number of the message: so each row has its own,
 * with the word whether it was there already. */
#include "stream.h"

#include "common/peer.h"
#include "common/reason.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_MS = 100, STOP_GRACE_MS = 2000, MARGIN_MS = 200, ADDRESS_SIZE = 300, SUBJECT_SIZE = 128 };

void stream_init(struct stream *s, const struct stream_settings *settings, struct hg_host *host,
                 const struct hg_api *api)
{
    *s = (struct stream){.api = api, .host = host, .settings = *settings};
}

void stream_drop(struct stream *s)
{
    natsSubscription_Destroy(s->answers);
    natsConnection_Destroy(s->connection);
    natsInbox_Destroy(s->inbox);
    s->answers = NULL;
    s->connection = NULL;
    s->inbox = NULL;
}

/* The server's own words, where there are any. */
int stream_failed(struct stream *s, const char *what, natsStatus status)
{
    char line[STREAM_ERROR_SIZE / 2];
    const char *said = NULL;
    if (s->connection && natsConnection_GetLastError(s->connection, &said) == NATS_OK)
        said = NULL;
    if (!said || said[0] == '\0')
        said = nats_GetLastError(NULL);
    reason_line(line, sizeof(line), said && said[0] ? said : natsStatus_GetText(status));
    snprintf(s->error, sizeof(s->error), "%s: %s", what, line);
    stream_drop(s);
    return -1;
}

/* Without one the library prints to stderr. What it tells is asked for by natsConnection_GetLastError(). */
static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status, void *arg)
{
    (void)connection, (void)subscription, (void)status, (void)arg;
}

/* --- settings --- */

static natsStatus trust_set(natsOptions *o, const struct stream_settings *c)
{
    natsStatus rc = natsOptions_SetSecure(o, true);
    if (rc == NATS_OK && c->ca)
        rc = natsOptions_LoadCATrustedCertificates(o, c->ca);
    if (rc == NATS_OK && c->cert)
        rc = natsOptions_LoadCertificatesChain(o, c->cert, c->key);
    if (rc == NATS_OK && c->verify)
        rc = natsOptions_SetExpectedHostname(o, c->host);
    if (rc == NATS_OK && !c->verify)
        rc = natsOptions_SkipServerVerification(o, true);
    return rc;
}

static natsStatus login_set(natsOptions *o, const struct stream_settings *c)
{
    natsStatus rc = NATS_OK;
    if (c->user)
        rc = natsOptions_SetUserInfo(o, c->user, c->password);
    if (rc == NATS_OK && c->token)
        rc = natsOptions_SetToken(o, c->token);
    if (rc == NATS_OK && c->credentials)
        rc = natsOptions_SetUserCredentialsFromFiles(o, c->credentials, NULL);
    return rc;
}

static natsStatus options_fill(natsOptions *o, const struct stream_settings *c, int64_t connect_ms)
{
    char address[ADDRESS_SIZE];
    int len = strchr(c->host, ':') ? snprintf(address, sizeof(address), "nats://[%s]:%lld", c->host, (long long)c->port)
                                   : snprintf(address, sizeof(address), "nats://%s:%lld", c->host, (long long)c->port);
    natsStatus rc = len < ADDRESS_SIZE ? natsOptions_SetURL(o, address) : NATS_INVALID_ARG;
    if (rc == NATS_OK)
        rc = natsOptions_SetName(o, "headgate");
    if (rc == NATS_OK)
        rc = natsOptions_SetTimeout(o, connect_ms);
    if (rc == NATS_OK)
        rc = natsOptions_SetAllowReconnect(o, false);
    if (rc == NATS_OK)
        rc = natsOptions_SetWriteDeadline(o, c->request_ms);
    if (rc == NATS_OK)
        rc = natsOptions_SetErrorHandler(o, on_error, NULL);
    if (rc == NATS_OK)
        rc = login_set(o, c);
    return rc == NATS_OK && c->tls ? trust_set(o, c) : rc;
}

/* --- connecting --- */

static int64_t time_for(const struct stream *s, int64_t ms)
{
    int64_t left = s->api->time_left(s->host) - MARGIN_MS;
    return left < 1 ? 1 : left < ms ? left : ms;
}

static natsStatus inbox_open(struct stream *s)
{
    char all[SUBJECT_SIZE];
    natsStatus rc = natsInbox_Create(&s->inbox);
    if (rc != NATS_OK)
        return rc;
    snprintf(all, sizeof(all), "%s.*", s->inbox);
    rc = natsConnection_SubscribeSync(&s->answers, s->connection, all);
    return rc == NATS_OK ? natsSubscription_SetPendingLimits(s->answers, -1, -1) : rc;
}

static int stream_connect(struct stream *s)
{
    natsOptions *options = NULL;
    natsStatus rc = natsOptions_Create(&options);
    s->broken = 0;
    if (rc == NATS_OK) {
        rc = options_fill(options, &s->settings, time_for(s, s->settings.connect_ms));
        s->broken = rc != NATS_OK && rc != NATS_NO_MEMORY;
    }
    if (rc == NATS_OK)
        rc = natsConnection_Connect(&s->connection, options);
    natsOptions_Destroy(options);
    if (rc == NATS_OK)
        rc = inbox_open(s);
    return rc == NATS_OK ? 0 : stream_failed(s, s->settings.host, rc);
}

int stream_ready(struct stream *s)
{
    if (s->connection && natsConnection_Status(s->connection) == NATS_CONN_STATUS_CONNECTED)
        return 0;
    stream_drop(s);
    return stream_connect(s);
}

/* --- messages --- */

natsStatus stream_send(struct stream *s, const char *subject, struct hg_text data, const char *id, size_t number)
{
    char reply[SUBJECT_SIZE];
    natsMsg *message = NULL;
    snprintf(reply, sizeof(reply), "%s.%zu", s->inbox, number);
    natsStatus rc = natsMsg_Create(&message, subject, reply, data.ptr, (int)data.len);
    if (rc == NATS_OK)
        rc = natsMsgHeader_Set(message, "Nats-Msg-Id", id);
    if (rc == NATS_OK && s->settings.expected)
        rc = natsMsgHeader_Set(message, "Nats-Expected-Stream", s->settings.expected);
    if (rc == NATS_OK)
        rc = natsConnection_PublishMsg(s->connection, message);
    natsMsg_Destroy(message);
    return rc;
}

void stream_begin(struct stream *s)
{
    s->stop_seen = 0;
    s->deadline = peer_clock() + time_for(s, s->settings.request_ms);
}

/* Whether there is a point in waiting on: a stop leaves a short while, and a server that said why says nothing more. */
static int patient(struct stream *s)
{
    const char *said;
    int64_t now = peer_clock();
    if (s->api->stopping(s->host)) {
        s->stop_seen = s->stop_seen ? s->stop_seen : now;
        if (now - s->stop_seen >= STOP_GRACE_MS)
            return 0;
    }
    return now < s->deadline && natsConnection_GetLastError(s->connection, &said) == NATS_OK;
}

int stream_answer(struct stream *s, natsMsg **out, size_t *number)
{
    natsStatus rc;
    *out = NULL;
    while ((rc = natsSubscription_NextMsg(out, s->answers, STEP_MS)) == NATS_TIMEOUT)
        if (!patient(s))
            return stream_failed(s, "no acknowledgement", rc);
    *number = STREAM_NOBODY;
    if (rc == NATS_NO_RESPONDERS)
        return 0;
    if (rc != NATS_OK)
        return stream_failed(s, "the connection was lost", rc);
    const char *token = strrchr(natsMsg_GetSubject(*out), '.');
    *number = token ? strtoul(token + 1, NULL, 10) : STREAM_NOBODY;
    return 0;
}
