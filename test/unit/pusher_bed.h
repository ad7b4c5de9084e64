/* A pusher without its surroundings: a journal that is only numbers (a row set of `set_rows` rows at every STEP bytes),
 * a host that is the test itself, checkpoints that are written when the test says so. One pusher at a time. */
#ifndef TEST_PUSHER_BED_H
#define TEST_PUSHER_BED_H

#include "base/hash.h"
#include "base/sys.h"
#include "delivery/internal.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BASE = 1 << 16, FIRST = BASE + 4096, STEP = 64, BED_ROWS = 8 };

static struct {
    char *dir;
    struct pusher *p;
    struct pusher_settings settings;
    uint32_t flags, workers, running;
    uint64_t register_at;
    bool lost;
    int64_t now;
    /* the journal */
    struct journal_segment segments[2];
    uint32_t segment_count, set_rows, row_bytes;
    struct journal_mark mark;
    int unreadable; /* what reading a row says */
    /* orders */
    struct hand hand; /* the last, its items in `items` */
    struct hand_item items[CURSOR_WAITING];
    uint32_t hands, gos, starts, kills, stops, damages;
    struct checkpoint *cp;
    bool dead_full, park_full;
    char event[64], text[512];
    /* what was taken of the last hand-out */
    uint32_t rows, listed;
    struct place end;
} bed;

/* --- the table --- */

static void bed_hand(void *arg, struct pusher *p, const struct hand *hand)
{
    (void)arg, (void)p;
    bed.hand = *hand;
    bed.hands++;
    if (hand->item_count > 0)
        memcpy(bed.items, hand->items, hand->item_count * sizeof *hand->items);
}

static void bed_go(void *arg, struct pusher *p, uint32_t worker, uint64_t token)
{
    (void)arg, (void)p, (void)worker, (void)token;
    bed.gos++;
}

static void bed_start(void *arg, struct pusher *p)
{
    (void)arg, (void)p;
    bed.starts++;
}

static void bed_kill(void *arg, struct pusher *p, enum host_end why)
{
    (void)arg, (void)p, (void)why;
    bed.kills++;
}

static void bed_stop(void *arg, struct pusher *p)
{
    (void)arg, (void)p;
    bed.stops++;
}

static void bed_checkpoint(void *arg, struct pusher *p, struct checkpoint *cp)
{
    (void)arg, (void)p;
    bed.cp = cp;
}

static int bed_segment_at(void *arg, uint64_t position, struct journal_segment *out)
{
    (void)arg;
    for (uint32_t i = 0; i < bed.segment_count; i++)
        if (position < bed.segments[i].end) {
            *out = bed.segments[i];
            return ERR_OK;
        }
    return ERR_NOTFOUND;
}

static struct journal_mark bed_durable(void *arg)
{
    (void)arg;
    return bed.mark;
}

static bool bed_full(void *arg, enum aside_state state, uint64_t more)
{
    (void)arg, (void)more;
    return state == ASIDE_DEAD ? bed.dead_full : bed.park_full;
}

static uint32_t bed_running(void *arg)
{
    (void)arg;
    return bed.running;
}

static void bed_damage(void *arg, struct pusher *p, uint64_t from, uint64_t to)
{
    (void)arg, (void)p, (void)from, (void)to;
    bed.damages++;
}

static void bed_changed(void *arg, struct pusher *p, const char *event, const char *text)
{
    (void)arg, (void)p;
    snprintf(bed.event, sizeof bed.event, "%s", event);
    snprintf(bed.text, sizeof bed.text, "%s", text);
}

