/* The cursor's two slots: what was written comes back; damage to one means the other; both damaged is said, never
 * guessed; a newer version is refused. */
#include "delivery/cursor.h"

#include "base/crc32c.h"
#include "nth_call.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];
static char path[80];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/headgate-cursor-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/cursor", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static struct cursor_waiting waits[3] = {
    {.place = {4200, 7}, .uuid_hash = 11, .attempts = 3, .plan = 9, .waited_ms = 12345, .kind = WAITING_RETRY},
    {.place = {4200, 8}, .uuid_hash = 11, .kind = WAITING_HELD},
    {.place = {9000, 0}, .uuid_hash = 13, .attempts = 3, .kind = WAITING_SUSPECT},
};

static struct cursor *sample(uint64_t sequence)
{
    struct cursor *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->sequence = sequence;
    c->registered = 4096;
    c->paused = true;
    c->lane_count = 2;
    c->lanes[0] = (struct place){8192 + sequence, 3};
    c->lanes[1] = (struct place){9000, 0};
    c->lane_rows[0] = 77;
    c->plans[1] = (struct cursor_plan){{9000, 0}, {9100, 2}, true};
    c->aheads[1] = (struct cursor_ahead){{9100, 2}, {16384, 20480}, 2, 1000, 1 << 20};
    c->waiting = waits;
    c->waiting_count = 3;
    c->replay_count = 1;
    c->replays[0] = (struct cursor_replay){.id = 5,
                                           .next = {4096, 1},
                                           .row = 44,
                                           .to_row = 99,
                                           .to = 9999,
                                           .only_uuid = 3,
                                           .sent = 4,
                                           .rate = 100,
                                           .new_ids = true,
                                           .epoch = {{1, 2, 3}}};
    for (size_t i = 0; i < TOTALS; i++)
        c->totals[i] = 100 + i;
    c->ruling_count = 2;
    c->rulings[0] = (struct cursor_ruling){9100, 17, RULING_DELIVERED};
    c->rulings[1] = (struct cursor_ruling){9200, 19, RULING_GIVEN_UP};
    c->state_len = 5;
    memcpy(c->state, "state", 5);
    return c;
}

static void put(uint64_t sequence)
{
    struct cursor *c = sample(sequence);
    struct err e;
    assert_int_equal(cursor_write(dir, c, &e), ERR_OK);
    free(c);
}

static uint64_t replay_row; /* as it was read back last */
static bool old_version;    /* it says nothing of rulings, and of nothing ahead */

/* The sequence that is read back, 0 when none can be; everything in it must be as it was written. */
static uint64_t get(int expected)
{
    struct cursor *c = calloc(1, sizeof *c);
    struct err e = {0};
    assert_non_null(c);
    assert_int_equal(cursor_read(dir, c, &e), expected);
    uint64_t sequence = 0;
    if (expected == ERR_OK) {
        struct cursor *want = sample(c->sequence);
        sequence = c->sequence;
        assert_int_equal(c->registered, want->registered);
        assert_true(c->paused && !c->forgotten);
        assert_int_equal(c->lane_count, 2);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(place_cmp(c->lanes[i], want->lanes[i]), 0);
            assert_int_equal(c->lane_rows[i], want->lane_rows[i]);
            assert_int_equal(c->plans[i].there, want->plans[i].there);
            assert_int_equal(place_cmp(c->plans[i].to, want->plans[i].to), 0);
            assert_int_equal(c->aheads[i].count, old_version ? 0 : want->aheads[i].count);
            for (uint32_t k = 0; k < c->aheads[i].count; k++)
                assert_int_equal(c->aheads[i].ends[k], want->aheads[i].ends[k]);
            if (c->aheads[i].count > 0)
                assert_true(place_cmp(c->aheads[i].from, want->aheads[i].from) == 0 &&
                            c->aheads[i].rows == want->aheads[i].rows && c->aheads[i].bytes == want->aheads[i].bytes);
        }
        assert_int_equal(c->waiting_count, 3);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(place_cmp(c->waiting[i].place, waits[i].place), 0);
            assert_int_equal(c->waiting[i].uuid_hash, waits[i].uuid_hash);
            assert_int_equal(c->waiting[i].attempts, waits[i].attempts);
            assert_int_equal(c->waiting[i].plan, waits[i].plan);
            assert_int_equal(c->waiting[i].waited_ms, waits[i].waited_ms);
            assert_int_equal(c->waiting[i].kind, waits[i].kind);
        }
        assert_int_equal(c->replay_count, 1);
        assert_int_equal(c->replays[0].to, 9999);
        replay_row = c->replays[0].row;
        assert_true(c->replays[0].new_ids && c->replays[0].rate == 100 && c->replays[0].epoch.bytes[2] == 3);
        assert_memory_equal(c->totals, want->totals, TOTAL_BY_HAND * sizeof *c->totals);
        assert_int_equal(c->totals[TOTAL_BY_HAND], old_version ? 0 : want->totals[TOTAL_BY_HAND]);
        assert_int_equal(c->ruling_count, old_version ? 0 : 2);
        for (uint32_t i = 0; i < c->ruling_count; i++) {
            assert_int_equal(c->rulings[i].position, want->rulings[i].position);
            assert_int_equal(c->rulings[i].uuid_hash, want->rulings[i].uuid_hash);
            assert_int_equal(c->rulings[i].kind, want->rulings[i].kind);
        }
        assert_int_equal(c->state_len, 5);
        assert_memory_equal(c->state, "state", 5);
        cursor_fini(c);
        free(want);
    } else {
        assert_true(e.text[0] != '\0');
    }
    free(c);
    return sequence;
}

