/* Aside files: what was set aside is read back, in the state it had; a copy is on the medium before what it stands for
 * goes; torn ends, damage, files that fill up and files that nobody needs any more. */
#include "base/sys.h"
#include "delivery/aside.h"
#include "journal/record.h"
#include "nth_call.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGE = 1 << 20, ADDS = 40 };

static char *folder;
static struct aside a;
static size_t row_bytes; /* of the next rows' data */
static struct sys table;
static char calls[64]; /* w: a write, s: a sync */

/* --- where rows come from: every position holds a set of one row --- */

static int row_at(void *arg, void **session, uint64_t position, struct record *record)
{
    static struct buf context;
    static char *data;
    static struct row_span span;
    (void)arg, (void)session;
    buf_free(&context);
    buf_init(&context, 1024);
    assert_int_equal(context_add(&context, CONTEXT_UUID, SLICE_LIT("plate")), ERR_OK);
    assert_int_equal(context_finish(&context), ERR_OK);
    free(data);
    data = malloc(row_bytes);
    memset(data, 'd', row_bytes);
    span = (struct row_span){.offset = 0, .length = (uint32_t)row_bytes};
    *record = (struct record){.type = RECORD_ROWS,
                              .position = position,
                              .rows = 1,
                              .context = buf_slice(&context),
                              .spans = slice_make(&span, sizeof span),
                              .data = slice_make(data, row_bytes)};
    return position == 13 ? ERR_DAMAGED : ERR_OK;
}

static void row_end(void *arg, void **session)
{
    (void)arg, (void)session;
}

static const struct row_source source = {.at = row_at, .end = row_end};

/* --- the calls --- */

static void call_note(char c)
{
    size_t len = strlen(calls);
    if (len + 1 < sizeof calls)
        calls[len] = c;
}

static ssize_t noted_pwrite(int fd, const void *from, size_t len, off_t at)
{
    call_note('w');
    return pwrite(fd, from, len, at);
}

static int noted_sync(int fd)
{
    (void)fd;
    call_note('s');
    return 0;
}

