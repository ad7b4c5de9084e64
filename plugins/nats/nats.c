/* nats: rows as messages into a stream of NATS JetStream.
 *
 * The rows of a push go out in windows: so many messages are sent, then their acknowledgements are waited for. Each
 * message carries its row's id as Nats-Msg-Id, which the stream remembers for its duplicate window: a row that comes
 * again within it is told apart and not stored twice. Each row is judged by its own answer. */
#include "headgate.h"

#include "stream.h"

#include "common/opened.h"
#include "common/pushtime.h"
#include "common/reason.h"
#include "common/rowline.h"
#include "common/template.h"
#include "common/tlsfiles.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *host, *subject, *stream, *user, *password, *token, *credentials, *ca, *cert, *key;
    int64_t port, connect_timeout, request_timeout;
    int32_t form, tls, verify;
};

#define AT(member) offsetof(struct config, member)

static const struct hg_option options[] = {
    {"HOST", HG_STRING, HG_REQUIRED, NULL, NULL, "Name or address of a server.", NULL, AT(host)},
    {"PORT", HG_INTEGER, 0, "4222", "1..65535", "Port of the server.", NULL, AT(port)},
    {"SUBJECT", HG_STRING, HG_REQUIRED, NULL, NULL, "The subject, which a stream has to take; a template.", NULL,
     AT(subject)},
    {"STREAM", HG_STRING, 0, NULL, NULL, "The stream that has to be the one that takes it; any unless set.", NULL,
     AT(stream)},
    {"FORM", HG_CHOICE, 0, "row", "row|data",
     "The message: the row with its id, uuid, index and time, or its data alone, as posted.", NULL, AT(form)},
    {"USER", HG_STRING, 0, NULL, NULL, "User name.", NULL, AT(user)},
    {"PASSWORD", HG_STRING, HG_SECRET, NULL, NULL, "Password.", NULL, AT(password)},
    {"TOKEN", HG_STRING, HG_SECRET, NULL, NULL, "Token, instead of a user name.", NULL, AT(token)},
    {"CREDENTIALS", HG_PATH, HG_READ, NULL, NULL, "File with a JWT and an NKey seed, instead of a user name.", NULL,
     AT(credentials)},
    {"TLS", HG_BOOLEAN, 0, "no", NULL, "Whether the connection is encrypted.", NULL, AT(tls)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM).", NULL, AT(key)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "Whether the server's certificate is checked.", NULL, AT(verify)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1ms..10m", "How long connecting and logging in may take.", NULL,
     AT(connect_timeout)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1ms..1h",
     "How long acknowledgements are waited for; never longer than the pusher's TIMEOUT allows.", NULL,
     AT(request_timeout)},
};

enum { WINDOW_ROWS = 1000, WINDOW_BYTES = 4 << 20, PUSH_MIN_MS = 500, WHY_SIZE = 512 };
enum { SUBJECT_MOST = 3000, NAME_MAX_BYTES = 1 << 20, MESSAGE_MOST = 300 << 20 };
enum { MESSAGE_TOO_LARGE = 10054 /* err_code of JetStream: larger than the stream's max_msg_size */ };

struct nats {
    const struct hg_api *api;
    const struct config *config;
    struct hg_host *host;
    struct stream stream;
    struct template *subject;
    struct strbuf name, text; /* of the row at hand */
    struct hg_rows *rows;
    char *open_rows; /* of each row: sent, and not answered */
    size_t room, open, bytes;
};

/* --- one row --- */

static int reject(struct nats *q, size_t n, const char *what, size_t size, const char *than)
{
    char why[WHY_SIZE];
    snprintf(why, sizeof(why), "the %s of %zu bytes is larger than %s", what, size, than);
    q->api->judge(q->rows, n, HG_REJECT, 0, why);
    return 0;
}