static void flip(off_t at, unsigned char mask)
{
    unsigned char byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= mask;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void test_round_trip(void **state)
{
    (void)state;
    (void)get(ERR_NOTFOUND);
    for (uint64_t sequence = 1; sequence <= 5; sequence++) {
        put(sequence);
        assert_int_equal(get(ERR_OK), sequence);
    }
}

/* A cursor that its place never has would be written over or outshine what comes after it; and none is so high that
 * the next one is not newer. */
static void test_number_of_another_place(void **state)
{
    (void)state;
    put(UINT64_MAX);
    assert_int_equal(get(ERR_OK), UINT64_MAX);
    put(0);
    assert_int_equal(get(ERR_OK), 0);
    put(1);
    assert_int_equal(get(ERR_OK), 1);

    static unsigned char slot[CURSOR_SLOT];
    (void)unlink(path);
    put(8);
    put(9);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, slot, sizeof slot, CURSOR_SLOT), CURSOR_SLOT);
    assert_int_equal(pwrite(fd, slot, sizeof slot, 0), CURSOR_SLOT);
    close(fd);
    assert_int_equal(get(ERR_OK), 9);
    put(10); /* where the stray one was, never over the only good one */
    assert_int_equal(get(ERR_OK), 10);
    flip(100, 0x40);
    assert_int_equal(get(ERR_OK), 9);
}

/* Every byte of the newer slot: the older one is taken, or the newer where the byte means nothing. */
static void test_every_byte_of_one(void **state)
{
    (void)state;
    put(1);
    put(2);
    off_t newer = (off_t)(2 % 2) * CURSOR_SLOT;
    size_t to_older = 0;
    for (off_t at = 0; at < 600; at++) {
        flip(newer + at, 0x40);
        uint64_t sequence = get(ERR_OK);
        assert_true(sequence == 1 || sequence == 2);
        to_older += sequence == 1;
        flip(newer + at, 0x40);
    }
    assert_true(to_older > 300); /* head and payload: all that is used */
    assert_int_equal(get(ERR_OK), 2);
}

static void test_both_damaged(void **state)
{
    (void)state;
    put(1);
    put(2);
    flip(40, 1);
    flip(CURSOR_SLOT + 40, 1);
    (void)get(ERR_DAMAGED);
    assert_int_equal(truncate(path, 100), 0);
    (void)get(ERR_DAMAGED);
}

