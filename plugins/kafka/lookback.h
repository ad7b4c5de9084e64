/* Which rows of a push stand in the topic already, asked of the topic itself: for when there is no marker, as brokers
 * forget one that has not changed for days. Looked through is all that came since the oldest of the rows was received.
 * That may take several pushes: the place is kept between them, as long as they bring the same rows. */
#ifndef KAFKA_LOOKBACK_H
#define KAFKA_LOOKBACK_H

#include "producer.h"

struct lookback_row; /* one that is looked for */

struct lookback {
    struct lookback_row *rows; /* by id; NULL: nothing is looked for */
    size_t row_count;
    unsigned char *there; /* of each row of the push: 1 when it was found */
    struct lookback_part *parts;
    size_t part_count, open; /* of them those that are not read to their end */
    rd_kafka_t *reader;      /* NULL: what there is to read is not known yet */
    size_t records;          /* that were read */
};

/* After producer_start(). 0: `there` is complete, until lookback_end(); 1: another push is needed, p->error says how
 * far it is; -1: p->error. A row of a replay is not looked for: it is to be written again. */
int lookback_run(struct lookback *l, struct producer *p, const struct hg_rows *rows);
void lookback_end(struct lookback *l);

#endif
