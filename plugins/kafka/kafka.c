/* kafka: rows as records of a topic, in transactions.
 *
 * A push is one transaction that commits its rows and, in the same breath, a marker of which rows they are (marker.h).
 * The same rows come as the same batch after a crash (HG_STABLE_BATCH), so the marker tells whether they were
 * committed. Where there is no marker, as with the first push or when the brokers have forgotten it, the topic tells
 * (lookback.h). While an outcome is not known no row of the push is judged.
 *
 * A row that the broker refuses for its size is found by halving; each part that passes is a transaction of its own,
 * whose marker speaks of all rows from the beginning of the batch, those that were refused too. */
#include "headgate.h"

#include "lookback.h"
#include "producer.h"

#include "common/pushtime.h"
#include "common/ranges.h"
#include "common/tlsfiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct config {
    const char *brokers, *topic, *transactional_id, *user, *password, *ca, *cert, *key;
    struct hg_map properties;
    int32_t sasl, tls, verify, compress;
    int64_t connect_timeout, request_timeout;
};

#define AT(member) offsetof(struct config, member)

static const struct hg_option options[] = {
    {"BROKERS", HG_STRING, HG_REQUIRED, NULL, NULL, "Brokers to begin with, as host:port with commas between.", NULL,
     AT(brokers)},
    {"TOPIC", HG_STRING, HG_REQUIRED, NULL, NULL, "The topic; it has to be there.", NULL, AT(topic)},
    {"TRANSACTIONAL_ID", HG_STRING, 0, NULL, NULL,
     "Name of the producer in the cluster, unlike any other's; drawn once and kept unless set.", NULL,
     AT(transactional_id)},
    {"COMPRESS", HG_CHOICE, 0, "none", "none|gzip|snappy|lz4|zstd", "Packs the records.", NULL, AT(compress)},
    {"SASL", HG_CHOICE, 0, "none", "none|PLAIN|SCRAM-SHA-256|SCRAM-SHA-512", "How USER and PASSWORD are shown.", NULL,
     AT(sasl)},
    {"USER", HG_STRING, 0, NULL, NULL, "User name.", NULL, AT(user)},
    {"PASSWORD", HG_STRING, HG_SECRET, NULL, NULL, "Password.", NULL, AT(password)},
    {"TLS", HG_BOOLEAN, 0, "no", NULL, "Whether connections are encrypted.", NULL, AT(tls)},
    {"CA", HG_PATH, HG_READ, NULL, NULL, "Certificates (PEM) to trust instead of the system's.", NULL, AT(ca)},
    {"CERT", HG_PATH, HG_READ, NULL, NULL, "Client certificate (PEM).", NULL, AT(cert)},
    {"KEY", HG_PATH, HG_READ, NULL, NULL, "Private key of the client certificate (PEM).", NULL, AT(key)},
    {"VERIFY", HG_BOOLEAN, 0, "yes", NULL, "Whether the brokers' certificates are checked.", NULL, AT(verify)},
    {"PROPERTIES", HG_MAP, HG_SECRET, NULL, NULL, "More settings of librdkafka, as name=value with commas between.",
     NULL, AT(properties)},
    {"CONNECT_TIMEOUT", HG_DURATION, 0, "5s", "1s..5m", "How long connecting to one broker may take.", NULL,
     AT(connect_timeout)},
    {"REQUEST_TIMEOUT", HG_DURATION, 0, "20s", "1s..1h",
     "How long each step of a transaction may take; never longer than the pusher's TIMEOUT allows.", NULL,
     AT(request_timeout)},
};

enum { ID_SIZE = 64, RANDOM_BYTES = 16, REQUEST_MIN_MS = 500, WHY_SIZE = 700 };

struct kafka {
    const struct hg_api *api;
    struct hg_host *host;
    const struct config *config;
    struct producer producer;
    struct lookback lookback;
};

/* --- the name in the cluster --- */

