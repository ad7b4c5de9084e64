/* Playing the daemon to a real headgate-host: makes a journal segment, starts the host with a setup, sends it messages,
 * waits for its answers. Whatever goes wrong ends the test (cmocka). Nothing sleeps: a wait ends with an event or,
 * after HOSTED_PATIENCE_MS, with a failed test. */
#ifndef HG_TEST_HOSTED_H
#define HG_TEST_HOSTED_H

#include "base/buf.h"
#include "base/id.h"
#include "host/setup.h"
#include "host/wire.h"

#include <stdbool.h>
#include <sys/types.h>

enum { HOSTED_PATIENCE_MS = 30000, HOSTED_SETTINGS = 16 };

/* --- a segment --- */

struct maker {
    int fd;
    uint64_t base, salt;
    uint64_t at;   /* where the next group begins: the durable end */
    uint64_t rows; /* so far */
    uint32_t prev_crc;
    struct epoch epoch;
};

/* A new file without a name. */
void maker_open(struct maker *m, uint64_t base);
void maker_close(struct maker *m);
/* One row set in a group of its own: row n is `{"n":<first + n>,"pad":"xx…"}` of about `bytes` bytes. With `key`, it is
 * `{"<key>":true,…}`. Returns the record's position. */
uint64_t maker_set(struct maker *m, const char *uuid, uint32_t rows, uint32_t first, uint32_t bytes, const char *key);
/* One row with this data, its context finished by the caller. */
uint64_t maker_record(struct maker *m, uint16_t type, struct slice context, const char *const *data, uint32_t rows);
/* Break the record at `position`. */
void maker_damage(struct maker *m, uint64_t position);

/* --- a host --- */

struct hosted {
    pid_t pid;
    int channel, log;
    char dir[64]; /* of its own, removed at the end */
    char file[128], gate[128], lock[128];
    struct buf logged;
    struct setup setup;
    struct setting settings[HOSTED_SETTINGS];
    /* the last message */
    union {
        struct wire_head head;
        struct wire_ready ready;
        struct wire_outcome outcome;
        struct wire_taken taken;
        struct wire_verdicts verdicts;
        struct wire_done done;
        struct wire_damage damage;
        struct wire_drop drop;
        struct wire_crash crash;
        struct wire_count count;
        char bytes[WIRE_MAX];
    } m;
    size_t len;
    /* entries of VERDICTS messages since the last hand-out, and their reasons */
    struct wire_row *rows;
    char (*reasons)[64];
    uint32_t row_count, row_cap;
};

/* A setup for fixture NAME (chaos …) in a fresh folder: FILE is set, and GATE to a path that is not there. Not started.
 */
void hosted_init(struct hosted *h, const char *plugin);
void hosted_set(struct hosted *h, const char *name, const char *value);
/* Start the process; `channel_end` may be shared by nobody else. */
void hosted_start(struct hosted *h);
/* Start and wait for READY. */
void hosted_ready(struct hosted *h);
void hosted_fini(struct hosted *h); /* kills what still runs */

void hosted_send(struct hosted *h, const void *message, size_t len, int fd); /* fd -1: none */
void hosted_segment(struct hosted *h, const struct maker *m, uint32_t store);
void hosted_simple(struct hosted *h, enum wire_type type, uint16_t lane, uint64_t token);
/* A range over all of `m` with generous limits, to be changed and then sent with hosted_hand. */
struct wire_hand hosted_range(const struct maker *m, uint64_t token);
/* `lists`: held hashes or items, as many as the hand-out says. Forgets the verdicts of the one before. */
void hosted_hand(struct hosted *h, const struct wire_hand *hand, const void *lists);

/* The next message of any type. */
void hosted_receive(struct hosted *h);
/* The next message, which has to be of this type; VERDICTS and COUNT are gathered on the way unless asked for. */
void hosted_expect(struct hosted *h, enum wire_type type);
/* TAKEN, then DONE; after it h->m.done. `taken` may be NULL. */
void hosted_finish(struct hosted *h, struct wire_taken *taken);
/* Hand out, finish. */
void hosted_push(struct hosted *h, const struct wire_hand *hand, const void *lists, struct wire_taken *taken);
/* STOP, and the exit status of a host that ends as it should. */
int hosted_stop(struct hosted *h);
/* The wait status once the process has ended by itself. */
int hosted_wait(struct hosted *h);
/* The channel is closed from our side. */
void hosted_hang_up(struct hosted *h);
/* What the pusher wrote into FILE; the caller frees it. */
char *hosted_written(const struct hosted *h);
/* Lines of FILE, counted. */
uint32_t hosted_lines(const struct hosted *h);
/* Wait until the log holds `text`. */
void hosted_logged(struct hosted *h, const char *text);
void hosted_touch(const char *path);

#endif
