/* The small parts of a host: its memory, its open files, its counters, the verdicts of a push. */
#include "host/lent.h"
#include "host/loft.h"
#include "host/shelf.h"
#include "host/tally.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- loft --- */

static void pieces_do_not_move(void **state)
{
    (void)state;
    struct loft l;
    char *pieces[200];
    loft_init(&l, 64 << 20);
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        pieces[i] = loft_take(&l, i * 97);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 8, 0);
        memset(pieces[i], (int)i, i * 97);
    }
    for (size_t i = 1; i < COUNT_OF(pieces); i++)
        assert_int_equal((unsigned char)pieces[i][i * 97 - 1], i);
    loft_fini(&l);
}

static void memory_is_kept_and_given_back(void **state)
{
    (void)state;
    struct loft l;
    loft_init(&l, 10 << 20);
    assert_non_null(loft_take(&l, 100));
    assert_non_null(loft_take(&l, 3 << 20));
    loft_reset(&l, 1 << 20);
    assert_in_range(l.total, 1, 1 << 20);
    size_t kept = l.total;
    assert_non_null(loft_take(&l, 100));
    assert_int_equal(l.total, kept);
    assert_null(loft_take(&l, 11 << 20)); /* more than there may be */
    assert_non_null(loft_take(&l, 9 << 20));
    assert_null(loft_take(&l, 2 << 20));
    assert_null(loft_take(&l, SIZE_MAX));
    loft_reset(&l, 0);
    assert_int_equal(l.total, 0);
    loft_fini(&l);
}

/* --- shelf --- */