static const char *id_fault(const char *id)
{
    if (strlen(id) >= ID_SIZE * 2)
        return "TRANSACTIONAL_ID is longer than 127 bytes";
    return NULL;
}

/* The one that was set, or the one that was drawn. 0: there is none yet. */
static int id_get(const struct kafka *k, char out[ID_SIZE * 2])
{
    if (k->config->transactional_id) {
        snprintf(out, ID_SIZE * 2, "%s", k->config->transactional_id);
        return 1;
    }
    size_t len = k->api->state_get(k->host, out, ID_SIZE);
    out[len < ID_SIZE ? len : 0] = '\0';
    return len > 0 && len < ID_SIZE;
}

/* It has to be durable before it is used, or a crash would make two producers of one. */
static int id_draw(struct kafka *k, struct hg_rows *rows)
{
    unsigned char bytes[RANDOM_BYTES];
    char id[ID_SIZE];
    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        return k->api->not_now(rows, 0, "no random numbers");
    int at = snprintf(id, sizeof(id), "headgate-");
    for (size_t i = 0; i < sizeof(bytes); i++)
        at += snprintf(id + at, sizeof(id) - (size_t)at, "%02x", bytes[i]);
    k->api->state_set(k->host, id, (size_t)at);
    return k->api->not_now(rows, 1, "the producer has been given its name; rows go out from the next push on");
}

/* --- a push --- */

static void rows_judge(struct kafka *k, struct hg_rows *rows, size_t from, size_t to, uint32_t verdict,
                       const struct marker *m)
{
    for (size_t n = from; n < to; n++) {
        if (marker_refused(m, n))
            k->api->judge(rows, n, HG_REJECT, 0, rd_kafka_err2str((rd_kafka_resp_err_t)m->error));
        else
            k->api->judge(rows, n, k->lookback.there && k->lookback.there[n] ? HG_DUPLICATE : verdict, 0, NULL);
    }
}

/* One row that was refused alone. */
static int row_refuse(struct kafka *k, struct hg_rows *rows, struct marker *m, size_t n, size_t before)
{
    if (marker_refuse(m, n, k->producer.errors[0]) == 0)
        return HG_JUDGED;
    rows_judge(k, rows, 0, before, HG_DUPLICATE, m); /* all of that is certain */
    rows_judge(k, rows, before, n, HG_OK, m);
    return k->api->not_now(rows, 1, "too many rows of one batch were refused; the rest comes with the next push");
}

/* The rows from `before` on, which are not committed yet. */
static int rest_send(struct kafka *k, struct hg_rows *rows, const char *id, size_t before, struct marker *m)
{
    struct ranges ranges;
    struct range r;
    ranges_start(&ranges, before, k->api->row_count(rows));
    while (ranges_next(&ranges, &r)) {
        if (pushtime_over(k->api, k->host, rows, REQUEST_MIN_MS))
            return HG_NOT_NOW;
        if (marker_set(m, k->api, rows, r.to) != 0)
            return k->api->not_now(rows, 0, "no memory");
        if (producer_start(&k->producer, id) != 0)
            return k->api->not_now(rows, 0, k->producer.error);
        enum producer_outcome outcome = producer_run(&k->producer, rows, r.from, r.to, m);
        if (outcome == PRODUCER_NOT_NOW)
            return k->api->not_now(rows, 0, k->producer.error);
        if (outcome == PRODUCER_ROWS && !ranges_halve(&ranges, r) &&
            row_refuse(k, rows, m, r.from, before) != HG_JUDGED)
            return HG_NOT_NOW;
    }
    return HG_JUDGED;
}

/* Rows that stand in the topic are not sent, but a transaction with them leaves a marker of them. */
static int rows_push(struct kafka *k, struct hg_rows *rows, const char *id)
{
    size_t count = k->api->row_count(rows), before = marker_covers(&k->producer.marker, k->api, rows);
    struct marker m = {.count = 0};
    if (before > 0)
        m = k->producer.marker;
    k->producer.there = k->lookback.there;
    int result = before < count ? rest_send(k, rows, id, before, &m) : HG_JUDGED;
    if (result == HG_JUDGED) {
        rows_judge(k, rows, 0, before, HG_DUPLICATE, &m);
        rows_judge(k, rows, before, count, HG_OK, &m);
    }
    k->producer.there = NULL;
    lookback_end(&k->lookback);
    return result;
}

