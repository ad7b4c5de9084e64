/* amqp: rows as messages to a broker of AMQP 0-9-1 (RabbitMQ), each confirmed by it.
 *
 * The rows of a push go out in windows: so many messages are sent, then their confirmations are waited for. Messages
 * are persistent and mandatory: a broker that has no queue for one says so, and its row waits. When the connection
 * fails, what was confirmed stays delivered and the rest comes again: at least once. */
#include "headgate.h"

#include "channel.h"

#include "common/opened.h"
#include "common/pushtime.h"
#include "common/rowline.h"
#include "common/template.h"
#include "common/tlsfiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *host, *vhost, *exchange, *routing_key, *user, *password, *ca, *cert, *key;
    int64_t port, connect_timeout, request_timeout;
    int32_t form, tls, verify;
};

#define AT(member) offsetof(struct config, member)

static const struct hg_option options[] = {
    {"HOST", HG_STRING, HG_REQUIRED, NULL, NULL, "Name or address of the broker.", NULL, AT(host)},
    {"PORT", HG_INTEGER, 0, "5672", "1..65535", "Port of the broker; with TLS usually 5671.", NULL, AT(port)},
    {"VHOST", HG_STRING, 0, "/", NULL, "Virtual host of the broker.", NULL, AT(vhost)},
    {"EXCHANGE", HG_STRING, 0, NULL, NULL,
     "The exchange, which has to be there; a template. Unless set the default one, where the routing key is a queue's "
     "name.",
     NULL, AT(exchange)},
    {"ROUTING_KEY", HG_STRING, HG_REQUIRED, NULL, NULL, "The routing key; a template.", NULL, AT(routing_key)},
    {"FORM", HG_CHOICE, 0, "row", "row|data",
     "The message: the row with its id, uuid, index and time, or its data alone, as posted.", NULL, AT(form)},
    {"USER", HG_STRING, 0, "guest", NULL, "User name.", NULL, AT(user)},
    {"PASSWORD", HG_STRING, HG_SECRET, "guest", NULL, "Password.", NULL, AT(password)},
    {"TLS", HG_BOOLEAN, 0, "no", NULL, "Whether the connection is encrypted.", NULL, AT(tls)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM).", NULL, AT(key)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "Whether the broker's certificate is checked.", NULL, AT(verify)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1ms..10m", "How long connecting and logging in may take.", NULL,
     AT(connect_timeout)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1ms..1h",
     "How long confirmations are waited for; never longer than the pusher's TIMEOUT allows.", NULL,
     AT(request_timeout)},
};

enum { WINDOW_ROWS = 1000, WINDOW_BYTES = 4 << 20, LISTEN_EVERY = 64, PUSH_MIN_MS = 500, WHY_SIZE = 600 };
enum { NAME_MAX_BYTES = 1 << 20, SHORT_MAX = 255, MESSAGE_MOST = 300 << 20, PERSISTENT = 2 };

struct message {
    size_t row;
    int done;         /* judged */
    char *return_why; /* the broker gave it back: its words, on the heap; else NULL */
};

struct amqp {
    const struct hg_api *api;
    const struct config *config;
    struct hg_host *host;
    struct channel channel;
    struct template *exchange, *routing_key;     /* exchange: NULL is the default one */
    struct strbuf exchange_name, key_name, text; /* of the row at hand */
    /* The window. */
    struct hg_rows *rows;
    struct message messages[WINDOW_ROWS];
    uint64_t before;          /* number of the last message before the window */
    size_t count, open, look; /* look: where the next message that comes back is expected */
    size_t bytes;
};

/* --- one row --- */

static amqp_bytes_t bytes_of(struct hg_text text)
{
    union {
        const char *in;
        void *out;
    } bytes = {text.ptr}; /* not written to */
    return (amqp_bytes_t){text.len, bytes.out};
}

static int reject(struct amqp *q, size_t n, const char *what, size_t size)
{
    char why[WHY_SIZE];
    snprintf(why, sizeof(why), "the %s of %zu bytes is longer than AMQP allows (%d)", what, size, SHORT_MAX);
    q->api->judge(q->rows, n, HG_REJECT, 0, why);
    return 0;
}

/* `id` and `headers`, of two places, are the caller's. */
static amqp_basic_properties_t properties_of(const struct amqp *q, const struct hg_row *row, char id[HG_ROW_ID_SIZE],
                                             amqp_table_entry_t headers[2])
{
    int64_t index = q->api->index(row);
    q->api->row_id(row, id);
    headers[0] =
        (amqp_table_entry_t){.key = amqp_cstring_bytes("uuid"),
                             .value = {.kind = AMQP_FIELD_KIND_UTF8, .value = {.bytes = bytes_of(q->api->uuid(row))}}};
    headers[1] = (amqp_table_entry_t){.key = amqp_cstring_bytes("index"),
                                      .value = {.kind = AMQP_FIELD_KIND_I64, .value = {.i64 = index}}};
    return (amqp_basic_properties_t){._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                                               AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG |
                                               AMQP_BASIC_HEADERS_FLAG,
                                     .content_type = amqp_cstring_bytes("application/json"),
                                     .delivery_mode = PERSISTENT,
                                     .message_id = amqp_cstring_bytes(id),
                                     .timestamp = (uint64_t)(q->api->received(row) / 1000000),
                                     .headers = {.num_entries = index >= 0 ? 2 : 1, .entries = headers}};
}

