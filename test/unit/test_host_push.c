/* A real headgate-host, played the daemon to: rows in order, limits, filters, verdicts. */
#include "hosted.h"

#include "base/hash.h"
#include "headgate.h"
#include "journal/record.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

/* Three row sets: a has rows 0..9, b 10..14, a again 15..19. */
struct three {
    struct maker m;
    uint64_t at[3];
};

static void three_open(struct three *t)
{
    maker_open(&t->m, 1 << 20);
    t->at[0] = maker_set(&t->m, "aaa", 10, 0, 10, NULL);
    t->at[1] = maker_set(&t->m, "bbb", 5, 10, 10, "odd");
    t->at[2] = maker_set(&t->m, "aaa", 5, 15, 10, NULL);
}

/* A host with `plugin` that has the journal of `m`. */
static void made_hosted(struct hosted *h, const struct maker *m, const char *plugin)
{
    hosted_init(h, plugin);
    hosted_ready(h);
    hosted_segment(h, m, STORE_JOURNAL);
}

static void three_hosted(struct hosted *h, struct three *t, const char *plugin)
{
    three_open(t);
    made_hosted(h, &t->m, plugin);
}

static void hosted_end(struct hosted *h, struct maker *m)
{
    hosted_stop(h);
    hosted_fini(h);
    maker_close(m);
}

static void expect_place(struct wire_place place, uint64_t position, uint32_t row)
{
    assert_int_equal(place.position, position);
    assert_int_equal(place.row, row);
}

/* FILE has exactly the rows `first` to `end` - 1, in order. */
static void expect_rows(const struct hosted *h, uint32_t first, uint32_t end)
{
    char *text = hosted_written(h), *rest = text;
    uint32_t n = first;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && line[0] != '\0'; n++) {
        const char *number = strstr(line, "\"n\":");
        assert_non_null(number);
        assert_int_equal(atoi(number + 4), n);
    }
    assert_int_equal(n, end);
    free(text);
}

static void all_rows_in_order(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    struct wire_taken taken;
    three_open(&t);
    hosted_init(&h, "chaos");
    hosted_ready(&h);
    assert_int_equal(h.m.ready.workers, 1);
    assert_int_equal(h.m.ready.confined, 0);
    hosted_segment(&h, &t.m, STORE_JOURNAL);
    struct wire_hand hand = hosted_range(&t.m, 5);
    hosted_push(&h, &hand, NULL, &taken);
    assert_int_equal(taken.head.token, 5);
    assert_int_equal(taken.rows, 20);
    expect_place(taken.first, t.at[0], 0);
    expect_place(taken.end, t.m.at, 0);
    assert_int_equal(taken.first_hash, hash_bytes(slice_of("aaa")));
    assert_int_equal(taken.end_row, 20);
    assert_int_equal(h.m.done.head.token, 5);
    assert_int_equal(h.m.done.result, HG_ALL_OK);
    assert_int_equal(h.m.done.rows, 20);
    assert_int_equal(h.m.done.delivered, 20);
    assert_int_equal(h.m.done.listed, 0);
    assert_int_equal(h.m.done.has_state, 0);
    assert_int_equal(h.m.done.bytes, taken.bytes);
    expect_place(h.m.done.end, t.m.at, 0);
    expect_rows(&h, 0, 20);
    char id[ROW_ID_LEN + 1], expected[256], *text = hosted_written(&h);
    row_id_text(&t.m.epoch, t.at[1], 4, id);
    snprintf(expected, sizeof expected, "%s 1 1 bbb 4. {\"odd\":true,\"n\":14,\"pad\":\"xxxxxxxxxx\"}\n", id);
    assert_non_null(strstr(text, expected));
    free(text);
    hosted_end(&h, &t.m);
}

/* Push after push from where the last one ended. */
static uint32_t push_all(struct hosted *h, const struct maker *m, struct wire_hand hand, uint32_t most)
{
    uint32_t pushes = 0;
    while (hand.from.position < m->at) {
        struct wire_taken taken;
        hand.head.token++;
        hosted_push(h, &hand, NULL, &taken);
        assert_true(taken.rows <= most);
        assert_true(taken.end.position > hand.from.position || taken.end.row > hand.from.row);
        hand.from = h->m.done.end;
        pushes += taken.rows > 0;
    }
    return pushes;
}

static void rows_per_push_are_limited(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    three_hosted(&h, &t, "chaos");
    struct wire_hand hand = hosted_range(&t.m, 0);
    hand.max_rows = 3;
    assert_int_equal(push_all(&h, &t.m, hand, 3), 7);
    expect_rows(&h, 0, 20);
    hosted_end(&h, &t.m);
}

