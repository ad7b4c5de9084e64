/* The conformance run behind `headgate plugin check`: what its items share. One thread, blocking. */
#ifndef HG_CLI_CONFORM_H
#define HG_CLI_CONFORM_H

#include "cli/solo.h"
#include "cli/subject.h"

#include <stdbool.h>

enum item_id {
#define ITEM(id, name, title, why) ITEM_##id,
#include "cli/conform.def"
#undef ITEM
    ITEM_COUNT
};

enum item_state { ITEM_PASSED, ITEM_FAILED, ITEM_NOT_EXERCISED };

struct finding {
    enum item_state state;
    char text[900]; /* what happened, or why it was not exercised */
    char mend[300];
};

/* What is looked for in every push of every item, and told at the end. */
struct watch {
    char bad_result[200], forgotten[200], wild[200], no_reason[200], order[300], secret[200];
};

struct conform {
    struct subject subject;
    struct err refused; /* the file is no plugin: why */
    bool loaded;
    char *good, *bad;                        /* data objects; NULL: not given */
    char *up, *down, *count;                 /* commands for the far end; NULL: not given */
    struct setting second[SUBJECT_SETTINGS]; /* of the second instance */
    size_t second_count;
    int64_t timeout_ms;
    char folder[4096]; /* of check.ini: where commands run */

    struct tape tape;
    uint32_t uuids; /* drawn so far */
    struct solo solo;
    struct solo_push push;
    struct watch watch;
    struct finding *finding; /* of the item that runs */
    struct buf log;          /* of the hosts since the item began */
};

/* Read check.ini: options into the subject, the rest into `c`. `path` that is not there is fine unless it was named. */
int conform_read(struct conform *c, const char *path, bool named) MUST_CHECK;
void conform_fini(struct conform *c);
/* Is the item about a plugin of this kind? */
bool conform_applies(const struct conform *c, enum item_id id);
/* Run one item. */
void conform_item(struct conform *c, enum item_id id, struct finding *out);

/* --- conform.c: for items --- */

/* The item's end; false, so that `return fail(c, …)` is the idiom. The first one counts. */
bool conform_fail(struct conform *c, const char *mend, const char *format, ...) PRINTF_LIKE(3, 4);
bool conform_skip(struct conform *c, const char *why);

/* `count` rows with this data as one row set with a uuid of its own; the first row's number, or the count of rows when
 * the text is no row (the item has failed then). */
size_t conform_rows(struct conform *c, const char *data, size_t count);
size_t conform_set(struct conform *c, const char *json);

/* A fresh host with these settings. False: the item has failed. */
bool conform_begin(struct conform *c, struct solo *s);
void conform_prepare(struct conform *c, struct solo *s); /* not started */
/* Stop it; false: it did not end as it should. */
bool conform_end(struct conform *c, struct solo *s);
/* One push into c->push. False: the process ended or the push took too long, and the item has failed. */
bool conform_push(struct conform *c, struct solo *s, size_t first, const size_t *list, size_t count, uint32_t attempt);
/* Rows until each is OK or was there already. */
bool conform_deliver(struct conform *c, struct solo *s, size_t first, size_t count, uint32_t attempt);
/* The end of a wait that should have gone well. */
bool conform_lost(struct conform *c, struct solo *s, enum solo_wait wait, const char *when);
/* What one push came to, for the watch; conform_push does it. */
void conform_watch(struct conform *c, const struct solo_push *push);

/* The far end. false: the item has failed. */
bool conform_far(struct conform *c, const char *command);
/* How many different rows are there, or -1 without a command. */
int64_t conform_count(struct conform *c);
/* The far end has `more` rows more than `before`. */
bool conform_grew(struct conform *c, int64_t before, int64_t more, const char *after_what);

/* --- the items, by file --- */
void conform_life(struct conform *c, enum item_id id);    /* conform_life.c: loading, opening, stopping, settings */
void conform_rows_in(struct conform *c, enum item_id id); /* conform_rows.c: what rows do */
void conform_cost(struct conform *c, enum item_id id);    /* conform_cost.c: memory, handles, threads, valgrind */

/* conform_elf.c: names that a shared object exports beside hg_plugin, into `out`; how many, or -1: not readable. */
int conform_exports(const char *path, char *out, size_t size);

#endif