static int kafka_push(void *state, struct hg_rows *rows)
{
    struct kafka *k = state;
    char id[ID_SIZE * 2];
    if (!id_get(k, id))
        return id_draw(k, rows);
    if (producer_start(&k->producer, id) != 0)
        return k->api->not_now(rows, 0, k->producer.error);
    int rc = 0;
    if (marker_none(&k->producer.marker))
        rc = lookback_run(&k->lookback, &k->producer, rows);
    else
        lookback_end(&k->lookback);
    return rc == 0 ? rows_push(k, rows, id) : k->api->not_now(rows, rc > 0, k->producer.error);
}

/* --- open and close --- */

static void kafka_close(void *state)
{
    struct kafka *k = state;
    lookback_end(&k->lookback);
    producer_fini(&k->producer);
    free(k);
}

static const char *config_fault(const struct config *c)
{
    if ((c->sasl != 0) != (c->user != NULL) || (c->user != NULL) != (c->password != NULL))
        return "SASL, USER and PASSWORD go together";
    const char *fault = tlsfiles_fault(c->tls, c->ca, c->cert, c->key);
    return fault || !c->transactional_id ? fault : id_fault(c->transactional_id);
}

static struct producer_settings settings_of(const struct config *c)
{
    static const char *const sasl[] = {NULL, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
    static const char *const compressions[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    return (struct producer_settings){.brokers = c->brokers,
                                      .topic = c->topic,
                                      .user = c->user,
                                      .password = c->password,
                                      .ca = c->ca,
                                      .cert = c->cert,
                                      .key = c->key,
                                      .sasl = sasl[c->sasl],
                                      .compression = compressions[c->compress],
                                      .tls = c->tls,
                                      .verify = c->verify,
                                      .connect_ms = c->connect_timeout,
                                      .request_ms = c->request_timeout,
                                      .properties = &c->properties};
}

/* The connection is made with the first push: only then it is sure that the name is kept. */
static int kafka_open(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    const struct config *c = config;
    const char *fault = config_fault(c);
    struct producer_settings settings = settings_of(c);
    struct kafka *k = fault ? NULL : calloc(1, sizeof(*k));
    if (!k) {
        api->fail(host, fault ? fault : "no memory");
        return fault ? HG_OPEN_BROKEN : HG_OPEN_NOT_NOW;
    }
    k->api = api;
    k->host = host;
    k->config = c;
    producer_init(&k->producer, &settings, host, api);
    if (producer_check(&k->producer) != 0) {
        api->fail(host, k->producer.error);
        kafka_close(k);
        return HG_OPEN_BROKEN;
    }
    if (c->tls && !c->verify)
        api->log(host, HG_LOG_WARN, "VERIFY=no: anybody on the way can read and change the rows");
    *state = k;
    return HG_OPEN_OK;
}

static int kafka_probe(void *state)
{
    struct kafka *k = state;
    if (producer_probe(&k->producer) == 0)
        return HG_OPEN_OK;
    k->api->fail(k->host, k->producer.error);
    return HG_OPEN_NOT_NOW;
}

static const struct hg_pusher pusher = {
    .size = sizeof(struct hg_pusher),
    .flags = HG_STABLE_BATCH,
    .max_parallel = 1,
    .open = kafka_open,
    .close = kafka_close,
    .push = kafka_push,
    .probe = kafka_probe,
};

static const struct hg_plugin plugin = {
    .abi_major = HG_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct hg_plugin),
    .kind = HG_PUSHER,
    .name = "kafka",
    .version = "1.0",
    .summary = "Writes rows as records into a topic of Kafka, in transactions.",
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