/* 0, or -1 with a sentence in the channel. */
static int row_send(struct amqp *q, size_t n)
{
    const struct hg_row *row = q->api->row(q->rows, n);
    struct hg_text payload = rowline_payload(&q->text, q->api, row, q->config->form);
    amqp_table_entry_t headers[2];
    char id[HG_ROW_ID_SIZE];
    strbuf_clear(&q->exchange_name);
    strbuf_clear(&q->key_name);
    if (q->exchange)
        template_expand(q->exchange, q->api, row, &q->exchange_name);
    template_expand(q->routing_key, q->api, row, &q->key_name);
    if (q->exchange_name.failed || q->key_name.failed || !payload.ptr) {
        snprintf(q->channel.error, sizeof(q->channel.error), "no memory");
        return -1;
    }
    if (q->exchange_name.len > SHORT_MAX)
        return reject(q, n, "exchange's name", q->exchange_name.len);
    if (q->key_name.len > SHORT_MAX)
        return reject(q, n, "routing key", q->key_name.len);
    amqp_basic_properties_t properties = properties_of(q, row, id, headers);
    if (channel_publish(&q->channel, strbuf_str(&q->exchange_name), strbuf_str(&q->key_name), &properties, payload) !=
        0)
        return -1;
    q->messages[q->count++] = (struct message){n, 0, NULL};
    q->open++;
    q->bytes += payload.len;
    return 0;
}

/* --- what the broker says --- */

static void message_judge(struct amqp *q, struct message *m, int taken)
{
    if (m->done)
        return;
    m->done = 1;
    q->open--;
    if (m->return_why)
        q->api->judge(q->rows, m->row, HG_RETRY, 0, m->return_why);
    else
        q->api->judge(q->rows, m->row, taken ? HG_OK : HG_RETRY, 0, taken ? NULL : "the broker refused it (nack)");
}

/* Of messages of an earlier push nothing is left to be judged. */
static void row_confirmed(void *arg, uint64_t number, int multiple, int taken)
{
    struct amqp *q = arg;
    if (number <= q->before || number > q->before + q->count)
        return;
    size_t last = (size_t)(number - q->before - 1);
    for (size_t i = multiple ? 0 : last; i <= last; i++)
        message_judge(q, &q->messages[i], taken);
}

/* They come back in the order of the messages. */
static void row_returned(void *arg, struct hg_text id, const char *why)
{
    struct amqp *q = arg;
    for (size_t tried = 0; tried < q->count; tried++, q->look++) {
        struct message *m = &q->messages[q->look % q->count];
        char other[HG_ROW_ID_SIZE];
        q->api->row_id(q->api->row(q->rows, m->row), other);
        if (strlen(other) != id.len || memcmp(other, id.ptr, id.len) != 0)
            continue;
        if (!m->return_why)
            m->return_why = strdup(why);
        return;
    }
}

static void window_clear(struct amqp *q)
{
    for (size_t i = 0; i < q->count; i++) {
        free(q->messages[i].return_why);
        q->messages[i].return_why = NULL;
    }
    q->count = q->open = q->look = q->bytes = 0;
    q->before = q->channel.last;
}

/* Rows from `*at` on, at most `most` of them; moves behind them. */
static int window_send(struct amqp *q, size_t *at, size_t count, size_t most)
{
    size_t first = *at;
    window_clear(q);
    for (; *at < count && *at - first < most && q->bytes < WINDOW_BYTES; ++*at) {
        if (row_send(q, *at) != 0)
            return -1;
        if (q->count % LISTEN_EVERY == 1 && channel_listen(&q->channel) != 0)
            return -1;
    }
    return channel_wait(&q->channel, &q->open);
}

/* The channel was closed because of a message's size. One that stood alone is the one; of several each is sent alone
 * until it is found. 0: go on from `*at`; -1. */
static int too_large(struct amqp *q, size_t *at, size_t *most)
{
    size_t i = 0;
    char why[CHANNEL_ERROR_SIZE];
    snprintf(why, sizeof(why), "%s", q->channel.error);
    while (i < q->count && q->messages[i].done)
        i++;
    if (i == q->count)
        return -1;
    *at = q->messages[i].row;
    if (*most == 1) {
        q->api->judge(q->rows, (*at)++, HG_REJECT, 0, why);
        q->messages[i].done = 1;
        *most = WINDOW_ROWS;
    } else
        *most = 1;
    return channel_ready(&q->channel);
}

