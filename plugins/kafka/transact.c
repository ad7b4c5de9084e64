/* One transaction: rows, then the marker, then the commit, each waited for. A row's delivery report comes before the
 * commit, so what was refused is known while everything can still be taken back. */
#include "producer.h"

#include "common/peer.h"
#include "common/stamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 24, FULL_WAIT_MS = 100 };

typedef rd_kafka_error_t *(*step_function)(struct producer *p, int ms, const void *arg);

/* Calls it until it succeeds, fails for good, or time is over. 0; 1: the transaction has to be aborted; -1: it is not
 * known what became of it. */
static int step(struct producer *p, const char *what, step_function call, const void *arg)
{
    int64_t deadline = producer_deadline(p);
    for (;;) {
        int ms = producer_patience(p, deadline);
        if (ms == 0)
            return producer_failed(p, what, "no answer in time");
        rd_kafka_error_t *error = call(p, ms, arg);
        rd_kafka_poll(p->handle, 0);
        if (!error)
            return 0;
        int again = rd_kafka_error_is_retriable(error), abort = rd_kafka_error_txn_requires_abort(error);
        if (!again)
            producer_failed(p, what, rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        if (!again)
            return abort ? 1 : -1;
    }
}

static rd_kafka_error_t *call_commit(struct producer *p, int ms, const void *arg)
{
    (void)arg;
    return rd_kafka_commit_transaction(p->handle, ms);
}

static rd_kafka_error_t *call_abort(struct producer *p, int ms, const void *arg)
{
    (void)arg;
    return rd_kafka_abort_transaction(p->handle, ms);
}

static rd_kafka_error_t *call_marker(struct producer *p, int ms, const void *arg)
{
    char text[MARKER_SIZE];
    marker_write(arg, text);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *place = rd_kafka_topic_partition_list_add(list, p->settings.topic, 0);
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new(p->name);
    place->offset = 0;
    place->metadata = strdup(text); /* librdkafka frees it with the list */
    place->metadata_size = place->metadata ? strlen(text) : 0;
    rd_kafka_error_t *error = rd_kafka_send_offsets_to_transaction(p->handle, list, group, ms);
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(list);
    return error;
}

/* --- rows --- */

static rd_kafka_headers_t *headers_of(const struct hg_api *api, const struct hg_row *row)
{
    char id[HG_ROW_ID_SIZE], stamp[STAMP_LEN + 1], number[NUMBER_SIZE];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
    api->row_id(row, id);
    stamp_text(api->received(row), stamp);
    rd_kafka_header_add(headers, "id", -1, id, -1);
    rd_kafka_header_add(headers, "received", -1, stamp, -1);
    if (api->index(row) >= 0) {
        snprintf(number, sizeof(number), "%lld", (long long)api->index(row));
        rd_kafka_header_add(headers, "index", -1, number, -1);
    }
    return headers;
}

static rd_kafka_resp_err_t row_send(struct producer *p, const struct hg_rows *rows, size_t n)
{
    const struct hg_row *row = p->api->row(rows, n);
    struct hg_text uuid = p->api->uuid(row), data = p->api->data(row);
    rd_kafka_headers_t *headers = headers_of(p->api, row);
    rd_kafka_resp_err_t err = rd_kafka_producev(
        p->handle, RD_KAFKA_V_TOPIC(p->settings.topic), RD_KAFKA_V_KEY(uuid.ptr, uuid.len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)data.ptr, data.len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_TIMESTAMP(p->api->received(row) / 1000),
        RD_KAFKA_V_OPAQUE((void *)(uintptr_t)(n - p->first)), RD_KAFKA_V_END);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_headers_destroy(headers);
    return err;
}

/* A row that librdkafka refuses by itself is one that is too large; else the whole has to be taken back. */
static int rows_send(struct producer *p, const struct hg_rows *rows)
{
    int64_t deadline = producer_deadline(p);
    for (size_t i = 0; i < p->count;) {
        if (p->there && p->there[p->first + i]) {
            i++;
            continue;
        }
        rd_kafka_resp_err_t err = row_send(p, rows, p->first + i);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL && producer_patience(p, deadline) > 0) {
            rd_kafka_poll(p->handle, FULL_WAIT_MS);
            continue;
        }
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR && err != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            return producer_failed(p, "sending", rd_kafka_err2str(err));
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
            p->errors[i] = err;
        i++;
    }
    while (rd_kafka_outq_len(p->handle) > 0) {
        int ms = producer_patience(p, deadline);
        if (ms == 0)
            return producer_failed(p, "sending", "no answer in time");
        rd_kafka_flush(p->handle, ms);
    }
    return 0;
}

/* About the row itself; what came of the others is of no interest then. */
static int is_row_fault(int err)
{
    return err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || err == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           err == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static enum producer_outcome rows_outcome(struct producer *p)
{
    enum producer_outcome outcome = PRODUCER_DONE;
    for (size_t i = 0; i < p->count; i++) {
        if (is_row_fault(p->errors[i]))
            return PRODUCER_ROWS;
        if (p->errors[i] != RD_KAFKA_RESP_ERR_NO_ERROR && outcome == PRODUCER_DONE) {
            producer_failed(p, "sending", rd_kafka_err2str((rd_kafka_resp_err_t)p->errors[i]));
            outcome = PRODUCER_NOT_NOW;
        }
    }
    return outcome;
}

/* --- the whole --- */

/* Keeps the error that led here. The next transaction is another producer's of the same name: librdkafka remembers some
 * errors for minutes, and skips the numbers of what was refused, which the broker takes for a gap. What cannot be taken
 * back here that one ends. */
static void take_back(struct producer *p)
{
    char error[PRODUCER_ERROR_SIZE];
    memcpy(error, p->error, sizeof(error));
    step(p, "taking back", call_abort, NULL);
    producer_drop(p);
    memcpy(p->error, error, sizeof(error));
}

static int errors_clear(struct producer *p, size_t from, size_t to)
{
    int *errors = realloc(p->errors, (to - from + 1) * sizeof(*errors));
    if (!errors)
        return -1;
    memset(errors, 0, (to - from + 1) * sizeof(*errors));
    p->errors = errors;
    p->first = from;
    p->count = to - from;
    return 0;
}

enum producer_outcome producer_run(struct producer *p, const struct hg_rows *rows, size_t from, size_t to,
                                   const struct marker *marker)
{
    p->stop_seen = 0;
    if (errors_clear(p, from, to) != 0) {
        producer_failed(p, "sending", "no memory");
        return PRODUCER_NOT_NOW;
    }
    rd_kafka_error_t *error = rd_kafka_begin_transaction(p->handle);
    if (error) {
        producer_failed(p, "beginning", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        producer_drop(p);
        return PRODUCER_NOT_NOW;
    }
    enum producer_outcome outcome = rows_send(p, rows) == 0 ? rows_outcome(p) : PRODUCER_NOT_NOW;
    int rc = outcome == PRODUCER_DONE ? step(p, "the marker", call_marker, marker) : 1;
    if (rc == 0) {
        p->marker_known = 0;
        rc = step(p, "committing", call_commit, NULL);
        if (rc == 0) {
            p->marker = *marker;
            p->marker_known = 1;
            return PRODUCER_DONE;
        }
    }
    if (rc > 0)
        take_back(p);
    else
        producer_drop(p);
    return outcome == PRODUCER_DONE ? PRODUCER_NOT_NOW : outcome;
}
