/* mqtt: rows as messages to an MQTT broker, each acknowledged by it (QoS 1 or 2).
 *
 * The rows of a push go out in windows: so many messages are given to the connection, then their acknowledgements are
 * waited for. A row is judged by its own acknowledgement, which in MQTT 5 also says why a message was not taken. When
 * the connection fails, what was acknowledged stays delivered, and the rest comes again: at least once. */
#include "headgate.h"

#include "session.h"

#include "common/opened.h"
#include "common/pushtime.h"
#include "common/rowline.h"
#include "common/stamp.h"
#include "common/template.h"
#include "common/tlsfiles.h"

#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *host, *topic, *client_id, *user, *password, *ca, *cert, *key;
    int64_t port, qos, message_max, connect_timeout, request_timeout;
    int32_t form, version, retain, tls, verify;
};

#define AT(member) offsetof(struct config, member)

enum { VERSION_5, VERSION_311 };

static const struct hg_option options[] = {
    {"HOST", HG_STRING, HG_REQUIRED, NULL, NULL, "Name or address of the broker.", NULL, AT(host)},
    {"PORT", HG_INTEGER, 0, "1883", "1..65535", "Port of the broker; with TLS usually 8883.", NULL, AT(port)},
    {"TOPIC", HG_STRING, HG_REQUIRED, NULL, NULL, "The topic; a template.", NULL, AT(topic)},
    {"QOS", HG_INTEGER, 0, "1", "1..2", "Quality of service: 1 or 2.", NULL, AT(qos)},
    {"RETAIN", HG_BOOLEAN, 0, "no", NULL, "Whether the broker keeps the last message of each topic.", NULL, AT(retain)},
    {"FORM", HG_CHOICE, 0, "row", "row|data",
     "The message: the row with its id, uuid, index and time, or its data alone, as posted.", NULL, AT(form)},
    {"VERSION", HG_CHOICE, 0, "5", "5|3.1.1", "Version of the protocol.", NULL, AT(version)},
    {"MESSAGE_MAX", HG_SIZE, 0, "0", "0..256MiB",
     "Rows whose message is larger become dead letters; 0: as large as the broker says.", NULL, AT(message_max)},
    {"CLIENT_ID", HG_STRING, 0, NULL, NULL,
     "Name of the client, unlike any other's; drawn for each connection unless set.", NULL, AT(client_id)},
    {"USER", HG_STRING, 0, NULL, NULL, "User name.", NULL, AT(user)},
    {"PASSWORD", HG_STRING, HG_SECRET, NULL, NULL, "Password.", NULL, AT(password)},
    {"TLS", HG_BOOLEAN, 0, "no", NULL, "Whether the connection is encrypted.", NULL, AT(tls)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM).", NULL, AT(key)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "Whether the broker's certificate is checked.", NULL, AT(verify)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1ms..10m", "How long connecting and logging in may take.", NULL,
     AT(connect_timeout)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1ms..1h",
     "How long acknowledgements are waited for; never longer than the pusher's TIMEOUT allows.", NULL,
     AT(request_timeout)},
};

enum { WINDOW_ROWS = 1000, WINDOW_BYTES = 4 << 20, PUSH_MIN_MS = 500, WHY_SIZE = 512, NUMBER_SIZE = 24 };
enum { NAME_MAX_BYTES = 1 << 20, MESSAGE_MOST = 300 << 20 };

/* A message that is not acknowledged yet, or was: then its id is 0. */
struct message {
    size_t row;
    int id;
};

struct mqtt {
    const struct hg_api *api;
    const struct config *config;
    struct hg_host *host;
    struct session session;
    struct template *topic;
    struct strbuf name, text; /* of the row at hand */
    /* The window. */
    struct hg_rows *rows;
    struct message messages[WINDOW_ROWS];
    size_t count, first, open; /* first: all before it are acknowledged */
    size_t bytes;
};

/* --- one row --- */

static void property_add(mosquitto_property **list, const char *name, const char *value, int *rc)
{
    if (*rc == MOSQ_ERR_SUCCESS)
        *rc = mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, name, value);
}

/* User properties, in MQTT 5. The uuid stands in them as JSON texts allow: any character but NUL. */
static int properties_make(const struct mqtt *q, const struct hg_row *row, mosquitto_property **out)
{
    char id[HG_ROW_ID_SIZE], stamp[STAMP_LEN + 1], index[NUMBER_SIZE];
    int rc = MOSQ_ERR_SUCCESS;
    struct hg_text text = q->api->uuid(row);
    char *uuid = strndup(text.ptr, text.len);
    q->api->row_id(row, id);
    stamp_text(q->api->received(row), stamp);
    snprintf(index, sizeof(index), "%lld", (long long)q->api->index(row));
    if (!uuid)
        return MOSQ_ERR_NOMEM;
    property_add(out, "id", id, &rc);
    property_add(out, "uuid", uuid, &rc);
    if (index[0] != '-')
        property_add(out, "index", index, &rc);
    property_add(out, "received", stamp, &rc);
    free(uuid);
    return rc;
}

