/* The journal from outside: append, read, reopen, look up, lock, refuse. */
#include "journal_bed.h"

static void test_round_trip(void **state)
{
    (void)state;
    struct bed b;
    bed_init(&b);
    bed_open(&b);
    assert_int_equal(b.report.segments, 0);
    for (int i = 0; i < 300; i++)
        assert_int_equal(bed_put(&b, 1 + (uint32_t)i % 4, (size_t)(i * 37) % 3000), ERR_OK);
    bed_expect_all(&b);
    struct journal_mark mark = journal_durable(b.j);
    assert_int_equal(mark.rows, b.fact_count);
    bed_reopen(&b);
    assert_true(b.report.segments > 3);
    assert_int_equal(b.report.torn_bytes, 0);
    assert_int_equal(b.report.damages, 0);
    bed_expect_all(&b);
    struct journal_mark again = journal_durable(b.j);
    assert_true(again.position == mark.position && again.rows == mark.rows);
    for (int i = 0; i < 20; i++)
        assert_int_equal(bed_put(&b, 1, 500), ERR_OK);
    bed_expect_all(&b);
    for (int i = 0; i < 4; i++) {
        bed_reopen(&b);
        assert_int_equal(bed_put(&b, 2, 50), ERR_OK);
        bed_expect_all(&b);
    }
    bed_fini(&b);
}

/* One request that takes exactly `length` bytes in the journal. */
static void put_exactly(struct bed *b, uint64_t length, uint64_t *position)
{
    size_t size = 0;
    for (uint32_t taken = 0; taken != length; size += taken < length ? length - taken : 0) {
        struct put p;
        put_init(&p, 1, b->serial + 1, size, NULL);
        taken = record_length(&p.records[0]);
        put_fini(&p);
        assert_true(taken <= length);
        if (taken == length)
            break;
    }
    assert_int_equal(bed_put_key(b, 1, size, NULL, position), ERR_OK);
}

/* To the last byte of a segment, and eight more than that. */
static void test_segment_edge(void **state)
{
    (void)state;
    for (int more = 0; more <= 8; more += 8) {
        struct bed b;
        struct journal_segment s;
        uint64_t position;
        bed_init(&b);
        bed_open(&b);
        assert_int_equal(bed_put(&b, 1, 1000), ERR_OK);
        assert_int_equal(journal_oldest(b.j, &s), ERR_OK);
        uint64_t rest = s.base + BED_SEGMENT - s.end;
        put_exactly(&b, rest - GROUP_HEADER + (uint64_t)more, &position);
        assert_true((position < s.base + BED_SEGMENT) == (more == 0));
        assert_int_equal(bed_put(&b, 1, 1000), ERR_OK);
        bed_expect_all(&b);
        bed_reopen(&b);
        bed_expect_all(&b);
        char path[PATH_MAX];
        struct stat st;
        assert_int_equal(file_path(b.dir, s.base, FILE_SEGMENT, path), ERR_OK);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, BED_SEGMENT);
        bed_fini(&b);
    }
}

static void test_lock(void **state)
{
    (void)state;
    struct bed b;
    struct journal *second = NULL;
    struct journal_report report;
    struct err e;
    bed_init(&b);
    bed_open(&b);
    assert_int_equal(journal_open(&second, &b.options, &report, &e), ERR_BUSY);
    assert_null(second);
    journal_close(&b.j);
    bed_open(&b);
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_segment_edge),
        cmocka_unit_test(test_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
