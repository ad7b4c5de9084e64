/* A transactional producer: librdkafka behind calls that can be interrupted and that say what is certain.
 *
 * Its name in the cluster (the transactional id) stays the same over restarts: whoever begins with it ends what the one
 * before it had begun, so afterwards a transaction is committed or it is not, and the marker tells. */
#ifndef KAFKA_PRODUCER_H
#define KAFKA_PRODUCER_H

#include "marker.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>

/* Texts may be NULL, and must live as long as the producer. */
struct producer_settings {
    const char *brokers, *topic, *user, *password, *ca, *cert, *key;
    const char *sasl, *compression; /* as librdkafka names them; sasl NULL: none */
    int tls, verify;
    int64_t connect_ms, request_ms;
    const struct hg_map *properties;
};

enum { PRODUCER_ERROR_SIZE = 600, PRODUCER_LAST_SIZE = 300 };

struct producer {
    const struct hg_api *api;
    struct hg_host *host;
    struct producer_settings settings;
    rd_kafka_t *handle; /* NULL: not connected */
    char name[160];     /* the transactional id, and the group that the marker is kept for */
    struct marker marker;
    int marker_known;           /* 0: no commit has been asked for, or what came of the last one is not known */
    const unsigned char *there; /* 1 for each row of the push that stands in the topic already; NULL: none is known */
    int *errors;                /* of each row of the transaction: rd_kafka_resp_err_t; filled by delivery reports */
    size_t first, count;
    int64_t stop_seen;
    char error[PRODUCER_ERROR_SIZE]; /* of the last call that failed */
    pthread_mutex_t lock;            /* of: */
    char last[PRODUCER_LAST_SIZE];   /* what librdkafka said last about a connection */
};

void producer_init(struct producer *p, const struct producer_settings *settings, struct hg_host *host,
                   const struct hg_api *api);
void producer_fini(struct producer *p);

int producer_check(struct producer *p); /* 0, or -1 with an error: a setting that librdkafka refuses */

/* Connects under this name, ends what was left open, reads the marker unless it is known. 0, or -1. Nothing when that
 * was done. */
int producer_start(struct producer *p, const char *name);
void producer_drop(struct producer *p);

enum producer_outcome {
    PRODUCER_DONE,
    PRODUCER_ROWS,   /* some of the rows were refused, see `errors`; nothing was written */
    PRODUCER_NOT_NOW /* nothing was written, or it is not known: after producer_start() the marker tells */
};

/* One transaction of the rows [from, to) of a push and of the marker. On PRODUCER_DONE it is p->marker; else the
 * producer is dropped. */
enum producer_outcome producer_run(struct producer *p, const struct hg_rows *rows, size_t from, size_t to,
                                   const struct marker *marker);

/* For the files of the producer: keeps an error and returns -1; how many milliseconds the next step of waiting may
 * take, 0 when there is no more time. */
int producer_failed(struct producer *p, const char *what, const char *text);
int producer_patience(struct producer *p, int64_t deadline);
int64_t producer_deadline(const struct producer *p);

/* handle.c: NULL with an error. Of the kinds, WRITE and the readers use p->name. */
enum producer_kind {
    PRODUCER_WRITE,   /* in transactions */
    PRODUCER_ASK,     /* asks brokers only */
    PRODUCER_READ,    /* what is committed */
    PRODUCER_READ_ALL /* what is not yet, too */
};
rd_kafka_t *producer_handle(struct producer *p, enum producer_kind kind);
void producer_handle_end(rd_kafka_t *handle);

/* Asks until there is an answer or the time is over. */
typedef rd_kafka_resp_err_t (*producer_question)(struct producer *p, rd_kafka_t *handle, void *arg, int ms);
rd_kafka_resp_err_t producer_ask(struct producer *p, rd_kafka_t *handle, producer_question question, void *arg,
                                 int64_t deadline);
/* A question: is the topic there? Its partitions go into the rd_kafka_topic_partition_list_t, unless that is NULL. */
rd_kafka_resp_err_t producer_topic(struct producer *p, rd_kafka_t *handle, void *list, int ms);

/* Is the topic there, by a connection of its own? 0, or -1. */
int producer_probe(struct producer *p);

#endif