static void bytes_per_push_are_limited(void **state)
{
    (void)state;
    struct maker m;
    struct hosted h;
    maker_open(&m, 0);
    maker_set(&m, "u", 10, 0, 1000, NULL);
    maker_set(&m, "u", 1, 10, 100000, NULL);
    maker_set(&m, "u", 10, 11, 1000, NULL);
    made_hosted(&h, &m, "chaos");
    struct wire_hand hand = hosted_range(&m, 0);
    hand.max_bytes = 3200;
    /* 3 rows each, but a row that is larger than the limit goes alone: 4 pushes, 1, 4. */
    assert_int_equal(push_all(&h, &m, hand, 3), 9);
    expect_rows(&h, 0, 21);
    hosted_end(&h, &m);
}

static void whole_sets_are_not_split(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    struct wire_taken taken;
    three_open(&t);
    hosted_init(&h, "whole");
    h.setup.workers = 8;
    hosted_ready(&h);
    assert_int_equal(h.m.ready.workers, 1); /* max_parallel */
    hosted_segment(&h, &t.m, STORE_JOURNAL);
    struct wire_hand hand = hosted_range(&t.m, 1);
    hand.max_rows = 7;
    hosted_push(&h, &hand, NULL, &taken);
    assert_int_equal(taken.rows, 10); /* larger than the limit: whole */
    hand.from = taken.end;
    hosted_push(&h, &hand, NULL, &taken);
    assert_int_equal(taken.rows, 5); /* both would be 10 */
    expect_place(taken.end, t.at[2], 0);
    assert_int_equal(taken.end_row, 15);
    expect_rows(&h, 0, 15);
    hosted_end(&h, &t.m);
}

static void a_plan_is_repeated_exactly(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    struct wire_taken taken;
    three_hosted(&h, &t, "chaos");
    struct wire_hand hand = hosted_range(&t.m, 1);
    hand.flags = HAND_EXACT;
    hand.max_rows = 2;
    hand.from = (struct wire_place){.position = t.at[0], .row = 4};
    hand.to = (struct wire_place){.position = t.at[1], .row = 2};
    hosted_push(&h, &hand, NULL, &taken);
    assert_int_equal(taken.rows, 8);
    expect_place(taken.first, t.at[0], 4);
    expect_place(taken.end, t.at[1], 2);
    assert_int_equal(taken.end_row, 12);
    expect_rows(&h, 4, 12);
    hosted_end(&h, &t.m);
}

/* Known by its limits alone: all that fits in, or nothing while a uuid of it is held; what stands behind it may be. */
static void a_batch_that_was_written_down_is_whole_or_not_at_all(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    struct wire_taken taken;
    three_hosted(&h, &t, "chaos");
    const uint64_t held[] = {hash_bytes(slice_of("bbb"))};
    struct wire_hand hand = hosted_range(&t.m, 1);
    hand.flags = HAND_CUT;
    hand.held = 1;
    hand.max_rows = 12;
    hosted_push(&h, &hand, held, &taken);
    assert_true(taken.rows == 0 && h.m.done.listed == 0 && h.m.done.result == HG_ALL_OK);
    expect_place(taken.end, hand.from.position, hand.from.row);
    expect_rows(&h, 0, 0);
    hand.max_rows = 10;
    hosted_push(&h, &hand, held, &taken);
    assert_true(taken.rows == 10 && taken.end_row == 10);
    assert_true(taken.end.position > t.at[0] && taken.end.position <= t.at[1] && taken.end.row == 0);
    expect_rows(&h, 0, 10);
    hosted_end(&h, &t.m);
}

static void a_range_ends_where_it_ends_at_the_latest(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    struct wire_taken taken;
    three_hosted(&h, &t, "chaos");
    struct wire_hand hand = hosted_range(&t.m, 1);
    hand.to = (struct wire_place){.position = t.at[1], .row = 2};
    hand.max_rows = 8;
    hosted_push(&h, &hand, NULL, &taken);
    expect_place(taken.end, t.at[0], 8);
    hand.from = taken.end;
    hosted_push(&h, &hand, NULL, &taken);
    assert_int_equal(taken.rows, 4);
    expect_place(taken.end, t.at[1], 2);
    hand.from = taken.end;
    hand.to = (struct wire_place){.position = t.at[2]};
    hosted_push(&h, &hand, NULL, &taken);
    assert_int_equal(taken.rows, 3);
    expect_place(taken.end, t.at[2], 0);
    expect_rows(&h, 0, 15);
    hosted_end(&h, &t.m);
}