static int setup(void **state)
{
    (void)state;
    folder = scratch_make();
    row_bytes = 100;
    table = sys_plain;
    table.pwrite = noted_pwrite;
    table.fdatasync = table.fsync = noted_sync;
    sys = &table;
    memset(calls, 0, sizeof calls);
    a = (struct aside){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    aside_close(&a);
    sys = &sys_plain;
    scratch_remove(&folder);
    return 0;
}

static void reopen(uint32_t expected_damage)
{
    uint32_t damaged = 0;
    struct err e;
    aside_close(&a);
    assert_int_equal(aside_open(&a, folder, &damaged, &e), ERR_OK);
    assert_int_equal(damaged, expected_damage);
}

static void append(struct aside_add *adds, size_t count, const struct aside_change *changes, size_t change_count)
{
    struct aside_end end = {.file = a.file, .size = a.size};
    struct err e;
    memset(calls, 0, sizeof calls);
    assert_int_equal(aside_append(folder, &end, adds, count, changes, change_count, &source, &e), ERR_OK);
    assert_int_equal(aside_reserve(&a, count), ERR_OK);
    (void)aside_apply(&a, adds, count);
    aside_grown(&a, &end);
}

static struct aside_add add_of(uint64_t position, enum aside_state state, const char *reason)
{
    struct aside_add add = {.place = {position, 0}, .uuid_hash = position, .attempts = 3, .state = (uint8_t)state};
    snprintf(add.reason, sizeof add.reason, "%s", reason);
    return add;
}

static struct aside_entry *entry(uint64_t position)
{
    static const struct epoch none;
    return aside_find(&a, &none, (struct place){position, 0});
}

static void expect_row(uint64_t position, enum aside_state state, const char *reason, size_t bytes)
{
    struct aside_entry *found = entry(position);
    struct record record;
    struct buf copy;
    assert_non_null(found);
    assert_int_equal(found->state, state);
    buf_init(&copy, 4 * LARGE);
    assert_int_equal(aside_read(folder, found->file, found->offset, &copy, &record), ERR_OK);
    assert_true(slice_is(aside_reason(&record), reason));
    assert_int_equal(record_row(&record, 0).len, bytes);
    buf_free(&copy);
}

/* --- tests --- */

static void test_states(void **state)
{
    (void)state;
    reopen(0);
    struct aside_add adds[] = {add_of(8, ASIDE_DEAD, "too long"), add_of(16, ASIDE_PARKED, "again and again"),
                               add_of(24, ASIDE_DEAD, "no such plate"), add_of(13, ASIDE_DEAD, "lost in the journal")};
    append(adds, COUNT_OF(adds), NULL, 0);
    assert_true(adds[3].lost);
    assert_true(a.dead_count == 2 && a.parked_count == 1 && aside_holds(&a, 16) && !aside_holds(&a, 8));
    reopen(0);
    expect_row(8, ASIDE_DEAD, "too long", 100);
    expect_row(16, ASIDE_PARKED, "again and again", 100);
    assert_null(entry(13));
    struct aside_change changes[] = {
        {.file = entry(8)->file, .offset = entry(8)->offset, .state = ASIDE_GONE},
        {.file = entry(24)->file, .offset = entry(24)->offset, .attempts = 9, .returned = 2, .state = ASIDE_RETRYING}};
    append(NULL, 0, changes, COUNT_OF(changes));
    reopen(0);
    assert_null(entry(8));
    expect_row(24, ASIDE_RETRYING, "no such plate", 100);
    assert_true(entry(24)->attempts == 9 && entry(24)->returned == 2);
    assert_true(a.dead_count == 0 && a.parked_count == 2);
}

/* Within one sync a disk may keep the later write and lose the earlier. */
static void test_a_copy_is_durable_before_the_old_one_goes(void **state)
{
    (void)state;
    reopen(0);
    struct aside_add first = add_of(8, ASIDE_DEAD, "old");
    append(&first, 1, NULL, 0);
    struct aside_add moved = add_of(8, ASIDE_DEAD, "new");
    moved.from_file = first.file;
    moved.from_offset = first.offset;
    moved.moved = true;
    append(&moved, 1, NULL, 0);
    assert_string_equal(calls, "wsws");
    struct aside_add edited = add_of(8, ASIDE_PARKED, "");
    struct aside_change gone = {.file = moved.file, .offset = moved.offset, .state = ASIDE_GONE};
    edited.from_file = moved.file;
    edited.from_offset = moved.offset;
    edited.epoch.bytes[0] = 1; /* a row of its own */
    edited.data = strdup("{}");
    edited.data_len = 2;
    append(&edited, 1, &gone, 1);
    assert_string_equal(calls, "wsws");
    free(edited.data);
    struct aside_add plain = add_of(16, ASIDE_DEAD, "another");
    append(&plain, 1, &gone, 1);
    assert_string_equal(calls, "ws"); /* these have nothing to do with each other */
    reopen(0);
    assert_null(entry(8));
    assert_non_null(aside_find(&a, &edited.epoch, edited.place));
    assert_true(a.dead_count == 1 && a.parked_count == 1);
}

static void test_torn_at_every_byte(void **state)
{
    (void)state;
    char path[256];
    size_t len;
    reopen(0);
    struct aside_add adds[] = {add_of(8, ASIDE_DEAD, "first"), add_of(16, ASIDE_DEAD, "second")};
    append(adds, COUNT_OF(adds), NULL, 0);
    aside_path(folder, 1, path, sizeof path);
    char *whole = scratch_read(path, &len);
    for (size_t cut = adds[1].offset; cut < len; cut++) {
        scratch_write(path, whole, cut);
        assert_int_equal(truncate(path, (off_t)cut), 0);
        reopen(0);
        assert_true(a.dead_count == 1 && a.size == adds[1].offset);
        struct aside_add next = add_of(24, ASIDE_DEAD, "next");
        append(&next, 1, NULL, 0); /* takes the torn one's place */
        reopen(0);
        expect_row(8, ASIDE_DEAD, "first", 100);
        expect_row(24, ASIDE_DEAD, "next", 100);
    }
    free(whole);
}

static void test_damage_in_the_middle(void **state)
{
    (void)state;
    char path[256];
    size_t len;
    reopen(0);
    struct aside_add adds[] = {add_of(8, ASIDE_DEAD, "first"), add_of(16, ASIDE_DEAD, "second"),
                               add_of(24, ASIDE_DEAD, "third")};
    append(adds, COUNT_OF(adds), NULL, 0);
    aside_path(folder, 1, path, sizeof path);
    char *whole = scratch_read(path, &len);
    for (size_t at = adds[1].offset; at < adds[2].offset; at += 7) {
        whole[at] ^= 0x20;
        scratch_write(path, whole, len);
        whole[at] ^= 0x20;
        reopen(1);
        assert_null(entry(16));
        expect_row(8, ASIDE_DEAD, "first", 100);
        expect_row(24, ASIDE_DEAD, "third", 100);
    }
    free(whole);
}

static void add_large(uint64_t first)
{
    static struct aside_add adds[ADDS];
    row_bytes = LARGE;
    for (uint64_t i = 0; i < ADDS; i++)
        adds[i] = add_of(first + i, ASIDE_DEAD, "large");
    append(adds, ADDS, NULL, 0);
}

static void test_files_come_and_go(void **state)
{
    (void)state;
    reopen(0);
    add_large(1000);
    assert_true(a.file == 3 && a.oldest == 1 && a.total_bytes > (uint64_t)ADDS * LARGE && !aside_bloated(&a));
    reopen(0);
    assert_true(a.dead_count == ADDS && a.file == 3);
    /* All but the first are dropped: the first pins its file until it is moved. */
    for (uint64_t i = 1; i < ADDS; i++) {
        struct aside_entry *dropped = entry(1000 + i);
        struct aside_change change = {.file = dropped->file, .offset = dropped->offset, .state = ASIDE_GONE};
        aside_move(&a, dropped, ASIDE_GONE, 0);
        append(NULL, 0, &change, 1);
        dropped->changed = false;
    }
    aside_sweep(&a);
    assert_true(a.count == 1 && a.oldest == 1 && aside_bloated(&a));
    struct aside_add moved = add_of(1000, ASIDE_DEAD, "");
    moved.from_file = entry(1000)->file;
    moved.from_offset = entry(1000)->offset;
    moved.moved = true;
    append(&moved, 1, NULL, 0);
    aside_sweep(&a);
    assert_true(a.count == 1 && a.oldest == a.file && !aside_bloated(&a));
    assert_true(a.total_bytes < (uint64_t)20 * LARGE);
    reopen(0);
    expect_row(1000, ASIDE_DEAD, "large", LARGE);
}

/* Whichever call fails, the rows that were there are there; and the same append may be made again. */
static void test_each_call_fails(void **state)
{
    bool done = false;
    (void)state;
    for (long n = 0; !done; n++) {
        reopen(0);
        const uint64_t first = 1000 + 10 * (uint64_t)n; /* into a new file, or behind what is there and half written */
        struct aside_add adds[] = {add_of(first, ASIDE_DEAD, "one"), add_of(first + 1, ASIDE_PARKED, "two")};
        struct aside_end end = {.file = a.file, .size = a.size}, before = end;
        struct err e = {.text = ""};
        nth_begin(n, EIO);
        int code = aside_append(folder, &end, adds, COUNT_OF(adds), NULL, 0, &source, &e);
        done = nth_end();
        assert_int_equal(code, done ? ERR_OK : ERR_IO);
        if (!done) {
            assert_true(e.text[0] != '\0' && memcmp(&end, &before, sizeof end) == 0);
            if (n % 2 == 0) /* as after a crash: what did not come to its end is no row, or a whole one */
                reopen(0);
            size_t dead = a.dead_count;
            if (entry(first) == NULL)
                append(adds, COUNT_OF(adds), NULL, 0);
            reopen(0);
            assert_true(a.dead_count >= dead);
        }
        reopen(0);
        expect_row(first, ASIDE_DEAD, "one", 100);
        expect_row(first + 1, ASIDE_PARKED, "two", 100);
        for (long k = 0; k < n; k++)
            expect_row(1000 + 10 * (uint64_t)k, ASIDE_DEAD, "one", 100);
        if (n % 3 == 0 && !done) { /* an end that has to be cut off first, which may fail too */
            char path[256];
            size_t len;
            aside_path(folder, a.file, path, sizeof path);
            char *whole = scratch_read(path, &len);
            int fd = open(path, O_WRONLY | O_APPEND);
            assert_int_equal(write(fd, whole, 50), 50);
            close(fd);
            free(whole);
        }
    }
    struct aside_entry *found = entry(1000);
    struct record record;
    struct buf copy;
    buf_init(&copy, LARGE);
    for (long n = 0; n < 2; n++) {
        nth_begin(n, EIO);
        assert_int_equal(aside_read(folder, found->file, found->offset, &copy, &record), ERR_IO);
        assert_false(nth_end());
    }
    buf_free(&copy);
    uint32_t damaged;
    long told = 0;
    done = false;
    for (long n = 0; !done; n++) { /* never as if nothing were there */
        struct aside other;
        struct err e = {.text = ""};
        nth_begin(n, EIO);
        int code = aside_open(&other, folder, &damaged, &e);
        done = nth_end();
        assert_true(code == ERR_IO ? e.text[0] != '\0' && other.entries == NULL : other.dead_count == a.dead_count);
        told += code == ERR_IO;
        aside_close(&other);
    }
    assert_true(told >= 4); /* list, and of each file open, sync, read */
    struct aside_add add = add_of(8, ASIDE_DEAD, "interrupted");
    struct aside_end end = {.file = a.file, .size = a.size};
    struct err e;
    nth_begin(2, EINTR); /* open, fstat, write */
    assert_int_equal(aside_append(folder, &end, &add, 1, NULL, 0, &source, &e), ERR_OK);
    assert_false(nth_end());
    reopen(0);
    expect_row(8, ASIDE_DEAD, "interrupted", 100);
}

/* The same for the very first file: its folder, its header, its name. */
static void test_each_call_of_the_first_fails(void **state)
{
    bool done = false;
    char path[256];
    (void)state;
    for (long n = 0; !done; n++) {
        struct aside_add add = add_of(8, ASIDE_DEAD, "first");
        struct aside_end end = {0};
        struct err e;
        nth_begin(n, EIO);
        int code = aside_append(folder, &end, &add, 1, NULL, 0, &source, &e);
        done = nth_end();
        assert_int_equal(code, done ? ERR_OK : ERR_IO);
        assert_int_equal(end.file, done);
        reopen(0);
        if (a.count == 0)
            append(&add, 1, NULL, 0);
        reopen(0);
        assert_int_equal(a.dead_count, 1);
        expect_row(8, ASIDE_DEAD, "first", 100);
        aside_path(folder, 1, path, sizeof path);
        assert_int_equal(unlink(path), 0);
        snprintf(path, sizeof path, "%s/aside", folder);
        assert_int_equal(rmdir(path), 0);
    }
}

/* Whole records of an append that failed are no rows, also where a later one is shorter and leaves them standing. */
static void test_what_failed_is_cut_off(void **state)
{
    (void)state;
    reopen(0);
    struct aside_add first = add_of(8, ASIDE_DEAD, "first");
    append(&first, 1, NULL, 0);
    struct aside_add failed[] = {add_of(16, ASIDE_DEAD, "failed"), add_of(24, ASIDE_DEAD, "failed")};
    struct aside_end end = {.file = a.file, .size = a.size};
    struct err e;
    nth_begin(3, EIO); /* open, fstat, write, sync */
    assert_int_equal(aside_append(folder, &end, failed, COUNT_OF(failed), NULL, 0, &source, &e), ERR_IO);
    assert_false(nth_end());
    struct aside_add next = add_of(32, ASIDE_DEAD, "failed"); /* as long as one of those */
    append(&next, 1, NULL, 0);
    reopen(0);
    assert_int_equal(a.dead_count, 2);
    assert_true(entry(8) != NULL && entry(32) != NULL && entry(24) == NULL);
}

/* A file that was begun and no more, as a crash leaves it. */
static void test_a_file_with_nothing_in_it(void **state)
{
    (void)state;
    reopen(0);
    struct aside_add add = add_of(8, ASIDE_DEAD, "first");
    append(&add, 1, NULL, 0);
    for (off_t len = 0; len <= SEGMENT_HEADER; len += SEGMENT_HEADER / 2) {
        char path[256];
        aside_path(folder, 1, path, sizeof path);
        assert_int_equal(truncate(path, len), 0);
        reopen(0);
        assert_true(a.count == 0 && a.file == 1 && a.size == SEGMENT_HEADER);
        append(&add, 1, NULL, 0);
        assert_int_equal(add.file, 1);
        reopen(0);
        expect_row(8, ASIDE_DEAD, "first", 100);
    }
}

/* A whole record with a flag that is not known yet, written by a newer headgate: nothing is loaded, nothing changed. */
static void test_newer_version(void **state)
{
    char path[256];
    size_t len;
    uint32_t damaged;
    struct err e = {.text = ""};
    struct buf context;
    unsigned char bytes[256] = {0};
    (void)state;
    reopen(0);
    struct aside_add add = add_of(8, ASIDE_DEAD, "first");
    append(&add, 1, NULL, 0);
    aside_path(folder, 1, path, sizeof path);
    buf_init(&context, 100);
    assert_int_equal(context_add(&context, 0x8fff, SLICE_LIT("must be known")), ERR_OK);
    assert_int_equal(context_finish(&context), ERR_OK);
    struct record_parts parts = {.type = RECORD_STATE, .context = buf_slice(&context)};
    parts.body_crc = record_body_crc(&parts);
    record_header_write(&parts, a.size, 1, 0, 0, bytes);
    memcpy(bytes + RECORD_HEADER, context.ptr, context.len);
    buf_free(&context);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, bytes, record_length(&parts), (off_t)a.size), record_length(&parts));
    close(fd);
    char *before = scratch_read(path, &len);
    struct aside other;
    assert_int_equal(aside_open(&other, folder, &damaged, &e), ERR_VERSION);
    assert_non_null(strstr(e.text, "aside"));
    char *after = scratch_read(path, &len);
    assert_memory_equal(before, after, len);
    free(before);
    free(after);
}

