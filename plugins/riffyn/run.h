/* Which run of an experiment a row belongs to, as its trigger says in `metadata.spec`:
 *
 *     {"experimentId":"…","activityId":"…","runId":"…"}        all rows are of one run
 *     [{…}, {…}, null, …]                                      the run of each well, by the row's index */
#ifndef RIFFYN_RUN_H
#define RIFFYN_RUN_H

#include "common/strbuf.h"
#include "headgate.h"

#include <jansson.h>

enum { RUN_WELLS_MAX = 4096 };

/* Borrowed from the spec. */
struct run {
    const char *experiment, *activity, *run;
};

/* Whether it is a spec at all: NULL, or a sentence. */
const char *run_spec_fault(const json_t *spec);

/* The run of a row with this index (-1: none). 0, or -1 with a sentence: the trigger has no run for it. */
int run_of(const json_t *spec, int64_t index, struct run *out, char *why, size_t why_size);

/* As strcmp(). */
int run_compare(const struct run *a, const struct run *b);

/* Appends `address` with {experimentId}, {activityId} and {runId} replaced, each as one percent-encoded segment. */
void run_address(const char *address, const struct run *run, struct strbuf *out);

#endif
