/* Where a puller is in its source, durably. The position itself travels in the journal, in one write with the rows that
 * it belongs to (RECORD_POSITION); segments go, so each puller has a small file that says where it was when the journal
 * had reached a certain place. What lies beyond that place is read from the journal at the next start.
 *
 * Any thread; the caller keeps two writers of one file apart. */
#ifndef HG_SUPERVISE_POSITION_H
#define HG_SUPERVISE_POSITION_H

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "journal/journal.h"

#include <stdbool.h>
#include <stdint.h>

enum { POSITION_MAX = 4096 }; /* HG_STATE_MAX */

struct position {
    uint64_t journal; /* everything of this puller before this place of the journal is in it */
    bool paused;
    uint32_t len;
    char bytes[POSITION_MAX];
};

/* ERR_NOTFOUND: there is none; ERR_DAMAGED: then the whole journal has to be searched. */
int position_read(const char *dir, struct position *out, struct err *e) MUST_CHECK;
/* Durable when it returns. The folder is there. */
int position_write(const char *dir, const struct position *p, struct err *e) MUST_CHECK;
/* The last one that the journal has for each puller (`find` gives NULL for a name that nobody asks for), from `from`
 * on. Blocking; before anything is appended. */
int position_search(struct journal *journal, uint64_t from, struct position *(*find)(void *arg, struct slice name),
                    void *arg, struct err *e) MUST_CHECK;

#endif
