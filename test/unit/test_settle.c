/* Settle streams: entries come back in order; a torn end is overwritten and damage costs one entry; segments that are
 * gone take their streams along. */
#include "delivery/settle.h"
#include "nth_call.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

static void file_of(uint64_t segment, char out[128])
{
    snprintf(out, 128, "%s/settle/%016" PRIx64, dir, segment);
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/headgate-settle-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    char path[128];
    (void)state;
    for (uint64_t segment = 0; segment <= 0x3000; segment += 0x1000) {
        file_of(segment, path);
        (void)unlink(path);
    }
    snprintf(path, sizeof path, "%s/settle", dir);
    (void)rmdir(path);
    return rmdir(dir);
}

static struct settle_entry entry(uint64_t segment, uint32_t row)
{
    return (struct settle_entry){.place = {segment + 100, row},
                                 .rows = row + 1,
                                 .end = segment + 200,
                                 .attempts = 2,
                                 .outcome = OUTCOME_DEAD,
                                 .segment = segment};
}

struct seen {
    struct settle_entry entries[32];
    uint32_t count;
};

static void see(void *arg, const struct settle_entry *e)
{
    struct seen *s = arg;
    assert_true(s->count < 32);
    s->entries[s->count++] = *e;
}

static uint32_t count_of(uint64_t segment, struct seen *s)
{
    s->count = 0;
    assert_int_equal(settle_read(dir, segment, see, s), ERR_OK);
    return s->count;
}

static void append(uint64_t segment, uint32_t from, uint32_t count)
{
    struct settle_entry entries[8];
    struct err e;
    for (uint32_t i = 0; i < count; i++)
        entries[i] = entry(segment, from + i);
    assert_int_equal(settle_append(dir, entries, count, &e), ERR_OK);
}

static void test_order(void **state)
{
    struct seen s;
    (void)state;
    assert_int_equal(count_of(0x1000, &s), 0);
    append(0x1000, 0, 3);
    append(0x1000, 3, 4);
    assert_int_equal(count_of(0x1000, &s), 7);
    for (uint32_t i = 0; i < 7; i++) {
        struct settle_entry want = entry(0x1000, i);
        assert_int_equal(place_cmp(s.entries[i].place, want.place), 0);
        assert_int_equal(s.entries[i].rows, want.rows);
        assert_int_equal(s.entries[i].end, want.end);
        assert_int_equal(s.entries[i].attempts, 2);
        assert_int_equal(s.entries[i].outcome, OUTCOME_DEAD);
    }
}

static void test_of_one_row_set(void **state)
{
    struct settle_entry entries[8];
    struct seen s = {.count = 0};
    struct err e;
    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(entries); i++) {
        entries[i] = entry(0x1000, i);
        entries[i].place.position += i;
    }
    entries[2].place = entries[6].place = entries[4].place;
    entries[5].rows = 0;
    assert_int_equal(settle_append(dir, entries, COUNT_OF(entries), &e), ERR_OK);
    assert_int_equal(settle_find(dir, 0x1000, entries[4].place.position, see, &s), ERR_OK);
    assert_int_equal(s.count, 4);
    for (uint32_t i = 0; i < s.count; i++)
        assert_true(s.entries[i].place.position == entries[4].place.position || s.entries[i].rows == 0);
    assert_int_equal(settle_find(dir, 0x2000, entries[4].place.position, see, &s), ERR_OK);
    assert_int_equal(s.count, 4);
}

static void test_two_segments_in_one_call(void **state)
{
    struct settle_entry entries[3] = {entry(0x1000, 0), entry(0x2000, 0), entry(0x2000, 1)};
    struct seen s;
    struct err e;
    (void)state;
    assert_int_equal(settle_append(dir, entries, 3, &e), ERR_OK);
    assert_int_equal(count_of(0x1000, &s), 1);
    assert_int_equal(count_of(0x2000, &s), 2);
    settle_trim(dir, 0x2000);
    assert_int_equal(count_of(0x1000, &s), 0);
    assert_int_equal(count_of(0x2000, &s), 2);
}

static void test_torn_end(void **state)
{
    struct seen s;
    char path[128];
    (void)state;
    append(0x1000, 0, 3);
    file_of(0x1000, path);
    for (off_t cut = 1; cut < SETTLE_ENTRY_BYTES; cut += 13) {
        assert_int_equal(truncate(path, 2 * SETTLE_ENTRY_BYTES + cut), 0);
        assert_int_equal(count_of(0x1000, &s), 2);
        append(0x1000, 2, 1); /* in the place of the torn one */
        assert_int_equal(count_of(0x1000, &s), 3);
        assert_int_equal(s.entries[2].place.row, 2);
    }
}

static void test_damage_costs_one(void **state)
{
    struct seen s;
    char path[128];
    (void)state;
    append(0x1000, 0, 5);
    file_of(0x1000, path);
    for (off_t at = 0; at < 5 * SETTLE_ENTRY_BYTES; at++) {
        int fd = open(path, O_RDWR);
        unsigned char byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x20;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(count_of(0x1000, &s), 4);
        byte ^= 0x20;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
    }
    assert_int_equal(count_of(0x1000, &s), 5);
}

/* Whichever call fails, it is said, and the same entries may be written again: those that are there twice mean the
 * same.
 */
static void test_each_call_fails(void **state)
{
    struct settle_entry entries[2] = {entry(0x1000, 0), entry(0x2000, 0)};
    struct seen s;
    struct err e;
    char path[128];
    bool done = false;
    (void)state;
    for (long n = 0; !done; n++) {
        e.text[0] = '\0';
        nth_begin(n, EIO);
        int code = settle_append(dir, entries, 2, &e);
        done = nth_end();
        assert_int_equal(code, done ? ERR_OK : ERR_IO);
        assert_true(done || e.text[0] != '\0');
        assert_int_equal(settle_append(dir, entries, 2, &e), ERR_OK);
        for (uint64_t segment = 0x1000; segment <= 0x2000; segment += 0x1000) {
            assert_in_range(count_of(segment, &s), 1, 2);
            assert_int_equal(s.entries[s.count - 1].place.position, segment + 100);
            file_of(segment, path);
            assert_int_equal(unlink(path), 0);
        }
    }
    append(0x1000, 0, 3);
    for (long n = 0; n < 2; n++) {
        nth_begin(n, EIO);
        assert_int_equal(settle_read(dir, 0x1000, see, &s), ERR_IO);
        assert_false(nth_end());
    }
    s.count = 0;
    nth_begin(1, EINTR);
    assert_int_equal(settle_read(dir, 0x1000, see, &s), ERR_OK);
    assert_false(nth_end());
    assert_int_equal(s.count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_one_row_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_segments_in_one_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_costs_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_call_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