static int bed_row_at(void *arg, void **session, uint64_t position, struct record *record)
{
    static char context[16] = {(char)(CONTEXT_UUID & 0xff), (char)(CONTEXT_UUID >> 8), 5, 0, 'p', 'l', 'a', 't', 'e'};
    static struct row_span spans[BED_ROWS];
    static char data[1 << 20];
    (void)arg, (void)session;
    for (uint32_t i = 0; i < bed.set_rows; i++)
        spans[i] = (struct row_span){.offset = 0, .length = bed.row_bytes};
    *record = (struct record){.type = RECORD_ROWS,
                              .position = position,
                              .first_row = (position - FIRST) / STEP * bed.set_rows,
                              .rows = bed.set_rows,
                              .context = slice_make(context, sizeof context),
                              .spans = slice_make(spans, bed.set_rows * sizeof *spans),
                              .data = slice_make(data, bed.row_bytes)};
    return bed.unreadable;
}

static int bed_row_next(void *arg, void **session, uint64_t *position, uint64_t limit, struct record *record)
{
    uint64_t at = (*position + STEP - 1) / STEP * STEP;
    if (at >= limit)
        return ERR_NOTFOUND;
    *position = at + STEP;
    return bed_row_at(arg, session, at, record);
}

static void bed_rows_end(void *arg, void **session)
{
    (void)arg, (void)session;
}

static const struct row_source bed_source = {.at = bed_row_at, .next = bed_row_next, .end = bed_rows_end};

static const struct pusher_ops bed_ops = {.hand = bed_hand,
                                          .go = bed_go,
                                          .start = bed_start,
                                          .kill = bed_kill,
                                          .stop = bed_stop,
                                          .checkpoint = bed_checkpoint,
                                          .segment_at = bed_segment_at,
                                          .durable = bed_durable,
                                          .source = &bed_source,
                                          .aside_full = bed_full,
                                          .running = bed_running,
                                          .damage = bed_damage,
                                          .changed = bed_changed};

/* --- the bed --- */

/* A folder, a journal of one segment with `sets` row sets of one row, settings under which nothing waits. */
static inline void bed_init(uint64_t sets)
{
    memset(&bed, 0, sizeof bed);
    bed.dir = scratch_make();
    bed.settings = (struct pusher_settings){
        .batch_rows = 100, .batch_bytes = 1 << 20, .timeout_ms = 10000, .retry_min_ms = 1, .retry_max_ms = 1};
    bed.workers = bed.running = 1;
    bed.now = 1000;
    bed.set_rows = 1;
    bed.row_bytes = 20;
    bed.register_at = FIRST;
    bed.segment_count = 1;
    bed.segments[0] = (struct journal_segment){
        .base = BASE, .first = FIRST, .end = FIRST + sets * STEP, .epoch = {{7}}, .head = true};
    bed.mark = (struct journal_mark){FIRST + sets * STEP, sets};
}

static inline int bed_open(struct err *e)
{
    const struct pusher_init init = {.name = "p",
                                     .plugin = "p",
                                     .dir = bed.dir,
                                     .settings = &bed.settings,
                                     .flags = bed.flags,
                                     .workers = bed.workers,
                                     .ops = &bed_ops,
                                     .register_at = bed.register_at,
                                     .oldest = FIRST,
                                     .seed = 1};
    bed.cp = NULL;
    return pusher_new(&bed.p, &init, bed.now, &bed.lost, e);
}

static inline void bed_fini(void)
{
    pusher_free(&bed.p);
    scratch_remove(&bed.dir);
}

/* --- what happens --- */

/* The checkpoint that was drawn up is written, or fails. */
static inline int bed_write(void)
{
    struct err e = {.text = ""};
    struct checkpoint *cp = bed.cp;
    int code = checkpoint_write(cp, &e);
    bed.cp = NULL;
    pusher_checkpointed(bed.p, code, e.text, bed.now);
    return code;
}

/* Time passes, and what is to be written is written. */
static inline void bed_pass(int64_t ms)
{
    bed.now += ms;
    (void)pusher_step(bed.p, bed.now);
    if (bed.cp != NULL)
        (void)bed_write();
}

