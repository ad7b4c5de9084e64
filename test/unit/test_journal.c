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
        cmocka_unit_test(test_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