/* 0, or -1 with a sentence in the stream. */
static int row_send(struct nats *q, size_t n)
{
    const struct hg_row *row = q->api->row(q->rows, n);
    struct hg_text payload = rowline_payload(&q->text, q->api, row, q->config->form);
    char id[HG_ROW_ID_SIZE];
    strbuf_clear(&q->name);
    template_expand(q->subject, q->api, row, &q->name);
    if (q->name.failed || !payload.ptr)
        return stream_failed(&q->stream, "sending", NATS_NO_MEMORY);
    if (q->name.len > SUBJECT_MOST)
        return reject(q, n, "subject", q->name.len, "3000, about what servers take");
    q->api->row_id(row, id);
    natsStatus rc = stream_send(&q->stream, strbuf_str(&q->name), payload, id, n);
    if (rc == NATS_MAX_PAYLOAD)
        return reject(q, n, "message", payload.len, "the server's max_payload");
    if (rc != NATS_OK)
        return stream_failed(&q->stream, "sending", rc);
    q->open_rows[n] = 1;
    q->open++;
    q->bytes += payload.len;
    return 0;
}

/* --- answers --- */

/* What the stream said of it. */
static void answer_read(struct nats *q, size_t n, const json_t *answer)
{
    const json_t *error = json_object_get(answer, "error");
    char why[WHY_SIZE];
    if (error) {
        int never = json_integer_value(json_object_get(error, "err_code")) == MESSAGE_TOO_LARGE;
        reason_line(why, sizeof(why), json_string_value(json_object_get(error, "description")));
        q->api->judge(q->rows, n, never ? HG_REJECT : HG_RETRY, 0, why);
    } else if (json_is_string(json_object_get(answer, "stream")) && json_is_integer(json_object_get(answer, "seq"))) {
        q->api->judge(q->rows, n, json_is_true(json_object_get(answer, "duplicate")) ? HG_DUPLICATE : HG_OK, 0, NULL);
    } else {
        q->api->judge(q->rows, n, HG_RETRY, 0, "the answer is not one of JetStream");
    }
}

static void answer_judge(struct nats *q, size_t n, natsMsg *message)
{
    if (n >= q->api->row_count(q->rows) || !q->open_rows[n])
        return;
    q->open_rows[n] = 0;
    q->open--;
    json_t *answer = json_loadb(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), 0, NULL);
    answer_read(q, n, answer);
    json_decref(answer);
}

/* Until every message has its answer. Those that nobody took are the ones left over at the end. */
static int answers_take(struct nats *q, size_t from, size_t to)
{
    while (q->open > 0) {
        natsMsg *message;
        size_t n;
        if (stream_answer(&q->stream, &message, &n) != 0)
            return -1;
        if (message)
            answer_judge(q, n, message);
        else
            q->open--;
        natsMsg_Destroy(message);
    }
    for (size_t n = from; n < to; n++)
        if (q->open_rows[n])
            q->api->judge(q->rows, n, HG_RETRY, 0, "no stream takes this subject, or JetStream is not there");
    return 0;
}

/* Rows from `*at` on, as many as go at a time; moves behind them. */
static int window_send(struct nats *q, size_t *at, size_t count)
{
    size_t first = *at;
    q->open = q->bytes = 0;
    stream_begin(&q->stream);
    for (; *at < count && *at - first < WINDOW_ROWS && q->bytes < WINDOW_BYTES; ++*at)
        if (row_send(q, *at) != 0)
            return -1;
    return answers_take(q, first, *at);
}

static int room_make(struct nats *q, size_t count)
{
    if (count > q->room) {
        char *more = realloc(q->open_rows, count);
        if (!more)
            return -1;
        q->open_rows = more;
        q->room = count;
    }
    memset(q->open_rows, 0, count);
    return 0;
}

static int nats_push(void *state, struct hg_rows *rows)
{
    struct nats *q = state;
    size_t count = q->api->row_count(rows);
    q->rows = rows;
    if (room_make(q, count) != 0)
        return q->api->not_now(rows, 0, "no memory");
    if (stream_ready(&q->stream) != 0)
        return q->api->not_now(rows, 0, q->stream.error);
    for (size_t at = 0; at < count;) {
        if (pushtime_over(q->api, q->host, rows, PUSH_MIN_MS))
            return HG_NOT_NOW;
        if (window_send(q, &at, count) != 0)
            return q->api->not_now(rows, 0, q->stream.error);
    }
    return HG_JUDGED;
}

