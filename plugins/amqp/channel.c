/* A connection that failed is thrown away with all it knew, and the rows come again; that leaves one place that
 * repeats.
 *
 * A broker that runs out of memory or disk says so (connection.blocked) with the first message that it is sent, and
 * then reads nothing more. Such a connection is kept and not written to: messages that were sent in vain on one
 * connection after the other would all be taken once the broker is well again. Should it stop reading without a word,
 * the kernel ends the connection after as long as a request may take (TCP_USER_TIMEOUT), since librabbitmq's writes
 * wait for ever.
 */
#include "channel.h"

#include "common/peer.h"
#include "common/reason.h"

#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { CHANNEL = 1, STEP_MS = 200, STOP_GRACE_MS = 2000, MARGIN_MS = 200, FRAME_MAX = 131072 };

void channel_init(struct channel *c, const struct channel_settings *settings, struct hg_host *host,
                  const struct hg_api *api)
{
    *c = (struct channel){.api = api, .host = host, .settings = *settings};
}

/* Not closed politely: that would wait for the broker's answer. */
void channel_drop(struct channel *c)
{
    if (c->connection)
        amqp_destroy_connection(c->connection);
    c->connection = NULL;
    c->blocked = 0;
    c->last = 0;
}

/* --- time --- */

static int64_t bounded_ms(const struct channel *c, int64_t ms)
{
    int64_t left = c->api->time_left(c->host) - MARGIN_MS;
    left = left < ms ? left : ms;
    return left > 0 ? left : 1;
}

static struct timeval interval(int64_t ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

/* How long to wait now; 0: no longer. A stop leaves a short while for what was begun. */
static int64_t patience(struct channel *c, int64_t deadline)
{
    int64_t now = peer_clock(), left = deadline - now;
    if (c->api->stopping(c->host)) {
        c->stop_seen = c->stop_seen ? c->stop_seen : now;
        if (now - c->stop_seen >= STOP_GRACE_MS)
            return 0;
    }
    return left <= 0 ? 0 : left < STEP_MS ? left : STEP_MS;
}

/* --- failures --- */

static int failed(struct channel *c, const char *what, const char *said)
{
    char line[CHANNEL_ERROR_SIZE / 2];
    reason_line(line, sizeof(line), said);
    snprintf(c->error, sizeof(c->error), "%.200s: %s", what, line);
    channel_drop(c);
    return -1;
}

static int status_failed(struct channel *c, const char *what, int status)
{
    unsigned long tls = status == AMQP_STATUS_SSL_ERROR ? ERR_peek_last_error() : 0;
    const char *said = tls ? ERR_reason_error_string(tls) : NULL;
    return failed(c, what, said ? said : amqp_error_string2(status));
}

/* The broker's own words out of a method that closes a channel or a connection. */
static int close_failed(struct channel *c, const char *what, const amqp_method_t *method)
{
    char text[CHANNEL_ERROR_SIZE] = "";
    const amqp_channel_close_t *channel = method->decoded;
    const amqp_connection_close_t *connection = method->decoded;
    int whole = method->id == AMQP_CONNECTION_CLOSE_METHOD;
    if (whole || method->id == AMQP_CHANNEL_CLOSE_METHOD) {
        amqp_bytes_t said = whole ? connection->reply_text : channel->reply_text;
        snprintf(text, sizeof(text), "%.*s", (int)said.len, (const char *)said.bytes);
        c->close_code = whole ? connection->reply_code : channel->reply_code;
        if (c->close_code == CHANNEL_TOO_LARGE && !strstr(text, "message size"))
            c->close_code = 1;
    }
    return failed(c, what, text);
}

static int reply_failed(struct channel *c, const char *what, const amqp_rpc_reply_t *reply)
{
    if (reply->reply_type == AMQP_RESPONSE_SERVER_EXCEPTION)
        return close_failed(c, what, &reply->reply);
    return status_failed(c, what, reply->library_error);
}

/* --- connecting --- */

static amqp_socket_t *socket_plain(const struct channel *c)
{
    return amqp_tcp_socket_new(c->connection);
}

/* By OpenSSL, for librabbitmq knows names alone, and no addresses. */
static int name_expect(SSL_CTX *tls, const char *host)
{
    X509_VERIFY_PARAM *expected = SSL_CTX_get0_param(tls);
    if (X509_VERIFY_PARAM_set1_ip_asc(expected, host) == 1)
        return 0;
    ERR_clear_error(); /* it is no address */
    return X509_VERIFY_PARAM_set1_host(expected, host, 0) == 1 ? 0 : -1;
}

/* NULL: a certificate cannot be used. */
static amqp_socket_t *socket_tls(const struct channel *c)
{
    const struct channel_settings *s = &c->settings;
    amqp_socket_t *socket = amqp_ssl_socket_new(c->connection);
    if (!socket)
        return NULL;
    int rc = s->ca ? amqp_ssl_socket_set_cacert(socket, s->ca) : AMQP_STATUS_OK;
    if (!s->ca && SSL_CTX_set_default_verify_paths(amqp_ssl_socket_get_context(socket)) != 1)
        rc = AMQP_STATUS_SSL_ERROR;
    if (rc == AMQP_STATUS_OK && s->cert)
        rc = amqp_ssl_socket_set_key(socket, s->cert, s->key);
    if (rc == AMQP_STATUS_OK)
        rc = amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
    amqp_ssl_socket_set_verify_peer(socket, s->verify);
    amqp_ssl_socket_set_verify_hostname(socket, 0);
    if (s->verify && name_expect(amqp_ssl_socket_get_context(socket), s->host) != 0)
        rc = AMQP_STATUS_SSL_ERROR;
    return rc == AMQP_STATUS_OK ? socket : NULL;
}

static int login(struct channel *c)
{
    const struct channel_settings *s = &c->settings;
    amqp_table_entry_t can = {.key = amqp_cstring_bytes("connection.blocked"),
                              .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value = {.boolean = 1}}};
    amqp_table_entry_t capabilities = {
        .key = amqp_cstring_bytes("capabilities"),
        .value = {.kind = AMQP_FIELD_KIND_TABLE, .value = {.table = {.num_entries = 1, .entries = &can}}}};
    const amqp_table_t properties = {.num_entries = 1, .entries = &capabilities};
    amqp_rpc_reply_t reply = amqp_login_with_properties(c->connection, s->vhost, 0, FRAME_MAX, 0, &properties,
                                                        AMQP_SASL_METHOD_PLAIN, s->user, s->password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        return reply_failed(c, s->host, &reply);
    amqp_channel_open(c->connection, CHANNEL);
    reply = amqp_get_rpc_reply(c->connection);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
        amqp_confirm_select(c->connection, CHANNEL);
        reply = amqp_get_rpc_reply(c->connection);
    }
    return reply.reply_type == AMQP_RESPONSE_NORMAL ? 0 : reply_failed(c, s->host, &reply);
}

