/* How a producer is set up, and how it begins. librdkafka's own threads call back for logs, errors and nothing else; a
 * delivery report comes in the worker's thread, from within rd_kafka_flush(). */
#include "producer.h"

#include "common/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_MS = 500, STOP_GRACE_MS = 2000, MARGIN_MS = 200, NUMBER_SIZE = 24, LOG_WARNING = 4 };

int64_t producer_deadline(const struct producer *p)
{
    int64_t left = p->api->time_left(p->host) - MARGIN_MS;
    return peer_clock() + (left < p->settings.request_ms ? left : p->settings.request_ms);
}

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

/* Sizes are left to the broker to judge, for only it knows the topic's limit. */
static int conf_limits(rd_kafka_conf_t *conf, struct producer *p)
{
    return set(conf, "message.max.bytes", "300000000", p) || set(conf, "queue.buffering.max.messages", "1000000", p) ||
                   set(conf, "queue.buffering.max.kbytes", "2097151", p) || set(conf, "linger.ms", "5", p) ||
                   set(conf, "topic.metadata.propagation.max.ms", "2000", p) || /* a missing topic is told soon */
                   set(conf, "partitioner", "murmur2_random", p) ||             /* as Java's producer does */
                   set_number(conf, "socket.connection.setup.timeout.ms",
                              p->settings.connect_ms < 1000 ? 1000 : p->settings.connect_ms, p) ||
                   set(conf, "reconnect.backoff.max.ms", "1000", p)
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

/* `name`: the transactional id, or NULL. */
static rd_kafka_conf_t *conf_make(struct producer *p, const char *name)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, p);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    if (set(conf, "bootstrap.servers", p->settings.brokers, p) || set(conf, "client.id", "headgate", p) ||
        set(conf, "compression.codec", p->settings.compression, p) || conf_limits(conf, p) || conf_trust(conf, p) ||
        conf_properties(conf, p) || set(conf, "transactional.id", name, p)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    return conf;
}

static rd_kafka_t *handle_make(struct producer *p, const char *name)
{
    rd_kafka_conf_t *conf = conf_make(p, name);
    rd_kafka_t *handle = conf ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, p->error, sizeof(p->error)) : NULL;
    if (conf && !handle)
        rd_kafka_conf_destroy(conf);
    return handle;
}

static void handle_end(rd_kafka_t *handle)
{
    rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(handle);
}

int producer_check(struct producer *p)
{
    rd_kafka_t *handle = handle_make(p, "headgate-check");
    if (!handle)
        return -1;
    handle_end(handle);
    return 0;
}

/* --- life --- */

void producer_init(struct producer *p, const struct producer_settings *settings, struct hg_host *host,
                   const struct hg_api *api)
{
    *p = (struct producer){.api = api, .host = host, .settings = *settings};
    pthread_mutex_init(&p->lock, NULL);
}

void producer_fini(struct producer *p)
{
    producer_drop(p);
    free(p->errors);
    pthread_mutex_destroy(&p->lock);
}

void producer_drop(struct producer *p)
{
    if (p->handle)
        handle_end(p->handle);
    p->handle = NULL;
}

int producer_failed(struct producer *p, const char *what, const char *text)
{
    pthread_mutex_lock(&p->lock);
    snprintf(p->error, sizeof(p->error), "%s: %s%s%s", what, text, p->last[0] ? "; " : "", p->last);
    pthread_mutex_unlock(&p->lock);
    return -1;
}

int producer_patience(struct producer *p, int64_t deadline)
{
    int64_t now = peer_clock();
    if (p->api->stopping(p->host)) {
        p->stop_seen = p->stop_seen ? p->stop_seen : now;
        if (now - p->stop_seen >= STOP_GRACE_MS)
            return 0;
    }
    int64_t left = deadline - now;
    return left <= 0 ? 0 : (int)(left < STEP_MS ? left : STEP_MS);
}

/* --- the marker of the producer before this one --- */