static struct shelf_file file_of(uint32_t store, uint64_t base)
{
    return (struct shelf_file){.store = store, .base = base, .fd = open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void files_by_store_and_base(void **state)
{
    (void)state;
    struct shelf s;
    struct shelf_file out, journal = file_of(0, 5), aside = file_of(1, 5), again = file_of(0, 5);
    shelf_init(&s);
    assert_int_equal(shelf_put(&s, &journal), 0);
    assert_int_equal(shelf_put(&s, &aside), 0);
    assert_int_equal(shelf_put(&s, &again), 0);
    assert_false(is_open(again.fd)); /* was there already */
    assert_int_equal(shelf_take(&s, 1, 5, &out), 0);
    assert_int_equal(out.fd, aside.fd);
    assert_false(shelf_return(&s, out.serial));
    assert_int_equal(shelf_take(&s, 1, 6, &out), ERR_NOTFOUND);
    assert_true(shelf_drop(&s, 0, 77)); /* never was */
    shelf_fini(&s);
    assert_false(is_open(journal.fd) || is_open(aside.fd));
}

static void a_dropped_file_stays_while_it_is_used(void **state)
{
    (void)state;
    struct shelf s;
    struct shelf_file a, b, c, file = file_of(0, 5), next = file_of(0, 5);
    shelf_init(&s);
    assert_int_equal(shelf_put(&s, &file), 0);
    assert_int_equal(shelf_take(&s, 0, 5, &a), 0);
    assert_int_equal(shelf_take(&s, 0, 5, &b), 0);
    assert_false(shelf_drop(&s, 0, 5));
    assert_int_equal(shelf_take(&s, 0, 5, &c), ERR_NOTFOUND);
    assert_int_equal(shelf_put(&s, &next), 0); /* the same place again, another file */
    assert_int_equal(shelf_take(&s, 0, 5, &c), 0);
    assert_int_not_equal(c.serial, a.serial);
    assert_false(shelf_return(&s, a.serial));
    assert_true(is_open(file.fd));
    assert_true(shelf_return(&s, b.serial));
    assert_false(is_open(file.fd));
    assert_true(is_open(next.fd));
    assert_false(shelf_return(&s, c.serial));
    assert_true(shelf_drop(&s, 0, 5));
    assert_false(is_open(next.fd));
    shelf_fini(&s);
}

static void a_shelf_is_not_endless(void **state)
{
    (void)state;
    struct shelf s;
    shelf_init(&s);
    for (uint64_t i = 0; i < SHELF_MAX; i++) {
        const struct shelf_file file = {.base = i, .fd = -1};
        assert_int_equal(shelf_put(&s, &file), 0);
    }
    const struct shelf_file file = {.base = SHELF_MAX, .fd = -1};
    assert_int_equal(shelf_put(&s, &file), ERR_LIMIT);
    shelf_fini(&s);
}

/* --- tally --- */

static void counts_are_summed_and_taken(void **state)
{
    (void)state;
    struct tally t;
    char name[TALLY_NAME_MAX + 1], long_name[80];
    uint64_t add;
    uint32_t at = 0;
    tally_init(&t);
    assert_true(tally_add(&t, "a", 1));
    assert_true(tally_add(&t, "b_2", 5));
    assert_true(tally_add(&t, "a", 2));
    assert_false(tally_add(&t, "A", 2));
    assert_false(tally_add(&t, "", 2));
    assert_false(tally_add(&t, NULL, 2));
    memset(long_name, 'a', 64);
    long_name[64] = '\0';
    assert_false(tally_add(&t, long_name, 1));
    assert_true(tally_take(&t, &at, name, &add));
    assert_string_equal(name, "a");
    assert_int_equal(add, 3);
    assert_true(tally_take(&t, &at, name, &add));
    assert_int_equal(add, 5);
    assert_false(tally_take(&t, &at, name, &add));
    at = 0;
    assert_false(tally_take(&t, &at, name, &add)); /* nothing new */
    for (int i = 0; i < TALLY_NAMES - 2; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_true(tally_add(&t, name, 1));
    }
    assert_false(tally_add(&t, "one_too_many", 1));
    assert_true(tally_add(&t, "a", 1));
    tally_fini(&t);
}

/* --- lent rows --- */

static void reasons_are_cut_between_characters(void **state)
{
    (void)state;
    char text[1100];
    memset(text, 'x', sizeof text);
    text[1023] = '\0';
    assert_int_equal(reason_cut(text), 1023);
    text[1023] = 'x';
    text[1024] = '\0';
    assert_int_equal(reason_cut(text), 1024);
    memcpy(text + 1022, "\xE2\x82\xAC more", 9); /* a character of three bytes over the end */
    assert_int_equal(reason_cut(text), 1022);
    assert_int_equal(reason_cut(""), 0);
}

static void lend(struct hg_rows *l, uint32_t rows)
{
    struct buf spans;
    const struct lent_record like = {.position = 4096, .place = 4096, .rows = rows};
    static const char data[] = "[{},{},{}]";
    buf_init(&spans, 1 << 20);
    for (uint32_t i = 0; i < rows; i++) {
        const struct row_span span = {1 + 3 * i, 2, i};
        assert_int_equal(buf_add(&spans, &span, sizeof span), 0);
    }
    struct record r = {.rows = rows, .spans = buf_slice(&spans), .data = slice_of(data), .context = slice_make("", 0)};
    assert_int_equal(lent_add(l, &like, &r, 0, rows), 0);
    buf_free(&spans);
}

static void verdicts_are_given_once(void **state)
{
    (void)state;
    struct hg_rows l;
    lent_init(&l);
    lend(&l, 3);
    assert_int_equal(l.bytes, 6);
    lent_judge(&l, 0, HG_REJECT, -5, "why");
    lent_judge(&l, 0, HG_OK, 0, NULL);
    lent_judge(&l, 1, HG_REJECT, 7, "why");
    lent_judge(&l, 2, HG_RETRY, 7, "");
    lent_judge(&l, 3, HG_OK, 0, NULL);
    lent_judge(&l, 0, 0, 0, NULL);
    assert_int_equal(l.misuse, 2);
    assert_int_equal(l.rows[0].verdict, HG_REJECT);
    assert_int_equal(l.rows[0].after_ms, 0);
    assert_ptr_equal(l.rows[0].reason, l.rows[1].reason); /* one copy of the same reason */
    assert_int_equal(l.rows[1].reason_length, 3);
    assert_int_equal(l.rows[2].reason_length, 0);
    lent_not_now(&l, -1, NULL);
    assert_int_equal(l.reason_length, 0);
    lent_not_now(&l, 9, "busy");
    assert_int_equal(l.after_ms, 9);
    assert_int_equal(l.reason_length, 4);
    lent_reset(&l, false);
    assert_int_equal(l.count + l.misuse + l.reason_length, 0);
    lend(&l, 1);
    assert_int_equal(l.rows[0].verdict, 0);
    lent_fini(&l);
}

/* A pusher that gives each of very many rows its own long reason costs a bounded amount of memory. */
static void reasons_are_bounded(void **state)
{
    (void)state;
    struct hg_rows l;
    char reason[1025];
    lent_init(&l);
    for (int i = 0; i < 10000; i++)
        lend(&l, 1);
    for (uint32_t i = 0; i < 10000; i++) {
        snprintf(reason, sizeof reason, "%01024u", i);
        lent_judge(&l, i, HG_REJECT, 0, reason);
        assert_int_equal(l.rows[i].verdict, HG_REJECT);
    }
    assert_int_equal(l.rows[0].reason_length, 1024);
    assert_int_equal(l.rows[9999].reason_length, 0);
    assert_in_range(l.reasons.total, 1, REASON_BYTES_MAX);
    lent_fini(&l);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(pieces_do_not_move),
    cmocka_unit_test(memory_is_kept_and_given_back),
    cmocka_unit_test(files_by_store_and_base),
    cmocka_unit_test(a_dropped_file_stays_while_it_is_used),
    cmocka_unit_test(a_shelf_is_not_endless),
    cmocka_unit_test(counts_are_summed_and_taken),
    cmocka_unit_test(reasons_are_cut_between_characters),
    cmocka_unit_test(verdicts_are_given_once),
    cmocka_unit_test(reasons_are_bounded),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