/* As many uuids as make the table grow and collide; some come, some go. */
static void test_uuids_that_are_held(void **state)
{
    enum { MANY = 300 };
    static struct aside_add adds[MANY];
    (void)state;
    reopen(0);
    for (uint32_t i = 0; i < MANY; i++) {
        adds[i] = add_of(1000 + i, ASIDE_PARKED, "parked");
        adds[i].uuid_hash = (uint64_t)(i % 250) * 4096; /* 50 have two rows; one is 0 */
    }
    append(adds, MANY, NULL, 0);
    for (uint32_t i = 0; i < MANY; i += 2)
        aside_move(&a, entry(1000 + i), ASIDE_GONE, 0);
    for (uint32_t i = 0; i < 250; i++) /* the second row of an even one is even too */
        assert_int_equal(aside_holds(&a, (uint64_t)i * 4096), i % 2 == 1);
    assert_false(aside_holds(&a, 77));
}

/* The active ones, against a look at all of them; each entry is found by its id and, in order, among its uuid's. */
static void expect_index(uint64_t first, uint32_t many, uint32_t uuids)
{
    size_t active = 0, wanted = 0;
    for (const struct aside_entry *e = aside_active(&a); e != NULL; e = aside_active_next(&a, e))
        active += e->changed || e->state == ASIDE_PARKED;
    for (size_t i = 0; i < a.count; i++)
        wanted += a.entries[i].changed || a.entries[i].state == ASIDE_PARKED;
    assert_int_equal(active, wanted);
    for (uint32_t i = 0; i < many; i++)
        assert_true(entry(first + i) == NULL || entry(first + i)->place.position == first + i);
    for (uint32_t u = 0; u < uuids; u++) {
        size_t *numbers, count, at = 0;
        assert_int_equal(aside_of_uuid(&a, u, 0, &numbers, &count), ERR_OK);
        for (size_t i = 0; i < a.count; i++)
            if (a.entries[i].uuid_hash == u) {
                assert_true(at < count);
                assert_int_equal(numbers[at++], i);
            }
        assert_int_equal(at, count);
        free(numbers);
    }
}