static void marker_take(struct producer *p, const rd_kafka_topic_partition_list_t *list)
{
    p->marker = (struct marker){.count = 0};
    for (int i = 0; list && i < list->cnt; i++)
        if (list->elems[i].metadata && list->elems[i].metadata_size > 0)
            marker_read(&p->marker, list->elems[i].metadata, list->elems[i].metadata_size);
}

static int marker_event(struct producer *p, rd_kafka_event_t *event)
{
    size_t count = 0;
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return producer_failed(p, "reading the marker", rd_kafka_event_error_string(event));
    const rd_kafka_group_result_t **groups =
        rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    if (count != 1)
        return producer_failed(p, "reading the marker", "the answer is not about this group");
    const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
    if (error)
        return producer_failed(p, "reading the marker", rd_kafka_error_string(error));
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err)
            return producer_failed(p, "reading the marker", rd_kafka_err2str(list->elems[i].err));
    marker_take(p, list);
    return 0;
}

static int marker_ask(struct producer *p, rd_kafka_queue_t *queue, int64_t deadline)
{
    char why[PRODUCER_LAST_SIZE];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(p->handle, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->settings.topic, 0);
    rd_kafka_ListConsumerGroupOffsets_t *group = rd_kafka_ListConsumerGroupOffsets_new(p->name, list);
    int64_t left = deadline - peer_clock();
    rd_kafka_AdminOptions_set_request_timeout(options, left > 1000 ? (int)left : 1000, why, sizeof(why));
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_require_stable_offsets(options, 1));
    rd_kafka_ListConsumerGroupOffsets(p->handle, &group, 1, options, queue);
    rd_kafka_event_t *event = NULL;
    for (int ms; !event && (ms = producer_patience(p, deadline)) > 0;)
        event = rd_kafka_queue_poll(queue, ms);
    int rc = event ? marker_event(p, event) : producer_failed(p, "reading the marker", "no answer in time");
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_ListConsumerGroupOffsets_destroy(group);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_AdminOptions_destroy(options);
    return rc;
}

static int begin(struct producer *p, int64_t deadline)
{
    for (;;) {
        int ms = producer_patience(p, deadline);
        if (ms == 0)
            return producer_failed(p, "beginning", "no answer in time");
        rd_kafka_error_t *error = rd_kafka_init_transactions(p->handle, ms);
        if (!error)
            return 0;
        int again = rd_kafka_error_is_retriable(error);
        if (!again)
            producer_failed(p, "beginning", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        rd_kafka_poll(p->handle, 0); /* errors are told there */
        if (!again)
            return -1;
    }
}

int producer_start(struct producer *p, const char *name)
{
    if (p->handle)
        return 0;
    int64_t deadline = producer_deadline(p);
    p->stop_seen = 0;
    p->last[0] = '\0';
    snprintf(p->name, sizeof(p->name), "%s", name);
    p->handle = handle_make(p, name);
    if (!p->handle)
        return -1;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(p->handle);
    int rc = begin(p, deadline) == 0 && marker_ask(p, queue, deadline) == 0 ? 0 : -1;
    rd_kafka_queue_destroy(queue);
    if (rc != 0)
        producer_drop(p);
    return rc;
}

int producer_probe(struct producer *p)
{
    const struct rd_kafka_metadata *found = NULL;
    rd_kafka_t *handle = handle_make(p, NULL);
    rd_kafka_topic_t *topic = handle ? rd_kafka_topic_new(handle, p->settings.topic, NULL) : NULL;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int64_t deadline = producer_deadline(p);
    if (!topic) {
        if (handle)
            handle_end(handle);
        return -1;
    }
    for (int ms; err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__TRANSPORT;) {
        if ((ms = producer_patience(p, deadline)) == 0)
            break;
        err = rd_kafka_metadata(handle, 0, topic, &found, ms);
        rd_kafka_poll(handle, 0);
    }
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        err = found->topic_cnt == 1 ? found->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (found)
        rd_kafka_metadata_destroy(found);
    int rc = err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : producer_failed(p, p->settings.topic, rd_kafka_err2str(err));
    rd_kafka_topic_destroy(topic);
    handle_end(handle);
    return rc;
}