static void shards_are_a_partition(void **state)
{
    (void)state;
    struct maker m;
    struct hosted h;
    maker_open(&m, 4096);
    for (uint32_t i = 0; i < 60; i++) {
        char uuid[16];
        snprintf(uuid, sizeof uuid, "uuid-%u", i % 20);
        maker_set(&m, uuid, 2, 2 * i, 4, NULL);
    }
    hosted_init(&h, "chaos");
    h.setup.workers = 3;
    hosted_ready(&h);
    assert_int_equal(h.m.ready.workers, 3);
    hosted_segment(&h, &m, STORE_JOURNAL);
    uint32_t rows[3] = {0};
    for (uint16_t lane = 0; lane < 3; lane++) {
        struct wire_hand hand = hosted_range(&m, 100 + lane);
        hand.head.lane = lane;
        hand.shard_count = 3;
        hand.shard = lane;
        hosted_hand(&h, &hand, NULL);
    }
    for (int seen = 0; seen < 3;) {
        hosted_receive(&h);
        if (h.m.head.type != WIRE_DONE)
            continue;
        assert_int_equal(h.m.head.token, 100 + h.m.head.lane);
        rows[h.m.head.lane] = h.m.done.delivered;
        seen++;
    }
    uint32_t expected[3] = {0};
    for (uint32_t i = 0; i < 60; i++) {
        char uuid[16];
        snprintf(uuid, sizeof uuid, "uuid-%u", i % 20);
        expected[hash_bytes(slice_of(uuid)) % 3] += 2;
    }
    for (int lane = 0; lane < 3; lane++)
        assert_int_equal(rows[lane], expected[lane]);
    assert_int_equal(hosted_lines(&h), 120);
    hosted_end(&h, &m);
}

static void held_rows_are_left_out_and_told(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    struct wire_taken taken;
    three_hosted(&h, &t, "chaos");
    const uint64_t held[] = {UINT64_MAX, hash_bytes(slice_of("aaa")), 1};
    struct wire_hand hand = hosted_range(&t.m, 1);
    hand.held = 3;
    hosted_push(&h, &hand, held, &taken);
    assert_int_equal(taken.rows, 5);
    assert_int_equal(h.m.done.delivered, 5);
    assert_int_equal(h.m.done.listed, 15);
    for (uint32_t i = 0; i < 15; i++) {
        assert_int_equal(h.rows[i].verdict, VERDICT_HELD);
        assert_int_equal(h.rows[i].uuid_hash, hash_bytes(slice_of("aaa")));
        expect_place(h.rows[i].place, i < 10 ? t.at[0] : t.at[2], i < 10 ? i : i - 10);
    }
    expect_rows(&h, 10, 15);

    /* All of it held: no push at all; and not more in one hand-out than could have been pushed. */
    const uint64_t both[] = {hash_bytes(slice_of("bbb")), hash_bytes(slice_of("aaa"))};
    hand.held = 2;
    hand.max_rows = 4;
    hosted_push(&h, &hand, both, &taken);
    assert_int_equal(taken.rows, 0);
    assert_int_equal(h.m.done.listed, 4);
    expect_place(taken.end, t.at[0], 4);
    assert_int_equal(taken.end_row, 4);
    expect_rows(&h, 10, 15);
    hosted_end(&h, &t.m);
}

/* Without order a uuid's row sets may go to any lane, but each to one. */
static void spread_by_position(void **state)
{
    (void)state;
    struct maker m;
    struct hosted h;
    uint32_t seen = 0;
    maker_open(&m, 0);
    for (uint32_t i = 0; i < 40; i++)
        maker_set(&m, "one", 1, i, 4, NULL);
    made_hosted(&h, &m, "chaos");
    struct wire_hand hand = hosted_range(&m, 1);
    hand.flags = HAND_SPREAD;
    hand.shard_count = 4;
    for (hand.shard = 0; hand.shard < 4; hand.shard++) {
        struct wire_taken taken;
        hosted_push(&h, &hand, NULL, &taken);
        assert_in_range(taken.rows, 1, 39);
        seen += taken.rows;
    }
    assert_int_equal(seen, 40);
    assert_int_equal(hosted_lines(&h), 40);
    hosted_end(&h, &m);
}

static void replay_with_new_ids(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    three_hosted(&h, &t, "chaos");
    struct wire_hand hand = hosted_range(&t.m, 1);
    struct epoch epoch;
    memset(epoch.bytes, 0x44, sizeof epoch.bytes);
    memcpy(hand.epoch, epoch.bytes, sizeof hand.epoch);
    hand.flags = HAND_REPLAY | HAND_NEW_IDS;
    hosted_push(&h, &hand, NULL, NULL);
    char id[ROW_ID_LEN + 1], *text = hosted_written(&h);
    row_id_text(&epoch, t.at[0], 0, id);
    assert_int_equal(strncmp(text, id, ROW_ID_LEN), 0);
    free(text);
    hosted_end(&h, &t.m);
}

