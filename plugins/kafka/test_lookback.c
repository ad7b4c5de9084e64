/* What reading the topic back keeps in mind: which rows are looked for, whether the next push brings the same ones, and
 * how far each partition has been read. Brokers come into it in test/servers alone: librdkafka's own small cluster
 * keeps no times of records. Whatever asks one fails here. */
#include "lookback.c" /* its own functions are tried */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* --- instead of the producer --- */

static size_t asked;

int producer_failed(struct producer *p, const char *step, const char *text)
{
    snprintf(p->error, sizeof(p->error), "%s: %s", step, text);
    return -1;
}

int producer_patience(struct producer *p, int64_t deadline)
{
    (void)p;
    return (int)deadline;
}

int64_t producer_deadline(const struct producer *p)
{
    (void)p;
    return 0; /* there is no time */
}

rd_kafka_t *producer_handle(struct producer *p, enum producer_kind kind)
{
    (void)kind;
    asked++;
    producer_failed(p, "asked", "nobody is there");
    return NULL;
}

void producer_handle_end(rd_kafka_t *handle)
{
    (void)handle;
    fail_msg("there is no handle");
}

rd_kafka_resp_err_t producer_ask(struct producer *p, rd_kafka_t *handle, producer_question question, void *arg,
                                 int64_t deadline)
{
    (void)p, (void)handle, (void)question, (void)arg, (void)deadline;
    return RD_KAFKA_RESP_ERR__FAIL;
}

rd_kafka_resp_err_t producer_topic(struct producer *p, rd_kafka_t *handle, void *list, int ms)
{
    (void)p, (void)handle, (void)list, (void)ms;
    return RD_KAFKA_RESP_ERR__FAIL;
}

/* --- rows --- */

struct hg_row {
    const char *id;
    int64_t received; /* microseconds */
    uint32_t origin;
};

struct hg_rows {
    const struct hg_row *rows;
    size_t count;
};

static size_t api_row_count(const struct hg_rows *rows)
{
    return rows->count;
}

static const struct hg_row *api_row(const struct hg_rows *rows, size_t n)
{
    return &rows->rows[n];
}

static void api_row_id(const struct hg_row *row, char out[HG_ROW_ID_SIZE])
{
    snprintf(out, HG_ROW_ID_SIZE, "%s", row->id);
}

static int64_t api_received(const struct hg_row *row)
{
    return row->received;
}

static uint32_t api_origin(const struct hg_row *row)
{
    return row->origin;
}

static const struct hg_api api = {
    .row_count = api_row_count, .row = api_row, .row_id = api_row_id, .received = api_received, .origin = api_origin};

/* Neither in the order of their ids nor of their times; the second one is not looked for. */
static const struct hg_row four[] = {
    {"c", 3000000, HG_LIVE}, {"d", 1000000, HG_REPLAY}, {"a", 2000999, HG_RETRIED}, {"b", 4000000, HG_LIVE}};
static const struct hg_rows push = {four, 4};

static struct lookback looking(void)
{
    struct lookback l = {.rows = NULL};
    assert_int_equal(rows_take(&l, &api, &push), 0);
    return l;
}

static void test_rows_are_found_by_their_ids(void **state)
{
    char text[2 * HG_ROW_ID_SIZE];
    struct lookback l = looking();
    (void)state;
    assert_int_equal(l.row_count, 3);
    assert_int_equal(row_find(&l, "c", 1)->n, 0);
    assert_int_equal(row_find(&l, "a", 1)->n, 2);
    assert_int_equal(row_find(&l, "bother", 1)->n, 3); /* a header's value ends nowhere */
    assert_null(row_find(&l, "d", 1));
    assert_null(row_find(&l, "bother", 6));
    assert_null(row_find(&l, "", 0));
    memset(text, 'a', sizeof(text));
    assert_null(row_find(&l, text, HG_ROW_ID_SIZE - 1));
    assert_null(row_find(&l, text, sizeof(text)));
    assert_int_equal(oldest_ms(&l, &api, &push), 2000); /* the older one is a replay's */
    lookback_end(&l);
    assert_null(l.rows);
}

