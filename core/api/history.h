/* How things went: rows and bytes in, time to durable, and each pusher, for the last minute, hour and day. Bounded:
 * about 10 KiB, and as much again for each pusher, whatever passes. Lost with the process.
 *
 * Loop thread only. */
#ifndef HG_API_HISTORY_H
#define HG_API_HISTORY_H

#include "api/intake.h"
#include "supervise/supervisor.h"

struct history;

enum { HISTORY_SPANS = 3 };

/* What the last seconds say. Percentiles are NAN when nothing was acknowledged in the last minute. */
struct history_now {
    double rows, bytes; /* a second, over the last five */
    double p50, p99;    /* seconds from a request's first byte to its rows being durable, over the last minute */
};

/* NULL when out of memory. */
struct history *history_new(int64_t now_ms);
void history_free(struct history **h);
/* Time passes; cheap when nothing is due. `counts` asks for the sums of all intakes, once a second. */
void history_look(struct history *h, struct supervisor *s, void (*counts)(void *arg, struct intake_counts *sum),
                  void *arg, int64_t now_ms);

void history_now(const struct history *h, struct history_now *out);
/* Rows a second that the pusher has settled as delivered, over the last five seconds. */
double history_rate(const struct history *h, const char *pusher);
/* The number of the span "minute" (0), "hour" or "day"; -1: another word. */
int history_span(const char *word);
/* All its points as JSON, on one line. */
int history_print(const struct history *h, int span, struct buf *out) MUST_CHECK;
/* Which the newest of them is: changes with each new one. */
int64_t history_newest(const struct history *h, int span);

#endif