static void test_the_index_finds(void **state)
{
    enum { MANY = 1000, UUIDS = 7 };
    static struct aside_add adds[MANY];
    size_t *numbers, count;
    (void)state;
    reopen(0);
    assert_null(entry(1000));
    assert_null(aside_active(&a));
    assert_int_equal(aside_of_uuid(&a, 0, 0, &numbers, &count), ERR_OK);
    assert_int_equal(count, 0);
    free(numbers);
    for (uint32_t i = 0; i < MANY; i++) {
        adds[i] = add_of(1000 + i, i % 10 == 0 ? ASIDE_PARKED : ASIDE_DEAD, "x");
        adds[i].uuid_hash = i % UUIDS;
    }
    for (uint32_t at = 0; at < MANY; at += 100) {
        append(adds + at, 100, NULL, 0);
        expect_index(1000, MANY, UUIDS);
    }
    for (uint32_t i = 0; i < MANY; i++) /* few go: gaps stay; then many: they are closed */
        if (i < 100 || i % 3 != 0) {
            struct aside_entry *e = entry(1000 + i);
            aside_move(&a, e, ASIDE_GONE, 0);
            e->changed = i % 7 == 0;
            if (i % 50 == 0)
                aside_sweep(&a);
            expect_index(1000, i % 100 == 0 ? MANY : 0, i % 100 == 0 ? UUIDS : 0);
        }
    assert_true(a.count < MANY);
    aside_rest(&a);
    for (const struct aside_entry *e = aside_active(&a); e != NULL; e = aside_active_next(&a, e))
        assert_true(e->changed || e->state == ASIDE_PARKED);
    expect_index(1000, MANY, UUIDS);
    const struct aside_entry *one = entry(1000 + 999);
    assert_int_equal(aside_of_uuid(&a, one->uuid_hash, (size_t)(one - a.entries), &numbers, &count), ERR_OK);
    assert_true(count == 1 && &a.entries[numbers[0]] == one && aside_from(&a, one->file, one->offset) == numbers[0]);
    assert_true(aside_from(&a, one->file, one->offset + 1) == a.count);
    free(numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_states, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_copy_is_durable_before_the_old_one_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_at_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_in_the_middle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_call_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_call_of_the_first_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_failed_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_with_nothing_in_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uuids_that_are_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_index_finds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