/* What publishing a row came to before anything was sent: 0, 1 (never; it is judged), or -1. */
static int publish_result(struct mqtt *q, size_t n, size_t size, int rc)
{
    char why[WHY_SIZE];
    switch (rc) {
    case MOSQ_ERR_SUCCESS: return 0;
    case MOSQ_ERR_OVERSIZE_PACKET:
        snprintf(why, sizeof(why), "the message of %zu bytes is larger than the broker takes", size);
        break;
    case MOSQ_ERR_PAYLOAD_SIZE:
        snprintf(why, sizeof(why), "the message of %zu bytes is larger than MQTT allows", size);
        break;
    case MOSQ_ERR_INVAL:
    case MOSQ_ERR_MALFORMED_UTF8: snprintf(why, sizeof(why), "the topic is longer than MQTT allows"); break;
    default: return session_failed(&q->session, "sending", rc);
    }
    q->api->judge(q->rows, n, HG_REJECT, 0, why);
    return 1;
}

/* 0, or -1 with a sentence in the session. */
static int row_send(struct mqtt *q, size_t n)
{
    const struct hg_row *row = q->api->row(q->rows, n);
    mosquitto_property *properties = NULL;
    struct hg_text payload = rowline_payload(&q->text, q->api, row, q->config->form);
    struct message *m = &q->messages[q->count];
    char why[WHY_SIZE];
    strbuf_clear(&q->name);
    template_expand(q->topic, q->api, row, &q->name);
    if (q->config->message_max > 0 && payload.len > (size_t)q->config->message_max) {
        snprintf(why, sizeof(why), "the message of %zu bytes is larger than MESSAGE_MAX", payload.len);
        q->api->judge(q->rows, n, HG_REJECT, 0, why);
        return 0;
    }
    int rc = q->name.failed || !payload.ptr ? MOSQ_ERR_NOMEM : MOSQ_ERR_SUCCESS;
    if (rc == MOSQ_ERR_SUCCESS && q->config->version == VERSION_5)
        rc = properties_make(q, row, &properties);
    *m = (struct message){.row = n};
    if (rc == MOSQ_ERR_SUCCESS && payload.len > MQTT_MAX_PAYLOAD)
        rc = MOSQ_ERR_PAYLOAD_SIZE;
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mosquitto_publish_v5(q->session.mosquitto, &m->id, strbuf_str(&q->name), (int)payload.len, payload.ptr,
                                  (int)q->config->qos, q->config->retain, properties);
    mosquitto_property_free_all(&properties);
    int result = publish_result(q, n, payload.len, rc);
    if (result == 0) {
        q->count++;
        q->open++;
        q->bytes += payload.len;
    }
    return result < 0 ? -1 : 0;
}

/* --- acknowledgements --- */

/* About the message alone, whoever sends it and whenever. */
static int never(int reason)
{
    return reason == MQTT_RC_PACKET_TOO_LARGE || reason == MQTT_RC_PAYLOAD_FORMAT_INVALID ||
           reason == MQTT_RC_TOPIC_NAME_INVALID;
}

/* They come in the order of the messages, or nearly so. */
static void row_acked(void *arg, int id, int reason)
{
    struct mqtt *q = arg;
    size_t i = q->first;
    while (i < q->count && q->messages[i].id != id)
        i++;
    if (id == 0 || i == q->count)
        return;
    q->api->judge(q->rows, q->messages[i].row,
                  reason == 0     ? HG_OK
                  : never(reason) ? HG_REJECT
                                  : HG_RETRY,
                  0, reason == 0 ? NULL : mosquitto_reason_string(reason));
    q->messages[i].id = 0;
    q->open--;
    while (q->first < q->count && q->messages[q->first].id == 0)
        q->first++;
}

/* Rows from `*at` on, as many as go at a time; moves behind them. */
static int window_send(struct mqtt *q, size_t *at, size_t count)
{
    q->count = q->first = q->open = q->bytes = 0;
    for (; *at < count && q->count < WINDOW_ROWS && q->bytes < WINDOW_BYTES; ++*at)
        if (row_send(q, *at) != 0)
            return -1;
    return session_wait(&q->session, &q->open);
}