/* A write that was cut off anywhere leaves the slot before it. */
static void test_torn(void **state)
{
    (void)state;
    put(1);
    put(2); /* in slot 0 */
    unsigned char *old = malloc(CURSOR_SLOT), *young = malloc(CURSOR_SLOT);
    assert_true(old != NULL && young != NULL);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, old, CURSOR_SLOT, CURSOR_SLOT), CURSOR_SLOT);
    put(3); /* in slot 1 */
    assert_int_equal(pread(fd, young, CURSOR_SLOT, CURSOR_SLOT), CURSOR_SLOT);
    for (ssize_t cut = 0; cut < 500; cut += 7) {
        assert_int_equal(pwrite(fd, old, CURSOR_SLOT, CURSOR_SLOT), CURSOR_SLOT);
        assert_int_equal(pwrite(fd, young, (size_t)cut, CURSOR_SLOT), cut);
        uint64_t sequence = get(ERR_OK);
        assert_true(sequence == 2 || (sequence == 3 && memcmp(old + cut, young + cut, CURSOR_SLOT - (size_t)cut) == 0));
    }
    close(fd);
    free(old);
    free(young);
}

static void put_u32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

/* The head of a slot again, for another version and length; both checksums are right. */
static void rehead(unsigned char *slot, uint32_t version, uint32_t length)
{
    put_u32(slot + 4, version);
    put_u32(slot + 16, length);
    put_u32(slot + 20, crc32c(0, slot + 32, length));
    put_u32(slot + 28, crc32c(0, slot, 28));
}

static void slot_change(void (*change)(unsigned char *slot, uint32_t length))
{
    unsigned char *slot = malloc(CURSOR_SLOT);
    assert_non_null(slot);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, slot, CURSOR_SLOT, CURSOR_SLOT), CURSOR_SLOT);
    change(slot, (uint32_t)slot[16] | (uint32_t)slot[17] << 8);
    assert_int_equal(pwrite(fd, slot, CURSOR_SLOT, CURSOR_SLOT), CURSOR_SLOT);
    close(fd);
    free(slot);
}

static void to_newer(unsigned char *slot, uint32_t length)
{
    rehead(slot, 200, length);
}

static void test_newer_version(void **state)
{
    (void)state;
    put(1);
    slot_change(to_newer);
    (void)get(ERR_VERSION);
}

enum {
    LANE = 45,
    AHEAD = 41, /* behind each lane */
    AT_LANES = 32 + 24,
    AT_WAITING = AT_LANES + 2 * (LANE + AHEAD),
    AT_REPLAYS = AT_WAITING + 4 + 3 * 37,
    AT_REPLAY_ROW = AT_REPLAYS + 4 + 28,
    RULINGS = 8 + 4 + 2 * 17
};

static void cut_out(unsigned char *slot, uint32_t *length, size_t at, size_t bytes)
{
    memmove(slot + at, slot + at + bytes, 32 + *length - at - bytes);
    *length -= (uint32_t)bytes;
}

/* Version 2 wrote nothing down ahead, and knew no rulings. */
static void to_second(unsigned char *slot, uint32_t length)
{
    cut_out(slot, &length, AT_LANES + LANE + AHEAD + LANE, AHEAD);
    cut_out(slot, &length, AT_LANES + LANE, AHEAD);
    rehead(slot, 2, length - RULINGS);
}

/* Version 1 nor did it keep how many rows stand before a replay's next one and its end. */
static void to_first(unsigned char *slot, uint32_t length)
{
    assert_int_equal(slot[AT_REPLAY_ROW], 44);
    cut_out(slot, &length, AT_REPLAY_ROW, 16);
    to_second(slot, length);
    rehead(slot, 1, length - 2 * AHEAD - RULINGS);
}

static void test_older_version(void **state)
{
    (void)state;
    put(1);
    assert_int_equal(get(ERR_OK), 1);
    assert_int_equal(replay_row, 44);
    old_version = true;
    slot_change(to_first);
    assert_int_equal(get(ERR_OK), 1);
    assert_true(replay_row == 0); /* not known */
    put(1);
    slot_change(to_second);
    assert_int_equal(get(ERR_OK), 1);
    assert_int_equal(replay_row, 44);
    old_version = false;
}

/* Checksums that are right over what cannot be: as a fault of ours would write it. */
static size_t change_at;
static unsigned char change_to;

static void to_nonsense(unsigned char *slot, uint32_t length)
{
    slot[change_at] = change_to;
    rehead(slot, 3, length);
}

static uint32_t change_length;

