/* A real headgate-host without a daemon: started, handed rows of a tape, asked what became of them. Plays the daemon's
 * part of host/wire.h for one push at a time. Blocking, one thread; every wait has a deadline. */
#ifndef HG_CLI_SOLO_H
#define HG_CLI_SOLO_H

#include "cli/tape.h"
#include "host/setup.h"

#include <sys/types.h>

enum { SOLO_ROWS_MAX = 1000, SOLO_LANES = 16 };

/* How a wait ended. */
enum solo_wait {
    SOLO_OK,     /* with what was waited for */
    SOLO_FAILED, /* start() or open() did not succeed: `result`, `reason`; the process ends */
    SOLO_ENDED,  /* the process has ended: `status` */
    SOLO_LATE,   /* the time is over; the process is still there */
    SOLO_NONSENSE,
};

struct solo_row {
    size_t row;       /* of the tape */
    uint32_t verdict; /* enum hg_verdict; 0: comes again, nobody is to blame */
    bool unjudged;    /* the plugin forgot it */
    int64_t after_ms;
    char reason[200];
};

struct solo_push {
    uint32_t result; /* enum hg_result */
    bool bad_result;
    int64_t push_us, after_ms;
    char reason[400];
    struct solo_row rows[SOLO_ROWS_MAX]; /* as they were pushed */
    uint32_t count;
};

/* One call of pull(). */
struct solo_pull {
    /* What it emits: documents, one a line, and the position (ptr NULL: it stays). enum hg_emit_result; for what is
     * refused a sentence and the number of the set. NULL: all is taken. */
    int (*emitted)(void *arg, struct slice documents, const struct slice *position, char reason[200],
                   uint32_t *bad_set);
    void *arg;
    uint32_t result; /* enum hg_pull_result */
    uint32_t emissions;
    char reason[400];
    bool done;
};

struct solo {
    const char *program;        /* headgate-host */
    const char *const *wrapper; /* words before it (a debugger), NULL-terminated; or NULL */
    bool terminal;              /* the wrapper needs standard input, output and error */
    struct setup setup;         /* settings are borrowed; `state` is kept here between two starts */
    void (*log)(void *arg, int level, struct slice text);
    void *arg;

    pid_t pid; /* 0: none runs */
    int channel, logs;
    bool ready, confined, whole_sets;
    uint32_t workers;
    int status;      /* of waitpid, once it has ended */
    uint32_t result; /* enum hg_open_result of SOLO_FAILED and of solo_probe */
    char reason[1100];
    int crash_signal; /* the host said that it crashes; 0: it did not */
    uint64_t token;
    struct buf line;        /* of the log, not finished */
    char state[4096];       /* durable state */
    uint64_t counted;       /* of all counters */
    struct solo_pull *pull; /* of a puller; NULL: none is under way */
    struct buf emission;    /* so far */
    struct solo_lane {
        struct solo_push *push;
        const struct tape *tape;
        uint64_t token;
        const size_t *listed; /* HAND_LIST: the rows, in order; NULL: a range from `first` */
        size_t first;
        bool taken, done;
    } lanes[SOLO_LANES];
};

void solo_init(struct solo *s, const char *program);
/* The process, with a setup that holds. solo_ready follows. */
int solo_start(struct solo *s, struct err *e) MUST_CHECK;
enum solo_wait solo_ready(struct solo *s, int64_t ms);
/* Rows of `tape` to a lane: `count` from `first` on as a range, or those in `list`. `push` is filled until solo_done.
 */
int solo_hand(struct solo *s, uint16_t lane, const struct tape *tape, size_t first, const size_t *list, size_t count,
              uint32_t attempt, struct solo_push *push) MUST_CHECK;
/* The rows have been read and push() begins. */
enum solo_wait solo_taken(struct solo *s, uint16_t lane, int64_t ms);
enum solo_wait solo_done(struct solo *s, uint16_t lane, int64_t ms);
/* Asks a puller for one pull(); `pull` is filled until solo_pulled. */
void solo_pull(struct solo *s, struct solo_pull *pull);
enum solo_wait solo_pulled(struct solo *s, int64_t ms);
void solo_reopen(struct solo *s);
enum solo_wait solo_probe(struct solo *s, int64_t ms);
/* STOP; SOLO_ENDED with `status`, or SOLO_LATE (then it was killed). */
enum solo_wait solo_stop(struct solo *s, int64_t ms);
/* Wait for the end without asking for it. */
enum solo_wait solo_end(struct solo *s, int64_t ms);
void solo_kill(struct solo *s);
/* "signal 11 (Segmentation fault)" or "exit status 3", of a process that has ended. */
void solo_status_text(const struct solo *s, char *out, size_t size);

#endif
