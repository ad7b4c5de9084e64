/* The rows of one pusher that its lanes have passed but that are not settled: to be tried again, held behind an earlier
 * row of their uuid, or suspected of having crashed the plugin. Kept in journal order, bounded by CURSOR_WAITING,
 * stored in the cursor. For a pusher whose unit is the set, one of them may stand for a whole set (place.row
 * PLACE_SET). Loop thread only. */
#ifndef HG_DELIVERY_WAITING_H
#define HG_DELIVERY_WAITING_H

#include "base/err.h"
#include "delivery/cursor.h"

enum giving { GIVE_NO, GIVE_SKIP, GIVE_DEAD, GIVE_BY_HAND };

struct waiting_row {
    struct cursor_waiting c;
    int64_t due_ms;   /* monotonic: not before */
    int64_t since_ms; /* monotonic: c.waited_ms counts from here on */
    uint64_t passed;  /* the pusher's count of passed rows when it began to wait: others pass when it has grown */
    uint64_t pick;    /* the hand-out it was taken for last */
    uint8_t crashes;  /* of the plugin with this row alone, in a fresh host */
    uint8_t give_up;  /* enum giving: an operator, or a limit, lets it go */
    bool suspected;   /* it was there when the plugin crashed */
    bool solo;        /* to be handed out alone */
    bool out;         /* with a worker */
    int signal;       /* of the last crash */
    char reason[160];
};

struct waiting {
    struct waiting_row *rows; /* sorted by place */
    size_t count, cap;
};

void waiting_fini(struct waiting *w);
/* Room for more rows? */
size_t waiting_room(const struct waiting *w);
/* Insert in order; a row that is there already is returned as it is. NULL when full or out of memory. */
struct waiting_row *waiting_add(struct waiting *w, struct place place, uint64_t uuid_hash, enum waiting_kind kind,
                                int64_t now);
/* Number of the first row that does not stand before `place`. */
size_t waiting_bound(const struct waiting *w, struct place place);
struct waiting_row *waiting_find(struct waiting *w, struct place place);
void waiting_remove(struct waiting *w, struct waiting_row *row);
/* The waited time so far. */
uint64_t waiting_age(const struct waiting_row *row, int64_t now);

#endif