static void to_shorter(unsigned char *slot, uint32_t length)
{
    rehead(slot, 3, change_length < length ? change_length : length);
}

static void test_what_cannot_be(void **state)
{
    enum {
        LANES = 52,
        ENDS = AT_LANES + LANE,
        WAITING = AT_WAITING,
        KIND = AT_WAITING + 4 + 36,
        REPLAYS = AT_REPLAYS,
        STATE = AT_REPLAY_ROW + 16 + 8 + 16 + 24 + 5 + 48,
        RULING_KIND = STATE + 4 + 5 + 8 + 4 + 16
    };
    static const struct {
        size_t at;
        unsigned char to;
    } changes[] = {{LANES, 0},    {LANES, 65},      {ENDS, 3},        {WAITING + 1, 0xff},
                   {KIND, 0},     {KIND, 4},        {REPLAYS, 9},     {STATE + 1, 0xff},
                   {STATE, 0xf0}, {RULING_KIND, 0}, {RULING_KIND, 3}, {STATE + 4 + 5 + 8 + 1, 2}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        put(1);
        change_at = changes[i].at;
        change_to = changes[i].to;
        slot_change(to_nonsense);
        (void)get(ERR_DAMAGED);
    }
    for (change_length = 0; change_length < STATE + 4 + 5 + RULINGS - 32; change_length++) {
        put(1);
        slot_change(to_shorter);
        (void)get(ERR_DAMAGED);
    }
    put(1);
    slot_change(to_shorter); /* its true length */
    assert_int_equal(get(ERR_OK), 1);
}

/* Whichever call fails, the cursor before is there; and the same write may be made again. */
static void test_each_call_fails(void **state)
{
    struct err e;
    bool done = false;
    (void)state;
    for (long n = 0; !done; n++) {
        (void)unlink(path);
        uint64_t first = 1 + (uint64_t)n % 2, there = 0;
        for (uint64_t sequence = first; sequence < first + 2; sequence++) {
            struct cursor *c = sample(sequence);
            e.text[0] = '\0';
            nth_begin(n, EIO);
            int code = cursor_write(dir, c, &e);
            done = nth_end();
            assert_int_equal(code, done ? ERR_OK : ERR_IO);
            assert_true(done || e.text[0] != '\0');
            if (!done && there > 0)
                assert_true(get(ERR_OK) >= there);
            assert_int_equal(cursor_write(dir, c, &e), ERR_OK);
            assert_int_equal(get(ERR_OK), sequence);
            there = sequence;
            free(c);
        }
    }
    struct cursor c;
    nth_begin(1, EINTR);
    assert_int_equal(cursor_read(dir, &c, &e), ERR_OK);
    assert_false(nth_end());
    cursor_fini(&c);
    long told = 0;
    done = false;
    for (long n = 0; !done; n++) { /* never another cursor; that it reads past the page cache may fail unharmed */
        e.text[0] = '\0';
        nth_begin(n, EIO);
        int code = cursor_read(dir, &c, &e);
        done = nth_end();
        assert_true(code == ERR_IO || code == ERR_OK);
        assert_int_equal(code != ERR_OK, e.text[0] != '\0');
        told += code != ERR_OK;
        if (code == ERR_OK)
            cursor_fini(&c);
    }
    assert_true(told >= 3); /* open, sync, read */
}

static int synced;
static bool direct_asked;

static int count_fdatasync(int fd)
{
    (void)fd;
    synced++;
    return 0;
}

static int watch_open(const char *name, int flags, mode_t mode)
{
    direct_asked = direct_asked || (flags & O_DIRECT) != 0;
    return sys_plain.open(name, flags, mode);
}

/* What a process that was killed left in the page cache is synced before it counts, and read from the medium. */
static void test_the_medium_counts(void **state)
{
    struct sys table = sys_plain;
    (void)state;
    put(1);
    table.fdatasync = count_fdatasync;
    table.open = watch_open;
    sys = &table;
    synced = 0;
    direct_asked = false;
    uint64_t there = get(ERR_OK);
    sys = &sys_plain;
    assert_true(there == 1 && synced == 1 && direct_asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_number_of_another_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_byte_of_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_both_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_call_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_medium_counts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
