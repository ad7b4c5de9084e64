/* How a producer begins, what it finds, and how it is asked for a topic. */
#include "producer.h"

#include "common/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_MS = 500, ASK_MS = 3000, STOP_GRACE_MS = 2000, MARGIN_MS = 200 };

int64_t producer_deadline(const struct producer *p)
{
    int64_t left = p->api->time_left(p->host) - MARGIN_MS;
    return peer_clock() + (left < p->settings.request_ms ? left : p->settings.request_ms);
}

int producer_check(struct producer *p)
{
    snprintf(p->name, sizeof(p->name), "headgate-check");
    rd_kafka_t *handle = producer_handle(p, PRODUCER_WRITE);
    if (!handle)
        return -1;
    producer_handle_end(handle);
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
        producer_handle_end(p->handle);
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

/* --- asking --- */

rd_kafka_resp_err_t producer_ask(struct producer *p, rd_kafka_t *handle, producer_question question, void *arg,
                                 int64_t deadline)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TIMED_OUT;
    while (err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__TRANSPORT) {
        int64_t left = deadline - peer_clock();
        if (producer_patience(p, deadline) == 0)
            break;
        err = question(p, handle, arg, (int)(left < ASK_MS ? left : ASK_MS));
        rd_kafka_poll(handle, 0); /* errors are told there */
    }
    return err;
}

rd_kafka_resp_err_t producer_topic(struct producer *p, rd_kafka_t *handle, void *arg, int ms)
{
    const struct rd_kafka_metadata *found = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(handle, p->settings.topic, NULL);
    rd_kafka_resp_err_t err = topic ? rd_kafka_metadata(handle, 0, topic, &found, ms) : rd_kafka_last_error();
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        err = found && found->topic_cnt == 1 ? found->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    rd_kafka_topic_partition_list_t *list = arg;
    for (int i = 0; list && err == RD_KAFKA_RESP_ERR_NO_ERROR && i < found->topics[0].partition_cnt; i++)
        rd_kafka_topic_partition_list_add(list, p->settings.topic, found->topics[0].partitions[i].id);
    if (found)
        rd_kafka_metadata_destroy(found);
    if (topic)
        rd_kafka_topic_destroy(topic);
    return err;
}

/* --- the producer before this one --- */

static rd_kafka_resp_err_t ask_committed(struct producer *p, rd_kafka_t *handle, void *list, int ms)
{
    (void)p;
    rd_kafka_resp_err_t err = rd_kafka_committed(handle, list, ms);
    return err ? err : ((rd_kafka_topic_partition_list_t *)list)->elems[0].err;
}

/* As a consumer of the group would: what librdkafka 2.0 has for asking about any group crashes while the coordinator is
 * being moved. */
static int marker_ask(struct producer *p, int64_t deadline)
{
    rd_kafka_t *handle = producer_handle(p, PRODUCER_READ);
    if (!handle)
        return -1;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    const rd_kafka_topic_partition_t *place = rd_kafka_topic_partition_list_add(list, p->settings.topic, 0);
    rd_kafka_resp_err_t err = producer_ask(p, handle, ask_committed, list, deadline);
    p->marker = (struct marker){.count = 0};
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && place->metadata)
        marker_read(&p->marker, place->metadata, place->metadata_size);
    rd_kafka_topic_partition_list_destroy(list);
    producer_handle_end(handle);
    p->marker_known = err == RD_KAFKA_RESP_ERR_NO_ERROR;
    return p->marker_known ? 0 : producer_failed(p, "reading the marker", rd_kafka_err2str(err));
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
    p->handle = producer_handle(p, PRODUCER_WRITE);
    if (!p->handle)
        return -1;
    int rc = begin(p, deadline);
    if (rc == 0 && !p->marker_known)
        rc = marker_ask(p, deadline);
    if (rc != 0)
        producer_drop(p);
    return rc;
}

int producer_probe(struct producer *p)
{
    rd_kafka_t *handle = producer_handle(p, PRODUCER_ASK);
    if (!handle)
        return -1;
    rd_kafka_resp_err_t err = producer_ask(p, handle, producer_topic, NULL, producer_deadline(p));
    int rc = err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : producer_failed(p, p->settings.topic, rd_kafka_err2str(err));
    producer_handle_end(handle);
    return rc;
}
