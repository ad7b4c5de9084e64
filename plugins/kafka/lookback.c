/* Two readers. One that sees everything tells from where on and up to where a partition has to be read: to one that
 * sees only what is committed, a partition ends where somebody's transaction is open, and ours may lie behind it. That
 * one then reads, up to the end that the other has told; where a transaction is in the way it waits for its end.
 *
 * producer_start() has ended what our own producers had begun, so what is not found now will never be there.
 *
 * A record's time is when the gateway took the row, or, where the topic says so, when the broker took the record. The
 * broker's clock may be behind ours: hence the time that is added. */
#include "lookback.h"

#include "common/peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOCKS_APART_MS = 10 * 60 * 1000 };

static const char what[] = "reading the topic back";

struct lookback_row {
    char id[HG_ROW_ID_SIZE];
    size_t n;
};

struct lookback_part {
    int32_t number;
    int64_t from, to; /* offsets: what is to be read; none: nothing is */
};

/* --- the rows --- */

static int row_compare(const void *a, const void *b)
{
    return strcmp(((const struct lookback_row *)a)->id, ((const struct lookback_row *)b)->id);
}

static struct lookback_row *row_find(const struct lookback *l, const char *id, size_t len)
{
    struct lookback_row key = {.n = 0};
    if (len >= sizeof(key.id))
        return NULL;
    memcpy(key.id, id, len);
    return bsearch(&key, l->rows, l->row_count, sizeof(key), row_compare);
}

/* Sets the rows to look for and returns 0, or -1: no memory. */
static int rows_take(struct lookback *l, const struct hg_api *api, const struct hg_rows *rows)
{
    size_t count = api->row_count(rows);
    l->rows = malloc((count + 1) * sizeof(*l->rows));
    l->there = calloc(count + 1, 1);
    if (!l->rows || !l->there)
        return -1;
    for (size_t n = 0; n < count; n++) {
        if (api->origin(api->row(rows, n)) == HG_REPLAY)
            continue;
        struct lookback_row *row = &l->rows[l->row_count++];
        row->n = n;
        api->row_id(api->row(rows, n), row->id);
    }
    qsort(l->rows, l->row_count, sizeof(*l->rows), row_compare);
    return 0;
}

static int rows_same(const struct lookback *l, const struct hg_api *api, const struct hg_rows *rows)
{
    size_t count = api->row_count(rows), same = 0;
    for (size_t n = 0; n < count; n++) {
        char id[HG_ROW_ID_SIZE];
        api->row_id(api->row(rows, n), id);
        const struct lookback_row *row = row_find(l, id, strlen(id));
        int wanted = api->origin(api->row(rows, n)) != HG_REPLAY;
        if (wanted ? !row || row->n != n : row != NULL)
            return 0;
        same += (size_t)wanted;
    }
    return same == l->row_count;
}

/* Of those that are looked for. */
static int64_t oldest_ms(const struct lookback *l, const struct hg_api *api, const struct hg_rows *rows)
{
    int64_t oldest = INT64_MAX;
    for (size_t i = 0; i < l->row_count; i++) {
        int64_t at = api->received(api->row(rows, l->rows[i].n));
        oldest = at < oldest ? at : oldest;
    }
    return oldest / 1000;
}

/* --- what there is to read --- */

struct times {
    const rd_kafka_topic_partition_list_t *parts;
    rd_kafka_topic_partition_list_t *found;
    int64_t since;
};

static rd_kafka_resp_err_t ask_times(struct producer *p, rd_kafka_t *handle, void *arg, int ms)
{
    struct times *t = arg;
    (void)p;
    if (t->found)
        rd_kafka_topic_partition_list_destroy(t->found);
    t->found = rd_kafka_topic_partition_list_copy(t->parts);
    for (int i = 0; i < t->found->cnt; i++)
        t->found->elems[i].offset = t->since;
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(handle, t->found, ms);
    for (int i = 0; i < t->found->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        err = t->found->elems[i].err;
    return err;
}

static rd_kafka_resp_err_t ask_end(struct producer *p, rd_kafka_t *handle, void *arg, int ms)
{
    struct lookback_part *part = arg;
    int64_t low;
    return rd_kafka_query_watermark_offsets(handle, p->settings.topic, part->number, &low, &part->to, ms);
}

/* Partitions are numbered from 0 on. */
static int parts_take(struct lookback *l, struct producer *p, rd_kafka_t *handle,
                      const rd_kafka_topic_partition_list_t *found, int64_t deadline)
{
    l->part_count = (size_t)found->cnt;
    l->parts = calloc(l->part_count, sizeof(*l->parts));
    if (!l->parts)
        return producer_failed(p, what, "no memory");
    for (int i = 0; i < found->cnt; i++) {
        struct lookback_part part = {.number = found->elems[i].partition, .from = found->elems[i].offset};
        if (part.from < 0 || (size_t)part.number >= l->part_count)
            continue; /* nothing since then */
        rd_kafka_resp_err_t err = producer_ask(p, handle, ask_end, &part, deadline);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return producer_failed(p, what, rd_kafka_err2str(err));
        l->open += part.from < part.to;
        l->parts[part.number] = part;
    }
    return 0;
}

static int parts_ask(struct lookback *l, struct producer *p, int64_t since, int64_t deadline)
{
    rd_kafka_t *handle = producer_handle(p, PRODUCER_READ_ALL);
    if (!handle)
        return -1;
    rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(8);
    struct times times = {.parts = parts, .since = since};
    rd_kafka_resp_err_t err = producer_ask(p, handle, producer_topic, parts, deadline);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && parts->cnt > 0)
        err = producer_ask(p, handle, ask_times, &times, deadline);
    int rc = err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : producer_failed(p, what, rd_kafka_err2str(err));
    if (rc == 0 && times.found)
        rc = parts_take(l, p, handle, times.found, deadline);
    if (times.found)
        rd_kafka_topic_partition_list_destroy(times.found);
    rd_kafka_topic_partition_list_destroy(parts);
    producer_handle_end(handle);
    return rc;
}

