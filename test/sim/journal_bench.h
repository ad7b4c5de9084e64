/* A journal on the fake disk, opened and left by every means. For both kinds of run. */
#ifndef HG_SIM_JOURNAL_BENCH_H
#define HG_SIM_JOURNAL_BENCH_H

#include "journal/journal.h"

enum ending { END_GRACEFUL, END_KILL, END_POWER, ENDINGS };

extern struct journal *journal;
extern struct journal_report journal_report;
extern uint32_t journal_life;

/* Opens it, without faults in the end; tells the clients. */
void bench_open(const struct journal_options *options);
/* Ends it: the disk and the clients follow. */
void bench_end(enum ending how);
/* One step of either thread. */
void bench_commit(void);
void bench_help(void);
/* Everything that is acknowledged and not released is there, as it was posted, or is told as damage. */
void bench_verify(uint64_t released, bool damaged);

#endif
