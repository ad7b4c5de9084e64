/* Handles of librdkafka with the pusher's settings: one that writes in transactions, and those that only ask or read.
 * Its own threads call back for logs and nothing else; errors and delivery reports come in the worker's thread, from
 * within what polls. */
#include "producer.h"

#include <stdio.h>

enum { NUMBER_SIZE = 24, LOG_WARNING = 4 };

/* --- what librdkafka says --- */

static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
    struct producer *p = rd_kafka_opaque(handle);
    char line[PRODUCER_ERROR_SIZE];
    snprintf(line, sizeof(line), "%s: %s", facility, text);
    p->api->log(p->host, level <= LOG_WARNING ? HG_LOG_WARN : HG_LOG_DEBUG, line);
}

static void on_error(rd_kafka_t *handle, int code, const char *text, void *arg)
{
    struct producer *p = arg;
    (void)handle;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        return; /* why was said before */
    pthread_mutex_lock(&p->lock);
    snprintf(p->last, sizeof(p->last), "%s", text);
    pthread_mutex_unlock(&p->lock);
}

static void on_report(rd_kafka_t *handle, const rd_kafka_message_t *message, void *arg)
{
    struct producer *p = arg;
    size_t n = (size_t)(uintptr_t)message->_private;
    (void)handle;
    if (n < p->count && p->errors)
        p->errors[n] = message->err;
}

/* --- settings --- */

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct producer *p)
{
    return !value || rd_kafka_conf_set(conf, name, value, p->error, sizeof(p->error)) == RD_KAFKA_CONF_OK ? 0 : -1;
}

static int set_number(rd_kafka_conf_t *conf, const char *name, int64_t value, struct producer *p)
{
    char text[NUMBER_SIZE];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return set(conf, name, text, p);
}

static const char *protocol_of(const struct producer_settings *s)
{
    if (s->tls)
        return s->sasl ? "sasl_ssl" : "ssl";
    return s->sasl ? "sasl_plaintext" : "plaintext";
}

static int conf_trust(rd_kafka_conf_t *conf, struct producer *p)
{
    const struct producer_settings *s = &p->settings;
    int rc = set(conf, "security.protocol", protocol_of(s), p);
    if (rc == 0 && s->tls)
        rc = set(conf, "ssl.ca.location", s->ca, p) || set(conf, "ssl.certificate.location", s->cert, p) ||
             set(conf, "ssl.key.location", s->key, p) ||
             set(conf, "enable.ssl.certificate.verification", s->verify ? "true" : "false", p) ||
             set(conf, "ssl.endpoint.identification.algorithm", s->verify ? "https" : "none", p);
    if (rc == 0 && s->sasl)
        rc = set(conf, "sasl.mechanism", s->sasl, p) || set(conf, "sasl.username", s->user, p) ||
             set(conf, "sasl.password", s->password, p);
    return rc ? -1 : 0;
}

/* The way to the brokers. */
static int conf_way(rd_kafka_conf_t *conf, struct producer *p)
{
    int64_t ms = p->settings.connect_ms < 1000 ? 1000 : p->settings.connect_ms;
    return set(conf, "bootstrap.servers", p->settings.brokers, p) || set(conf, "client.id", "headgate", p) ||
                   set(conf, "topic.metadata.propagation.max.ms", "2000", p) || /* a missing topic is told soon */
                   set_number(conf, "socket.connection.setup.timeout.ms", ms, p) ||
                   set(conf, "reconnect.backoff.max.ms", "1000", p) || conf_trust(conf, p)
               ? -1
               : 0;
}

/* Sizes are left to the broker to judge, for only it knows the topic's limit. */
static int conf_writer(rd_kafka_conf_t *conf, struct producer *p)
{
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    return set(conf, "message.max.bytes", "300000000", p) || set(conf, "queue.buffering.max.messages", "1000000", p) ||
                   set(conf, "queue.buffering.max.kbytes", "2097151", p) || set(conf, "linger.ms", "5", p) ||
                   set(conf, "partitioner", "murmur2_random", p) || /* as Java's producer does */
                   set(conf, "compression.codec", p->settings.compression, p)
               ? -1
               : 0;
}

/* Nothing is kept for its group: what it reads and from where is said by who asks. */
static int conf_reader(rd_kafka_conf_t *conf, struct producer *p)
{
    return set(conf, "group.id", p->name, p) || set(conf, "enable.auto.commit", "false", p) ||
                   set(conf, "enable.partition.eof", "true", p) || set(conf, "auto.offset.reset", "earliest", p) ||
                   set(conf, "queued.max.messages.kbytes", "16384", p)
               ? -1
               : 0;
}

static int conf_properties(rd_kafka_conf_t *conf, struct producer *p)
{
    const struct hg_map *more = p->settings.properties;
    for (size_t i = 0; more && i < more->count; i++)
        if (set(conf, more->names[i], more->values[i], p) != 0)
            return -1;
    return 0;
}

static int conf_kind(rd_kafka_conf_t *conf, struct producer *p, enum producer_kind kind)
{
    switch (kind) {
    case PRODUCER_WRITE: return set(conf, "transactional.id", p->name, p);
    case PRODUCER_READ: return set(conf, "isolation.level", "read_committed", p);
    case PRODUCER_READ_ALL: return set(conf, "isolation.level", "read_uncommitted", p);
    case PRODUCER_ASK: break;
    }
    return 0;
}

rd_kafka_t *producer_handle(struct producer *p, enum producer_kind kind)
{
    int reads = kind == PRODUCER_READ || kind == PRODUCER_READ_ALL;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *handle = NULL;
    rd_kafka_conf_set_opaque(conf, p);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (conf_way(conf, p) == 0 && (reads ? conf_reader(conf, p) : conf_writer(conf, p)) == 0 &&
        conf_properties(conf, p) == 0 && conf_kind(conf, p, kind) == 0)
        handle = rd_kafka_new(reads ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, p->error, sizeof(p->error));
    if (!handle)
        rd_kafka_conf_destroy(conf);
    return handle;
}

void producer_handle_end(rd_kafka_t *handle)
{
    if (rd_kafka_type(handle) == RD_KAFKA_PRODUCER)
        rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}