/* --- reading --- */

static int reader_start(struct lookback *l, struct producer *p)
{
    l->reader = producer_handle(p, PRODUCER_READ);
    if (!l->reader)
        return -1;
    rd_kafka_poll_set_consumer(l->reader);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)l->part_count);
    for (size_t i = 0; i < l->part_count; i++)
        if (l->parts[i].from < l->parts[i].to)
            rd_kafka_topic_partition_list_add(list, p->settings.topic, l->parts[i].number)->offset = l->parts[i].from;
    rd_kafka_resp_err_t err = rd_kafka_assign(l->reader, list);
    rd_kafka_topic_partition_list_destroy(list);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : producer_failed(p, what, rd_kafka_err2str(err));
}

/* Everything before this offset has been read. */
static void part_read(struct lookback *l, int32_t number, int64_t before)
{
    struct lookback_part *part = (size_t)number < l->part_count ? &l->parts[number] : NULL;
    if (!part || part->from >= part->to)
        return;
    part->from = before;
    l->open -= part->from >= part->to;
}

static void record_take(struct lookback *l, const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers;
    const void *id;
    size_t len;
    l->records++;
    if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(headers, "id", &id, &len) == RD_KAFKA_RESP_ERR_NO_ERROR && id) {
        const struct lookback_row *row = row_find(l, id, len);
        if (row)
            l->there[row->n] = 1;
    }
    part_read(l, m->partition, m->offset + 1);
}

static int reader_run(struct lookback *l, struct producer *p, int64_t deadline)
{
    while (l->open > 0) {
        int ms = producer_patience(p, deadline);
        if (ms == 0)
            return 1;
        rd_kafka_message_t *m = rd_kafka_consumer_poll(l->reader, ms);
        rd_kafka_resp_err_t err = m ? m->err : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (m && err == RD_KAFKA_RESP_ERR_NO_ERROR)
            record_take(l, m);
        else if (err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            part_read(l, m->partition, m->offset);
        else if (m)
            producer_failed(p, what, rd_kafka_message_errstr(m));
        if (m)
            rd_kafka_message_destroy(m);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR && err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            return -1;
    }
    return 0;
}

/* --- the whole --- */

static int begin(struct lookback *l, struct producer *p, const struct hg_rows *rows, int64_t deadline)
{
    lookback_end(l);
    if (rows_take(l, p->api, rows) != 0)
        return producer_failed(p, what, "no memory");
    if (l->row_count > 0 && parts_ask(l, p, oldest_ms(l, p->api, rows) - CLOCKS_APART_MS, deadline) != 0)
        return -1;
    return l->open > 0 ? reader_start(l, p) : 0;
}

int lookback_run(struct lookback *l, struct producer *p, const struct hg_rows *rows)
{
    char text[PRODUCER_LAST_SIZE];
    int64_t deadline = producer_deadline(p);
    int rc = l->rows && rows_same(l, p->api, rows) ? 0 : begin(l, p, rows, deadline);
    if (rc == 0)
        rc = reader_run(l, p, deadline);
    if (rc < 0)
        lookback_end(l);
    if (rc > 0) {
        snprintf(text, sizeof(text),
                 "no marker is there; %zu records so far, %zu of %zu partitions are not at their end", l->records,
                 l->open, l->part_count);
        producer_failed(p, what, text);
    }
    return rc;
}

void lookback_end(struct lookback *l)
{
    if (l->reader)
        producer_handle_end(l->reader);
    free(l->rows);
    free(l->there);
    free(l->parts);
    memset(l, 0, sizeof(*l));
}