static int rows_send(struct amqp *q, size_t count)
{
    size_t most = WINDOW_ROWS;
    for (size_t at = 0; at < count;) {
        if (pushtime_over(q->api, q->host, q->rows, PUSH_MIN_MS))
            return HG_NOT_NOW;
        if (window_send(q, &at, count, most) == 0)
            continue;
        if (q->channel.close_code != CHANNEL_TOO_LARGE || too_large(q, &at, &most) != 0)
            return q->api->not_now(q->rows, 0, q->channel.error);
    }
    return HG_JUDGED;
}

static int amqp_push(void *state, struct hg_rows *rows)
{
    struct amqp *q = state;
    q->rows = rows;
    window_clear(q);
    if (channel_ready(&q->channel) != 0)
        return q->api->not_now(rows, 0, q->channel.error);
    int result = rows_send(q, q->api->row_count(rows));
    window_clear(q); /* the rows are gone */
    return result;
}

/* --- open and close --- */

static void amqp_close(void *state)
{
    struct amqp *q = state;
    window_clear(q);
    channel_drop(&q->channel);
    template_free(&q->exchange);
    template_free(&q->routing_key);
    strbuf_fini(&q->exchange_name);
    strbuf_fini(&q->key_name);
    strbuf_fini(&q->text);
    free(q);
}

static struct channel_settings settings_of(const struct config *c)
{
    return (struct channel_settings){.host = c->host,
                                     .vhost = c->vhost,
                                     .user = c->user,
                                     .password = c->password,
                                     .port = c->port,
                                     .tls = c->tls,
                                     .verify = c->verify,
                                     .ca = c->ca,
                                     .cert = c->cert,
                                     .key = c->key,
                                     .connect_ms = c->connect_timeout,
                                     .request_ms = c->request_timeout};
}

/* Both templates. 0, or -1 with a sentence. */
static int templates_make(struct amqp *q, const struct config *c, char *why)
{
    char text[WHY_SIZE / 2];
    q->routing_key = template_new(c->routing_key, text, sizeof(text));
    if (!q->routing_key)
        snprintf(why, WHY_SIZE, "ROUTING_KEY %s", text);
    else if (c->exchange && *c->exchange && !(q->exchange = template_new(c->exchange, text, sizeof(text))))
        snprintf(why, WHY_SIZE, "EXCHANGE %s", text);
    else
        return 0;
    return -1;
}

/* enum hg_open_result, with a sentence. */
static int amqp_fill(struct amqp *q, const struct config *c, char *why)
{
    const char *fault = tlsfiles_fault(c->tls, c->ca, c->cert, c->key);
    struct channel_settings settings = settings_of(c);
    channel_init(&q->channel, &settings, q->host, q->api);
    q->channel.confirmed = row_confirmed;
    q->channel.returned = row_returned;
    q->channel.arg = q;
    strbuf_init(&q->exchange_name, NAME_MAX_BYTES);
    strbuf_init(&q->key_name, NAME_MAX_BYTES);
    strbuf_init(&q->text, MESSAGE_MOST);
    if (fault)
        snprintf(why, WHY_SIZE, "%s", fault);
    if (fault || templates_make(q, c, why) != 0)
        return HG_OPEN_BROKEN;
    int rc = channel_ready(&q->channel);
    snprintf(why, WHY_SIZE, "%s", q->channel.error);
    return rc == 0 ? HG_OPEN_OK : HG_OPEN_NOT_NOW;
}

static int amqp_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    const struct config *c = config;
    char why[WHY_SIZE] = "no memory";
    struct amqp *q = calloc(1, sizeof(*q));
    int result = HG_OPEN_NOT_NOW;
    if (q) {
        q->api = api;
        q->host = host;
        q->config = c;
        result = amqp_fill(q, c, why);
    }
    if (opened(host, api, result, why, c->tls && !c->verify) == HG_OPEN_OK)
        *state = q;
    else if (q)
        amqp_close(q);
    return result;
}

/* Connected anew: one that nobody reads from may be one that the broker has just ended. But one that is blocked stays,
 * for that is told only on a connection on which something was sent. */
static int probe_ready(struct channel *c)
{
    if (c->connection && channel_listen(c) != 0 && c->connection)
        return -1; /* blocked still */
    channel_drop(c);
    return channel_ready(c);
}

/* A template of an exchange names one only with a row; and whether the user may write, or a queue is bound, is told
 * with the first message. */
static int amqp_probe(void *state)
{
    struct amqp *q = state;
    const char *exchange = q->config->exchange;
    if (probe_ready(&q->channel) == 0 &&
        (!exchange || !*exchange || strpbrk(exchange, "%{") || channel_has_exchange(&q->channel, exchange) == 0))
        return HG_OPEN_OK;
    q->api->fail(q->host, q->channel.error);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .max_parallel = 0,
    .open = amqp_open,
    .close = amqp_close,
    .push = amqp_push,
    .probe = amqp_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "amqp",
    .version = "1.0",
    .summary = "Publishes rows as messages to an AMQP 0-9-1 broker, such as RabbitMQ.",
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