static int channel_connect(struct channel *c)
{
    const struct channel_settings *s = &c->settings;
    struct timeval limit = interval(bounded_ms(c, s->connect_ms));
    c->connection = amqp_new_connection();
    if (!c->connection)
        return failed(c, s->host, "no memory");
    ERR_clear_error();
    amqp_socket_t *socket = s->tls ? socket_tls(c) : socket_plain(c);
    if (!socket)
        return status_failed(c, "CA, CERT or KEY", AMQP_STATUS_SSL_ERROR);
    int rc = amqp_set_handshake_timeout(c->connection, &limit);
    if (rc == AMQP_STATUS_OK)
        rc = amqp_set_rpc_timeout(c->connection, &limit);
    if (rc == AMQP_STATUS_OK)
        rc = amqp_socket_open_noblock(socket, s->host, (int)s->port, &limit);
    return rc == AMQP_STATUS_OK ? login(c) : status_failed(c, s->host, rc);
}

/* --- what the broker says --- */

static void on_return(struct channel *c, const amqp_basic_return_t *m)
{
    snprintf(c->return_why, sizeof(c->return_why), "no queue takes it: %u %.*s", m->reply_code, (int)m->reply_text.len,
             (const char *)m->reply_text.bytes);
}

static int on_method(struct channel *c, const amqp_method_t *method)
{
    const amqp_basic_ack_t *ack = method->decoded;
    const amqp_basic_nack_t *nack = method->decoded;
    const amqp_connection_blocked_t *blocked = method->decoded;
    switch (method->id) {
    case AMQP_BASIC_ACK_METHOD: c->confirmed(c->arg, ack->delivery_tag, ack->multiple, 1); return 0;
    case AMQP_BASIC_NACK_METHOD: c->confirmed(c->arg, nack->delivery_tag, nack->multiple, 0); return 0;
    case AMQP_BASIC_RETURN_METHOD: on_return(c, method->decoded); return 0;
    case AMQP_CONNECTION_BLOCKED_METHOD:
        c->blocked = 1;
        snprintf(c->error, sizeof(c->error), "the broker takes nothing for now: %.*s", (int)blocked->reason.len,
                 (const char *)blocked->reason.bytes);
        return 0;
    case AMQP_CONNECTION_UNBLOCKED_METHOD: c->blocked = 0; return 0;
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CONNECTION_CLOSE_METHOD: return close_failed(c, "the broker", method);
    default: return 0;
    }
}