static void replay_of_one_uuid(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    three_hosted(&h, &t, "chaos");
    struct wire_hand hand = hosted_range(&t.m, 1);
    hand.flags = HAND_REPLAY;
    hand.only_uuid = hash_bytes(slice_of("bbb"));
    hosted_push(&h, &hand, NULL, NULL);
    expect_rows(&h, 10, 15);
    char *text = hosted_written(&h);
    assert_non_null(strstr(text, " 1 3 bbb 0 ")); /* attempt 1, origin replay */
    free(text);
    hosted_end(&h, &t.m);
}

static void damage_is_told_and_stepped_over(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    struct wire_taken taken;
    three_open(&t);
    maker_damage(&t.m, t.at[0]);
    hosted_init(&h, "chaos");
    hosted_ready(&h);
    hosted_segment(&h, &t.m, STORE_JOURNAL);
    struct wire_hand hand = hosted_range(&t.m, 1);
    hosted_hand(&h, &hand, NULL);
    hosted_expect(&h, WIRE_DAMAGE);
    assert_true(h.m.damage.from <= t.at[0] && h.m.damage.to > t.at[0] && h.m.damage.to < t.at[1]);
    hosted_finish(&h, &taken);
    assert_int_equal(taken.rows, 10);
    expect_rows(&h, 10, 20);
    hosted_end(&h, &t.m);
}

/* Several pushes of one large record read it once; what is pushed is the same. */
static void a_large_record_in_parts(void **state)
{
    (void)state;
    struct maker m;
    struct hosted h;
    maker_open(&m, 0);
    maker_set(&m, "u", 20000, 0, 200, NULL);
    maker_set(&m, "u", 10, 20000, 200, NULL);
    made_hosted(&h, &m, "chaos");
    struct wire_hand hand = hosted_range(&m, 0);
    hand.max_rows = 1500;
    assert_int_equal(push_all(&h, &m, hand, 1500), 14);
    expect_rows(&h, 0, 20010);
    hosted_end(&h, &m);
}

static void a_segment_that_is_not_there(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    struct wire_taken taken;
    three_open(&t);
    hosted_init(&h, "chaos");
    hosted_ready(&h);
    struct wire_hand hand = hosted_range(&t.m, 1);
    hosted_push(&h, &hand, NULL, &taken);
    assert_int_equal(taken.rows, 0);
    expect_place(taken.end, hand.from.position, 0);
    assert_int_equal(h.m.done.result, HG_NOT_NOW);
    expect_place(h.m.done.end, hand.from.position, 0);
    assert_true(h.m.done.reason > 0);
    hosted_end(&h, &t.m);
}

static void segments_come_and_go(void **state)
{
    (void)state;
    struct three t;
    struct hosted h;
    three_hosted(&h, &t, "chaos");
    hosted_segment(&h, &t.m, STORE_JOURNAL); /* once more: no harm */
    struct wire_hand hand = hosted_range(&t.m, 1);
    hosted_push(&h, &hand, NULL, NULL);
    const struct wire_drop drop = {
        .head = {.magic = WIRE_MAGIC, .type = WIRE_DROP}, .store = STORE_JOURNAL, .base = t.m.base};
    hosted_send(&h, &drop, sizeof drop, -1);
    hosted_expect(&h, WIRE_DROPPED);
    assert_int_equal(h.m.drop.base, t.m.base);
    hosted_push(&h, &hand, NULL, NULL);
    assert_int_equal(h.m.done.result, HG_NOT_NOW);
    hosted_segment(&h, &t.m, STORE_JOURNAL);
    hosted_push(&h, &hand, NULL, NULL);
    assert_int_equal(h.m.done.delivered, 20);
    hosted_end(&h, &t.m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(all_rows_in_order),
    cmocka_unit_test(rows_per_push_are_limited),
    cmocka_unit_test(bytes_per_push_are_limited),
    cmocka_unit_test(whole_sets_are_not_split),
    cmocka_unit_test(a_plan_is_repeated_exactly),
    cmocka_unit_test(a_batch_that_was_written_down_is_whole_or_not_at_all),
    cmocka_unit_test(a_range_ends_where_it_ends_at_the_latest),
    cmocka_unit_test(shards_are_a_partition),
    cmocka_unit_test(held_rows_are_left_out_and_told),
    cmocka_unit_test(spread_by_position),
    cmocka_unit_test(replay_with_new_ids),
    cmocka_unit_test(replay_of_one_uuid),
    cmocka_unit_test(damage_is_told_and_stepped_over),
    cmocka_unit_test(a_large_record_in_parts),
    cmocka_unit_test(a_segment_that_is_not_there),
    cmocka_unit_test(segments_come_and_go),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