/* --- open and close --- */

static void nats_stop(void)
{
    nats_CloseAndWait(0);
}

static void nats_close(void *state)
{
    struct nats *q = state;
    stream_drop(&q->stream);
    template_free(&q->subject);
    strbuf_fini(&q->name);
    strbuf_fini(&q->text);
    free(q->open_rows);
    free(q);
}

static const char *config_fault(const struct config *c)
{
    size_t len = strlen(c->subject);
    if (c->password && !c->user)
        return "a PASSWORD needs a USER";
    if ((c->user != NULL) + (c->token != NULL) + (c->credentials != NULL) > 1)
        return "USER, TOKEN and CREDENTIALS exclude each other";
    if (strpbrk(c->subject, "*> ") || c->subject[0] == '.' || strstr(c->subject, "..") || c->subject[len - 1] == '.')
        return "SUBJECT is no subject to publish to: no wildcard, no space, no empty part";
    return tlsfiles_fault(c->tls, c->ca, c->cert, c->key);
}

static struct stream_settings settings_of(const struct config *c)
{
    return (struct stream_settings){.host = c->host,
                                    .user = c->user,
                                    .password = c->password,
                                    .token = c->token,
                                    .credentials = c->credentials,
                                    .expected = c->stream,
                                    .port = c->port,
                                    .tls = c->tls,
                                    .verify = c->verify,
                                    .ca = c->ca,
                                    .cert = c->cert,
                                    .key = c->key,
                                    .connect_ms = c->connect_timeout,
                                    .request_ms = c->request_timeout};
}

/* enum hg_open_result, with a sentence. */
static int nats_fill(struct nats *q, const struct config *c, char *why)
{
    char text[WHY_SIZE / 2];
    struct stream_settings settings = settings_of(c);
    stream_init(&q->stream, &settings, q->host, q->api);
    strbuf_init(&q->name, NAME_MAX_BYTES);
    strbuf_init(&q->text, MESSAGE_MOST);
    q->subject = template_new(c->subject, text, sizeof(text));
    const char *fault = q->subject ? config_fault(c) : NULL;
    if (!q->subject)
        snprintf(why, WHY_SIZE, "SUBJECT %s", text);
    else if (fault)
        snprintf(why, WHY_SIZE, "%s", fault);
    else {
        int rc = stream_ready(&q->stream);
        snprintf(why, WHY_SIZE, "%s", q->stream.error);
        return rc == 0 ? HG_OPEN_OK : q->stream.broken ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
    }
    return HG_OPEN_BROKEN;
}

static int nats_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    const struct config *c = config;
    char why[WHY_SIZE] = "no memory";
    struct nats *q = calloc(1, sizeof(*q));
    int result = HG_OPEN_NOT_NOW;
    if (q) {
        q->api = api;
        q->host = host;
        q->config = c;
        result = nats_fill(q, c, why);
    }
    if (opened(host, api, result, why, c->tls && !c->verify) == HG_OPEN_OK)
        *state = q;
    else if (q)
        nats_close(q);
    return result;
}

/* Asked anew: a connection that nobody reads from may be one that the server ended meanwhile. Whether a stream takes
 * the subject is told with the first message only. */
static int nats_probe(void *state)
{
    struct nats *q = state;
    stream_drop(&q->stream);
    if (stream_ready(&q->stream) == 0 &&
        natsConnection_FlushTimeout(q->stream.connection, q->config->connect_timeout) == NATS_OK)
        return HG_OPEN_OK;
    if (q->stream.connection)
        stream_failed(&q->stream, q->config->host, NATS_TIMEOUT);
    q->api->fail(q->host, q->stream.error);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .max_parallel = 0,
    .stop = nats_stop,
    .open = nats_open,
    .close = nats_close,
    .push = nats_push,
    .probe = nats_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "nats",
    .version = "1.0",
    .summary = "Publishes rows as messages into a stream of NATS JetStream.",
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