static void on_header(struct channel *c, const amqp_basic_properties_t *properties)
{
    amqp_bytes_t id = properties->message_id;
    if (properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG)
        c->returned(c->arg, (struct hg_text){id.bytes, id.len}, c->return_why);
}

/* One frame, waited for so long. 1: there was one, 0: none; -1. Of a message that comes back its body is of no use. */
static int frame_take(struct channel *c, int64_t ms)
{
    amqp_frame_t frame;
    struct timeval limit = interval(ms);
    int rc = amqp_simple_wait_frame_noblock(c->connection, &frame, &limit);
    if (rc == AMQP_STATUS_TIMEOUT)
        return 0;
    if (rc != AMQP_STATUS_OK)
        return status_failed(c, "the connection was lost", rc);
    if (frame.frame_type == AMQP_FRAME_HEADER)
        on_header(c, frame.payload.properties.decoded);
    rc = frame.frame_type == AMQP_FRAME_METHOD ? on_method(c, &frame.payload.method) : 0;
    if (c->connection)
        amqp_maybe_release_buffers(c->connection);
    return rc == 0 ? 1 : -1;
}

int channel_listen(struct channel *c)
{
    int rc;
    while ((rc = frame_take(c, 0)) > 0)
        ;
    return rc < 0 || c->blocked ? -1 : 0;
}

int channel_wait(struct channel *c, const size_t *open)
{
    int64_t deadline = peer_clock() + bounded_ms(c, c->settings.request_ms);
    while (*open > 0 && !c->blocked) {
        int64_t ms = patience(c, deadline);
        if (ms == 0)
            return failed(c, "no confirmation", "not in time");
        if (frame_take(c, ms) < 0)
            return -1;
    }
    return *open > 0 ? -1 : 0;
}

/* --- what is said to it --- */

int channel_ready(struct channel *c)
{
    unsigned limit;
    c->stop_seen = 0;
    c->close_code = 0;
    if (c->connection && channel_listen(c) != 0 && c->connection)
        return -1; /* blocked still */
    if (!c->connection && channel_connect(c) != 0)
        return -1;
    c->close_code = 0;
    limit = (unsigned)bounded_ms(c, c->settings.request_ms);
    setsockopt(amqp_get_sockfd(c->connection), IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof(limit));
    return 0;
}

int channel_publish(struct channel *c, const char *exchange, const char *routing_key,
                    const amqp_basic_properties_t *properties, struct hg_text body)
{
    union {
        const char *in;
        void *out;
    } bytes = {body.ptr}; /* not written to */
    int rc = amqp_basic_publish(c->connection, CHANNEL, amqp_cstring_bytes(exchange), amqp_cstring_bytes(routing_key),
                                1, 0, properties, (amqp_bytes_t){body.len, bytes.out});
    if (rc == AMQP_STATUS_OK) {
        c->last++;
        return 0;
    }
    /* What the broker said before it closed is worth more than that writing failed. */
    while (c->connection && frame_take(c, 0) > 0)
        ;
    return c->connection ? status_failed(c, "sending", rc) : -1;
}

int channel_has_exchange(struct channel *c, const char *exchange)
{
    amqp_exchange_declare(c->connection, CHANNEL, amqp_cstring_bytes(exchange), amqp_cstring_bytes(""), 1, 0, 0, 0,
                          amqp_empty_table);
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(c->connection);
    return reply.reply_type == AMQP_RESPONSE_NORMAL ? 0 : reply_failed(c, "the exchange", &reply);
}