/* Until nothing is left to be written. */
static inline void bed_quiet(void)
{
    for (int i = 0; i < 1000 && (bed.p->dirty || bed.p->writing != NULL); i++)
        bed_pass(1000);
    assert_false(bed.p->dirty || bed.p->writing != NULL);
}

/* Its host starts, and is ready. */
static inline void bed_ready(void)
{
    pusher_host_ready(bed.p, bed.now);
    bed_pass(0);
}

static inline void bed_run(void)
{
    pusher_want(bed.p, true, bed.now);
    bed_pass(0);
    bed_ready();
}

static inline bool bed_is_list(void)
{
    return bed.hand.what == HANDED_ROWS || bed.hand.what == HANDED_ASIDE;
}

/* The place of row `n` of the last hand-out. */
static inline struct place bed_place(uint32_t n)
{
    if (bed_is_list())
        return bed.items[n].place;
    return (struct place){bed.hand.from.position + n / bed.set_rows * STEP, n % bed.set_rows};
}

/* The host takes `rows` of what was handed out last, of a list all. */
static inline void bed_take(uint32_t rows)
{
    bed.rows = bed_is_list() ? bed.hand.item_count : rows;
    bed.listed = 0;
    bed.end = bed_is_list() ? bed.hand.from : bed_place(bed.rows);
    assert_int_equal(pusher_taken(bed.p, bed.hand.worker, bed.hand.token, bed_place(0), bed.end, bed.rows,
                                  bed.rows * 100, bed_place(0).position, 0, bed.now),
                     ERR_OK);
}

static inline int bed_tell(uint32_t n, uint32_t verdict)
{
    struct place place = bed_place(n);
    const struct judged row = {.place = place, .uuid_hash = place.position, .verdict = verdict, .rows = 1};
    int code = pusher_judged(bed.p, bed.hand.worker, bed.hand.token, &row, SLICE_LIT("because"));
    bed.listed += code == ERR_OK;
    return code;
}

static inline void bed_judge(uint32_t n, uint32_t verdict)
{
    assert_int_equal(bed_tell(n, verdict), ERR_OK);
}

/* The push ends: rows that were not told of were delivered, if any were. */
static inline void bed_done_only(enum hg_result result)
{
    const struct done done = {.result = result,
                              .rows = bed.rows,
                              .delivered = result == HG_NOT_NOW ? 0 : bed.rows - bed.listed,
                              .listed = bed.listed,
                              .end = bed.end};
    assert_int_equal(pusher_done(bed.p, bed.hand.worker, bed.hand.token, &done, bed.now), ERR_OK);
}

/* And the next step is made. */
static inline void bed_done(enum hg_result result)
{
    bed_done_only(result);
    bed_pass(0);
}

static inline void bed_down(enum host_end end, const char *reason)
{
    const struct host_down down = {.end = end, .lane = -1, .reason = reason};
    pusher_host_down(bed.p, &down, bed.now);
}

/* Its host ends and is started again. */
static inline void bed_again(enum host_end end)
{
    uint32_t starts = bed.starts;
    bed_down(end, "gone");
    bed_pass(1000);
    assert_int_equal(bed.starts, starts + 1);
    bed_ready();
}

/* The daemon begins again with what is on disk. */
static inline void bed_restart(void)
{
    struct err e;
    pusher_free(&bed.p);
    assert_int_equal(bed_open(&e), ERR_OK);
}

static inline uint64_t bed_total(int which)
{
    return bed.p->totals[which];
}

/* --- what the tests begin with, and look at --- */

static inline void begin(void)
{
    struct err e;
    assert_int_equal(bed_open(&e), ERR_OK);
    bed_run();
}

static inline struct aside_entry *aside_of(uint64_t position)
{
    return aside_find(&bed.p->aside, &bed.segments[0].epoch, (struct place){position, 0});
}

static inline struct pusher_view view_of(uint64_t position, uint32_t rows)
{
    struct pusher_view view;
    pusher_view(bed.p, position, rows, position, &view);
    return view;
}

#endif