static int mqtt_push(void *state, struct hg_rows *rows)
{
    struct mqtt *q = state;
    size_t count = q->api->row_count(rows);
    q->rows = rows;
    if (session_ready(&q->session) != 0)
        return q->api->not_now(rows, 0, q->session.error);
    for (size_t at = 0; at < count;) {
        if (pushtime_over(q->api, q->host, rows, PUSH_MIN_MS))
            return HG_NOT_NOW;
        if (window_send(q, &at, count) != 0)
            return q->api->not_now(rows, 0, q->session.error);
    }
    return HG_JUDGED;
}

/* --- open and close --- */

static int mqtt_start(struct hg_host *host, const struct hg_api *api, const void *config)
{
    (void)config;
    if (mosquitto_lib_init() == MOSQ_ERR_SUCCESS)
        return HG_OPEN_OK;
    api->fail(host, "libmosquitto cannot begin");
    return HG_OPEN_NOT_NOW;
}

static void mqtt_stop(void)
{
    mosquitto_lib_cleanup();
}

static void mqtt_close(void *state)
{
    struct mqtt *q = state;
    if (q->session.mosquitto)
        mosquitto_disconnect(q->session.mosquitto);
    session_drop(&q->session);
    template_free(&q->topic);
    strbuf_fini(&q->name);
    strbuf_fini(&q->text);
    free(q);
}

static const char *config_fault(const struct config *c)
{
    if (c->password && !c->user)
        return "a PASSWORD needs a USER";
    if (mosquitto_pub_topic_check(c->topic) != MOSQ_ERR_SUCCESS)
        return "TOPIC is no topic to publish to: '+' and '#' are for subscribers";
    return tlsfiles_fault(c->tls, c->ca, c->cert, c->key);
}

static struct session_settings settings_of(const struct config *c)
{
    return (struct session_settings){.host = c->host,
                                     .client_id = c->client_id,
                                     .user = c->user,
                                     .password = c->password,
                                     .port = c->port,
                                     .version5 = c->version == VERSION_5,
                                     .tls = c->tls,
                                     .verify = c->verify,
                                     .ca = c->ca,
                                     .cert = c->cert,
                                     .key = c->key,
                                     .connect_ms = c->connect_timeout,
                                     .request_ms = c->request_timeout};
}

/* enum hg_open_result, with a sentence. */
static int mqtt_fill(struct mqtt *q, const struct config *c, char *why)
{
    char text[WHY_SIZE / 2];
    struct session_settings settings = settings_of(c);
    const char *fault = config_fault(c);
    session_init(&q->session, &settings, q->host, q->api);
    q->session.acked = row_acked;
    q->session.arg = q;
    strbuf_init(&q->name, NAME_MAX_BYTES);
    strbuf_init(&q->text, MESSAGE_MOST);
    q->topic = template_new(c->topic, text, sizeof(text));
    if (fault)
        snprintf(why, WHY_SIZE, "%s", fault);
    else if (!q->topic)
        snprintf(why, WHY_SIZE, "TOPIC %s", text);
    else if (session_check(&q->session) != 0)
        snprintf(why, WHY_SIZE, "%s", q->session.error);
    else {
        int rc = session_ready(&q->session);
        snprintf(why, WHY_SIZE, "%s", q->session.error);
        return rc == 0 ? HG_OPEN_OK : HG_OPEN_NOT_NOW;
    }
    return HG_OPEN_BROKEN;
}

static int mqtt_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    const struct config *c = config;
    char why[WHY_SIZE] = "no memory";
    struct mqtt *q = calloc(1, sizeof(*q));
    int result = HG_OPEN_NOT_NOW;
    if (q) {
        q->api = api;
        q->host = host;
        q->config = c;
        result = mqtt_fill(q, c, why);
    }
    if (opened(host, api, result, why, c->tls && !c->verify) == HG_OPEN_OK)
        *state = q;
    else if (q)
        mqtt_close(q);
    return result;
}

/* Asked anew: a connection that nobody reads from may be one that the broker has just ended. Whether it may publish is
 * told by the broker with the first message only. */
static int mqtt_probe(void *state)
{
    struct mqtt *q = state;
    session_drop(&q->session);
    if (session_ready(&q->session) == 0)
        return HG_OPEN_OK;
    q->api->fail(q->host, q->session.error);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .max_parallel = 1,
    .start = mqtt_start,
    .stop = mqtt_stop,
    .open = mqtt_open,
    .close = mqtt_close,
    .push = mqtt_push,
    .probe = mqtt_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "mqtt",
    .version = "1.0",
    .summary = "Publishes rows as messages to an MQTT broker.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .option_size = sizeof(struct hg_option),
    .config_size = sizeof(struct config),
    .pusher = &pusher,
};

HG_EXPORT const struct hg_plugin *hg_plugin(void)
{
    return &plugin;
}