/* What was read for other rows is of no use: also when there are more, fewer, or they stand elsewhere in the push. */
static void test_the_same_rows(void **state)
{
    struct lookback l = looking();
    struct hg_row other[5];
    (void)state;
    assert_int_equal(rows_same(&l, &api, &push), 1);
    for (size_t n = 0; n < 4; n++) {
        memcpy(other, four, sizeof(four));
        other[n].id = "e";
        assert_int_equal(rows_same(&l, &api, &(struct hg_rows){other, 4}), n == 1);
        memcpy(other, four, sizeof(four));
        other[n].origin = n == 1 ? HG_LIVE : HG_REPLAY;
        assert_int_equal(rows_same(&l, &api, &(struct hg_rows){other, 4}), 0);
    }
    assert_int_equal(rows_same(&l, &api, &(struct hg_rows){four, 3}), 0);
    memcpy(other, four, sizeof(four));
    other[4] = (struct hg_row){"e", 0, HG_LIVE};
    assert_int_equal(rows_same(&l, &api, &(struct hg_rows){other, 5}), 0);
    other[0] = four[2];
    other[2] = four[0];
    assert_int_equal(rows_same(&l, &api, &(struct hg_rows){other, 4}), 0);
    lookback_end(&l);
}

static void test_partitions_end(void **state)
{
    struct lookback_part parts[] = {{0, 5, 8}, {1, 0, 0}, {2, 7, 9}};
    struct lookback l = {.parts = parts, .part_count = 3, .open = 2};
    (void)state;
    part_read(&l, 0, 6);
    part_read(&l, 1, 1); /* had nothing */
    part_read(&l, 3, 1); /* is none of them */
    part_read(&l, -1, 1);
    assert_int_equal(l.open, 2);
    part_read(&l, 0, 8);
    assert_int_equal(l.open, 1);
    part_read(&l, 0, 9); /* what came meanwhile */
    assert_int_equal(l.open, 1);
    part_read(&l, 2, 12); /* offsets that a compaction or a transaction's end took are jumped over */
    assert_int_equal(l.open, 0);
}

/* Nothing is asked for rows that are to be written again anyway. */
static void test_replays_alone(void **state)
{
    const struct hg_row rows[] = {{"a", 1, HG_REPLAY}, {"b", 2, HG_REPLAY}};
    struct producer p = {.api = &api};
    struct lookback l = {.rows = NULL};
    (void)state;
    asked = 0;
    assert_int_equal(lookback_run(&l, &p, &(struct hg_rows){rows, 2}), 0);
    assert_int_equal(asked, 0);
    assert_int_equal(l.there[0] + l.there[1], 0);
    lookback_end(&l);
}

/* The place is kept for the same rows, and begun anew for others. */
static void test_a_push_that_is_too_short(void **state)
{
    struct producer p = {.api = &api};
    struct lookback l = looking();
    (void)state;
    asked = 0;
    l.parts = calloc(1, sizeof(*l.parts));
    l.part_count = l.open = 1;
    l.records = 7;
    l.there[2] = 1;
    assert_int_equal(lookback_run(&l, &p, &push), 1);
    assert_non_null(strstr(p.error, "7 records so far, 1 of 1 partitions"));
    assert_int_equal(asked, 0);
    assert_int_equal(l.there[2], 1);
    l.open = 0;
    assert_int_equal(lookback_run(&l, &p, &push), 0);
    assert_int_equal(asked, 0);
    assert_int_equal(l.there[2], 1);
    assert_int_equal(lookback_run(&l, &p, &(struct hg_rows){four, 3}), -1);
    assert_int_equal(asked, 1);
    assert_null(l.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_found_by_their_ids),
        cmocka_unit_test(test_the_same_rows),
        cmocka_unit_test(test_partitions_end),
        cmocka_unit_test(test_replays_alone),
        cmocka_unit_test(test_a_push_that_is_too_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
