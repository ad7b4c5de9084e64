/* Once after any crash: the file pusher is stopped where a crash could stop it, files are cut where a crash could cut
 * them, the durable state is put back to what could have been stored, and the same rows are pushed again. Afterwards
 * every row must be there exactly once, in order.
 *
 * The system calls of the plugin pass through functions of this program (it exports them), which can make each of them
 * fail. */
#include "scratch.h"
#include "testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/file.so";

/* --- calls that can fail --- */

enum call { CALL_NONE, CALL_WRITE, CALL_SYNC, CALL_CUT, CALL_FOLDER, CALL_ANY };

static struct {
    enum call call;
    int at, error; /* the at-th such call fails, from 1 on; 0: none */
    int burst;     /* and this many after it */
    int half;      /* a failing write has written half of it */
    int seen, fired, writes, syncs;
} fault;

static int fault_now(enum call call)
{
    if (fault.at == 0 || (fault.call != call && fault.call != CALL_ANY))
        return 0;
    fault.seen++;
    if (fault.seen < fault.at || fault.seen > fault.at + fault.burst)
        return 0;
    fault.fired = 1;
    errno = fault.error;
    return 1;
}

#define EXPORTED __attribute__((visibility("default")))
EXPORTED ssize_t pwrite(int fd, const void *buf, size_t len, off_t at);
EXPORTED int fdatasync(int fd);
EXPORTED int fsync(int fd);
EXPORTED int ftruncate(int fd, off_t len);

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
    fault.writes++;
    if (fault_now(CALL_WRITE)) {
        if (fault.half)
            syscall(SYS_pwrite64, fd, buf, len / 2, at);
        errno = fault.error;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, buf, len, at);
}

int fdatasync(int fd)
{
    fault.syncs++;
    return fault_now(CALL_SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fault_now(CALL_FOLDER) ? -1 : (int)syscall(SYS_fsync, fd);
}

int ftruncate(int fd, off_t len)
{
    return fault_now(CALL_CUT) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

/* --- a box --- */

struct saved { /* durable state at some moment */
    char bytes[HG_STATE_MAX];
    size_t len;
};

struct box {
    char *folder;
    struct testkit *kit;
};

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    memset(&fault, 0, sizeof(fault));
    b->folder = scratch_make();
    b->kit = testkit_load(plugin);
    *state = b;
    return b->kit ? 0 : -1;
}

static int box_drop(void **state)
{
    struct box *b = *state;
    testkit_free(&b->kit);
    scratch_remove(&b->folder);
    free(b);
    return 0;
}

static void start(struct box *b, const char *path)
{
    testkit_set(b->kit, "PATH", scratch_path(b->folder, path));
    if (testkit_start(b->kit) != HG_OPEN_OK)
        fail_msg("start: %s", testkit_fault(b->kit));
}

static void push_ok(struct box *b, size_t first, size_t count)
{
    int rc = testkit_push(b->kit, first, count);
    if (rc != HG_ALL_OK)
        fail_msg("push: %d: %s", rc, testkit_push_reason(b->kit));
}

static void row(struct box *b, const char *uuid)
{
    char json[512];
    snprintf(json, sizeof(json), "{\"uuid\":\"%s\",\"row\":{\"data\":{\"n\":%zu}}}", uuid, testkit_row_count(b->kit));
    assert_int_equal(testkit_rows(b->kit, json), 1);
}

static struct saved saved_now(struct box *b)
{
    struct saved s;
    const void *state = testkit_state(b->kit, &s.len);
    memcpy(s.bytes, state ? state : "", s.len);
    return s;
}

/* The process is gone; this state is what had become durable, and rows before `row` are settled. */
static void crash(struct box *b, const struct saved *s, size_t settled)
{
    testkit_stop(b->kit);
    testkit_state_put(b->kit, s->bytes, s->len);
    testkit_settle(b->kit, settled);
}

static void put_back(const char *path, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(syscall(SYS_ftruncate, fd, 0), 0);
    assert_int_equal(syscall(SYS_pwrite64, fd, bytes, len, 0), len);
    close(fd);
}

static void same(const char *path, const char *bytes, size_t len, const char *what, size_t a, size_t c)
{
    size_t got;
    char *text = scratch_read(path, &got);
    if (!text || got != len || memcmp(text, bytes, len) != 0)
        fail_msg("%s %zu, cut at %zu: %zu bytes of %zu:\n%s", what, a, c, got, len, text);
    free(text);
}

/* All files of the folder together hold each of the rows once. */
static void once_each(struct box *b, const char *const *files, size_t file_count, size_t rows)
{
    for (size_t n = 0; n < rows; n++) {
        size_t seen = 0;
        for (size_t f = 0; f < file_count; f++) {
            char *text = scratch_read(scratch_path(b->folder, files[f]), NULL);
            for (char *at = text; at && (at = strstr(at, testkit_row_id(b->kit, n))); at++)
                seen++;
            free(text);
        }
        if (seen != 1)
            fail_msg("row %zu is there %zu times", n, seen);
    }
}

/* --- crash points --- */

enum { PUSHES = 5, EACH = 3, ROWS = PUSHES * EACH };

/* Rows pushed in PUSHES pushes; the states and sizes after each. */
struct history {
    struct saved states[PUSHES + 1];
    size_t sizes[PUSHES + 1];
    char *bytes;
    size_t len;
};

static struct history history_make(struct box *b, const char *file)
{
    struct history h = {.states[0].len = 0};
    for (int i = 0; i < ROWS; i++)
        row(b, i % 2 ? "u" : "v\\\"");
    start(b, file);
    for (size_t i = 0; i < PUSHES; i++) {
        push_ok(b, i * EACH, EACH);
        h.states[i + 1] = saved_now(b);
        free(scratch_read(scratch_path(b->folder, file), &h.sizes[i + 1]));
    }
    h.bytes = scratch_read(scratch_path(b->folder, file), &h.len);
    return h;
}

/* After push `durable` became durable the file was written up to `cut`; then everything after it comes again, `step`
 * rows at a time. */
static void crash_point(struct box *b, const struct history *h, const char *file, size_t durable, size_t cut,
                        size_t step)
{
    const char *path = scratch_path(b->folder, file);
    crash(b, &h->states[durable], durable * EACH);
    put_back(path, h->bytes, cut);
    start(b, file);
    for (size_t n = durable * EACH; n < ROWS; n += step)
        push_ok(b, n, ROWS - n < step ? ROWS - n : step);
    same(path, h->bytes, h->len, "state", durable, cut);
}

static void every_cut(struct box *b, const char *file, int with_state)
{
    struct history h = history_make(b, file);
    size_t points = 0;
    for (size_t durable = 0; durable <= PUSHES; durable++) {
        if (!with_state)
            h.states[durable].len = 0;
        for (size_t cut = h.sizes[durable]; cut <= h.len; cut++, points++)
            crash_point(b, &h, file, durable, cut, points % ROWS + 1);
    }
    print_message("%zu crash points\n", points);
    free(h.bytes);
}

static void test_every_cut(void **state)
{
    every_cut(*state, "rows.ndjson", 1);
}

/* The state lost, or the file not in it: what is settled is then all there is to go by. */
static void test_every_cut_without_state(void **state)
{
    every_cut(*state, "rows.ndjson", 0);
}

/* After a power loss the file can be longer than what reached the disk: zeros, and lines behind them. */
static void test_zeros(void **state)
{
    struct box *b = *state;
    struct history h = history_make(b, "rows.ndjson");
    char *bytes = malloc(h.len);
    for (size_t from = h.sizes[2]; from < h.len; from += 7) {
        for (size_t to = from + 1; to <= h.len; to += 97) {
            memcpy(bytes, h.bytes, h.len);
            memset(bytes + from, 0, to - from);
            crash(b, &h.states[2], 2 * EACH);
            put_back(scratch_path(b->folder, "rows.ndjson"), bytes, h.len);
            start(b, "rows.ndjson");
            push_ok(b, 2 * EACH, ROWS - 2 * EACH);
            same(scratch_path(b->folder, "rows.ndjson"), h.bytes, h.len, "zeros from", from, to);
        }
    }
    free(bytes);
    free(h.bytes);
}

/* A crash, then another before the rows that were found again are all settled. */
static void test_crash_again(void **state)
{
    struct box *b = *state;
    struct history h = history_make(b, "rows.ndjson");
    for (size_t first = 0; first <= ROWS - EACH; first++) {
        crash(b, &h.states[1], EACH);
        put_back(scratch_path(b->folder, "rows.ndjson"), h.bytes, h.len);
        start(b, "rows.ndjson");
        if (first > 0)
            push_ok(b, EACH, first);
        struct saved second = saved_now(b);
        crash(b, &second, EACH + first);
        start(b, "rows.ndjson");
        push_ok(b, EACH + first, ROWS - EACH - first);
        same(scratch_path(b->folder, "rows.ndjson"), h.bytes, h.len, "second crash after", first, 0);
    }
    free(h.bytes);
}

/* Rows that were found again but had been settled beyond the cursor never come: marks must move on all the same. */
static void test_some_never_come(void **state)
{
    struct box *b = *state;
    struct history h = history_make(b, "rows.ndjson");
    crash(b, &h.states[1], EACH);
    start(b, "rows.ndjson");
    push_ok(b, ROWS - 1, 1);
    testkit_settle(b->kit, ROWS);
    row(b, "u");
    push_ok(b, ROWS, 1);
    struct saved after = saved_now(b);
    testkit_origin(b->kit, HG_REPLAY); /* what is settled may be replayed, now */
    push_ok(b, EACH, 2);
    assert_int_equal(testkit_counter(b->kit, "rows_already_there"), 1);
    testkit_settle(b->kit, 0);
    crash(b, &after, 0); /* and after the marks moved on */
    start(b, "rows.ndjson");
    push_ok(b, ROWS - 2, 1);
    assert_int_equal(testkit_counter(b->kit, "rows_already_there"), 0);
    free(h.bytes);
}

/* Rows that were settled long ago stand behind ones that are not, as a replay leaves them; reading backwards must not
 * end there. */
static void test_settled_behind_unsettled(void **state)
{
    struct box *b = *state;
    const char *const files[] = {"rows.ndjson"};
    struct saved none = {.len = 0};
    enum { BIG = 600 };
    char *json = malloc(4096);
    for (int i = 0; i < BIG; i++) { /* far more than one block of 256 KiB */
        snprintf(json, 4096, "{\"uuid\":\"u\",\"row\":{\"data\":{\"n\":%d,\"long\":\"%02000d\"}}}", i, i);
        assert_int_equal(testkit_rows(b->kit, json), 1);
    }
    free(json);
    start(b, "rows.ndjson");
    push_ok(b, 0, BIG);
    testkit_settle(b->kit, 2);
    testkit_origin(b->kit, HG_REPLAY);
    push_ok(b, 0, 1);
    testkit_origin(b->kit, HG_LIVE);
    crash(b, &none, 2);
    start(b, "rows.ndjson");
    push_ok(b, 2, BIG - 2);
    assert_int_equal(testkit_counter(b->kit, "rows_already_there"), BIG - 2);
    char *text = scratch_read(scratch_path(b->folder, files[0]), NULL);
    assert_non_null(strstr(strstr(text, testkit_row_id(b->kit, 0)) + 1, testkit_row_id(b->kit, 0)));
    free(text);
}

/* --- many files --- */

/* More files than the state has room for; the crash comes back to a state of long ago. */
static void test_many_files(void **state)
{
    struct box *b = *state;
    enum { FILES = 150, ROUNDS = 4 };
    static char names[FILES][16];
    const char *files[FILES];
    for (int f = 0; f < FILES; f++) {
        snprintf(names[f], sizeof(names[f]), "u%d", f);
        files[f] = names[f];
    }
    for (int i = 0; i < FILES * ROUNDS; i++)
        row(b, names[(i * 7) % FILES]);
    start(b, "{uuid}");
    push_ok(b, 0, FILES + 20);
    struct saved early = saved_now(b);
    for (size_t n = FILES + 20; n < FILES * ROUNDS; n += 50)
        push_ok(b, n, FILES * ROUNDS - n < 50 ? FILES * ROUNDS - n : 50);
    crash(b, &early, FILES + 20);
    for (int f = 0; f < FILES; f += 3) { /* every third one was torn */
        size_t len;
        char *text = scratch_read(scratch_path(b->folder, names[f]), &len);
        put_back(scratch_path(b->folder, names[f]), text, len - 5);
        free(text);
    }
    start(b, "{uuid}");
    for (size_t n = FILES + 20; n < FILES * ROUNDS; n += 37)
        push_ok(b, n, FILES * ROUNDS - n < 37 ? FILES * ROUNDS - n : 37);
    once_each(b, files, FILES, FILES * ROUNDS);
}

/* A host cannot always tell what is settled: then the state must, or a replay would be taken for a repeat. */
static void test_replay_first(void **state)
{
    struct box *b = *state;
    enum { FILES = 150 };
    for (int i = 0; i < FILES; i++) {
        char uuid[16];
        snprintf(uuid, sizeof(uuid), "u%d", i);
        row(b, uuid);
    }
    start(b, "{uuid}");
    push_ok(b, 0, FILES);
    struct saved last = saved_now(b);
    crash(b, &last, 0);
    start(b, "{uuid}");
    testkit_origin(b->kit, HG_REPLAY);
    push_ok(b, 0, FILES);
    assert_int_equal(testkit_counter(b->kit, "rows_already_there"), 0);
}

/* --- files that moved --- */

static void test_rotated_meanwhile(void **state)
{
    struct box *b = *state;
    const char *const files[] = {"rows.ndjson",      "rows-0001.ndjson", "rows-0002.ndjson", "rows-0003.ndjson",
                                 "rows-0004.ndjson", "rows-0005.ndjson", "rows-0006.ndjson"};
    testkit_set(b->kit, "ROTATE_SIZE", "300B");
    struct history h = history_make(b, "rows.ndjson");
    free(h.bytes);
    for (size_t durable = 0; durable <= PUSHES; durable++) {
        crash(b, &h.states[durable], durable * EACH);
        start(b, "rows.ndjson");
        push_ok(b, durable * EACH, ROWS - durable * EACH);
        once_each(b, files, 7, ROWS);
    }
    assert_true(scratch_count(b->folder) > 3);
}

static void test_renamed_meanwhile(void **state)
{
    struct box *b = *state;
    const char *const files[] = {"rows.ndjson", "rows.ndjson.1"};
    struct history h = history_make(b, "rows.ndjson");
    crash(b, &h.states[2], 2 * EACH);
    rename(scratch_path(b->folder, "rows.ndjson"), scratch_path(b->folder, "rows.ndjson.1"));
    put_back(scratch_path(b->folder, "rows.ndjson.1"), h.bytes, h.len - 9); /* and torn */
    start(b, "rows.ndjson");
    push_ok(b, 2 * EACH, ROWS - 2 * EACH);
    once_each(b, files, 2, ROWS);
    const char *last = memrchr(h.bytes, '\n', h.len - 1); /* the torn line was cut there and is in the new file */
    same(scratch_path(b->folder, "rows.ndjson.1"), h.bytes, (size_t)(last - h.bytes) + 1, "renamed", 0, 0);
    free(h.bytes);
}

static void test_path_changed_meanwhile(void **state)
{
    struct box *b = *state;
    const char *const files[] = {"rows.ndjson", "other/new.ndjson"};
    struct history h = history_make(b, "rows.ndjson");
    crash(b, &h.states[2], 2 * EACH);
    row(b, "u");
    start(b, "other/new.ndjson");
    push_ok(b, 2 * EACH, ROWS - 2 * EACH + 1);
    once_each(b, files, 2, ROWS + 1);
    free(h.bytes);
}

static size_t lines_of(struct box *b, const char *file)
{
    size_t lines = 0;
    char *text = scratch_read(scratch_path(b->folder, file), NULL);
    for (char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    free(text);
    return lines;
}

/* The file was removed and another one has its inode, with a line that ends just where the mark is: the mark must not
 * be believed. */
static void test_inode_again(void **state)
{
    struct box *b = *state;
    struct saved none = {.len = 0};
    enum { OLD = 10, NEW = 30 };
    for (int i = 0; i < OLD + NEW; i++)
        assert_int_equal(testkit_rows(b->kit, "{\"uuid\":\"u\",\"row\":{\"data\":{\"same\":1}}}"), 1);
    start(b, "rows.ndjson");
    push_ok(b, 0, OLD);
    struct saved marked = saved_now(b);
    crash(b, &none, OLD);
    put_back(scratch_path(b->folder, "rows.ndjson"), "", 0);
    start(b, "rows.ndjson");
    push_ok(b, OLD, NEW);
    crash(b, &marked, OLD);
    start(b, "rows.ndjson");
    push_ok(b, OLD, NEW);
    assert_int_equal(lines_of(b, "rows.ndjson"), NEW);
}

/* Somebody else left half a line behind ours, while the file was open. */
static void test_foreign_bytes(void **state)
{
    struct box *b = *state;
    row(b, "u");
    row(b, "u");
    start(b, "rows.ndjson");
    push_ok(b, 0, 1);
    FILE *f = fopen(scratch_path(b->folder, "rows.ndjson"), "a");
    fputs("{\"id\":\"half", f);
    fclose(f);
    push_ok(b, 1, 1);
    const char *const files[] = {"rows.ndjson"};
    once_each(b, files, 1, 2);
    assert_int_equal(lines_of(b, "rows.ndjson"), 2);
    char *text = scratch_read(scratch_path(b->folder, "rows.ndjson"), NULL);
    assert_null(strstr(text, "half"));
    free(text);
}

/* --- calls that fail --- */

static const char *const call_names[] = {"none", "write", "sync", "cut", "folder sync", "any"};

/* Pushes until it works; a fault may hit any call on the way. */
static size_t push_through(struct box *b, size_t first, size_t count, int crashes)
{
    for (size_t tries = 0; tries < 10; tries++) {
        int rc = testkit_push(b->kit, first, count);
        if (rc == HG_ALL_OK)
            return tries;
        assert_int_equal(rc, HG_NOT_NOW);
        for (size_t n = first; n < first + count; n++) /* rows of a part that was kept may be OK; nothing else */
            assert_true(testkit_verdict(b->kit, n) == 0 || testkit_verdict(b->kit, n) == HG_OK);
        if (crashes) {
            struct saved s = saved_now(b);
            crash(b, &s, first);
            start(b, "{uuid}.ndjson");
        }
    }
    fail_msg("rows %zu.. never went through: %s", first, testkit_push_reason(b->kit));
    return 0;
}

/* One run with the at-th call failing; 0 when there are not that many. */
static int fault_run(struct box *b, enum call call, int at, int error, int crashes)
{
    const char *const files[] = {"a.ndjson", "b.ndjson"};
    fault.call = call;
    fault.error = error;
    fault.half = 1;
    fault.seen = fault.fired = 0;
    struct saved none = {.len = 0};
    crash(b, &none, 0);
    for (int f = 0; f < 2; f++)
        unlink(scratch_path(b->folder, files[f]));
    start(b, "{uuid}.ndjson");
    fault.at = at;
    for (size_t n = 0; n < 12; n += 4)
        push_through(b, n, 4, crashes);
    int fired = fault.fired;
    fault.at = 0;
    crash(b, &none, 12);
    start(b, "{uuid}.ndjson");
    push_ok(b, 12, 2);
    once_each(b, files, 2, 14);
    return fired;
}

static void test_every_call_fails(void **state)
{
    struct box *b = *state;
    static const int errors[] = {ENOSPC, EIO, EDQUOT};
    for (int i = 0; i < 14; i++)
        row(b, i % 2 ? "a" : "b");
    size_t runs = 0;
    for (enum call call = CALL_WRITE; call <= CALL_ANY; call++)
        for (int variant = 0; variant < 8; variant++) {
            fault.burst = variant / 2;
            for (int at = 1; fault_run(b, call, at, errors[at % 3], variant % 2); at++, runs++)
                if (at > 100)
                    fail_msg("%s never stops failing", call_names[call]);
        }
    print_message("%zu failed calls\n", runs);
    assert_true(runs > 50);
}

/* More files than are open at once are written in parts: what is kept stays, and only the rest comes again. */
static void test_part_kept(void **state)
{
    struct box *b = *state;
    enum { FILES = 100, OPEN = 64 };
    for (int i = 0; i < FILES; i++) {
        char uuid[16];
        snprintf(uuid, sizeof(uuid), "u%d", i);
        row(b, uuid);
    }
    start(b, "{uuid}");
    fault.call = CALL_WRITE;
    fault.error = ENOSPC;
    fault.at = OPEN + 10;
    assert_int_equal(testkit_push(b->kit, 0, FILES), HG_NOT_NOW);
    for (size_t n = 0; n < FILES; n++)
        assert_int_equal(testkit_verdict(b->kit, n), n < OPEN ? HG_OK : 0);
    push_ok(b, OPEN, FILES - OPEN);
    struct saved last = saved_now(b);
    crash(b, &last, FILES);
    for (size_t n = 0; n < FILES; n++) {
        char name[16];
        snprintf(name, sizeof(name), "u%zu", n);
        assert_int_equal(lines_of(b, name), 1);
    }
}

/* While what was half written cannot be cut off either, nothing is added to it. */
static void test_cut_fails_too(void **state)
{
    struct box *b = *state;
    for (int i = 0; i < 6; i++)
        row(b, "u");
    start(b, "rows.ndjson");
    push_ok(b, 0, 2);
    size_t len;
    free(scratch_read(scratch_path(b->folder, "rows.ndjson"), &len));
    fault.call = CALL_ANY;
    fault.error = EIO;
    fault.burst = INT_MAX - 1;
    fault.at = fault.half = 1;
    for (int i = 0; i < 3; i++)
        assert_int_equal(testkit_push(b->kit, 2, 2), HG_NOT_NOW);
    assert_int_equal(testkit_reopen(b->kit), 1);
    assert_int_equal(testkit_push(b->kit, 2, 2), HG_NOT_NOW);
    fault.at = 0;
    push_ok(b, 2, 2);
    push_ok(b, 4, 2);
    const char *const files[] = {"rows.ndjson"};
    once_each(b, files, 1, 6);
    char *text = scratch_read(scratch_path(b->folder, "rows.ndjson"), NULL);
    for (char *at = text; *at; at = strchr(at, '\n') + 1)
        assert_memory_equal(at, "{\"id\":\"", 7);
    free(text);
}

/* Delivered means synced; without SYNC it does not. What a dead process wrote is synced before it counts. */
static void test_synced(void **state)
{
    struct box *b = *state;
    struct saved none = {.len = 0};
    for (int i = 0; i < 4; i++)
        row(b, "u");
    start(b, "rows.ndjson");
    push_ok(b, 0, 2);
    assert_true(fault.syncs > 0);
    crash(b, &none, 0);
    fault.syncs = fault.writes = 0;
    start(b, "rows.ndjson");
    push_ok(b, 0, 2);
    assert_int_equal(testkit_counter(b->kit, "rows_already_there"), 2);
    assert_true(fault.syncs > 0 && fault.writes > 0);
    testkit_set(b->kit, "SYNC", "no");
    crash(b, &none, 2);
    fault.syncs = 0;
    start(b, "rows.ndjson");
    push_ok(b, 2, 2);
    assert_int_equal(fault.syncs, 0);
    const char *const files[] = {"rows.ndjson"};
    once_each(b, files, 1, 4);
}

/* In a child, since the limit cannot be lifted by everybody. Exit 0: as it should be. */
static int file_limit_child(struct box *b)
{
    struct rlimit limit = {700, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    if (testkit_push(b->kit, 0, 3) != HG_ALL_OK || testkit_push(b->kit, 3, 6) != HG_NOT_NOW ||
        !strstr(testkit_push_reason(b->kit), "too large"))
        return 1;
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    return testkit_push(b->kit, 3, 6) == HG_ALL_OK ? 0 : 2;
}

static void test_file_limit(void **state)
{
    struct box *b = *state;
    const char *const files[] = {"rows.ndjson"};
    for (int i = 0; i < 9; i++)
        row(b, "u");
    start(b, "rows.ndjson");
    pid_t child = fork();
    if (child == 0)
        _exit(file_limit_child(b));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    once_each(b, files, 1, 9);
}

/* A disk that is really full, where the right to mount one is there. */
static void test_disk_full(void **state)
{
    struct box *b = *state;
    char mount_point[4096];
    snprintf(mount_point, sizeof(mount_point), "%s", scratch_path(b->folder, "disk"));
    mkdir(mount_point, 0755);
    if (mount("none", mount_point, "tmpfs", 0, "size=32k") != 0) {
        print_message("no right to mount (%s): the limits of test_file_limit stand in\n", strerror(errno));
        skip();
    }
    for (int i = 0; i < 400; i++)
        row(b, "u");
    start(b, "disk/rows.ndjson");
    size_t n = 0;
    while (n < 400 && testkit_push(b->kit, n, 100) == HG_ALL_OK)
        n += 100;
    int full = testkit_push(b->kit, n, 400 - n) == HG_NOT_NOW && strstr(testkit_push_reason(b->kit), "No space");
    int bigger = mount("none", mount_point, "tmpfs", MS_REMOUNT, "size=1m");
    int rc = testkit_push(b->kit, n, 400 - n);
    const char *const files[] = {"disk/rows.ndjson"};
    once_each(b, files, 1, rc == HG_ALL_OK ? 400 : n);
    testkit_stop(b->kit);
    umount(mount_point);
    assert_true(full);
    assert_int_equal(bigger, 0);
    assert_int_equal(rc, HG_ALL_OK);
}

/* --- kills --- */

enum { KILLS = 60, KILL_ROWS = 3000 };

struct shared { /* what outlives the child: the durable state of each settled push */
    volatile size_t settled;
    volatile uint32_t current; /* which of the two slots is valid */
    struct saved slots[2];
};

/* Takes a token before each push and says that the push begins. */
static void pusher_child(struct box *b, struct shared *s, int tokens, int begins)
{
    char byte;
    size_t n = s->settled, step = 1 + n % 17, begun = 0;
    start(b, "%H/rows-{line}.ndjson");
    while (n < KILL_ROWS && read(tokens, &byte, 1) == 1 && write(begins, "", 1) == 1) {
        step = n + step > KILL_ROWS ? KILL_ROWS - n : step;
        if (testkit_push(b->kit, n, step) != HG_ALL_OK)
            _exit(1);
        n += step;
        if (++begun % 5 == 0 || n == KILL_ROWS) { /* settling becomes durable only now and then */
            struct saved *slot = &s->slots[1 - s->current];
            *slot = saved_now(b);
            s->current = 1 - s->current;
            s->settled = n;
        }
    }
    _exit(n == KILL_ROWS ? 0 : 2);
}

/* One child; it gets `pushes` tokens and is killed in the last of them, `spin` turns after that began. 1: it was. */
static int kill_once(struct box *b, struct shared *s, unsigned pushes, unsigned spin)
{
    int tokens[2], begins[2], status;
    char byte;
    assert_int_equal(pipe(tokens) | pipe(begins), 0);
    pid_t child = fork();
    if (child == 0) {
        close(tokens[1]);
        close(begins[0]);
        pusher_child(b, s, tokens[0], begins[1]);
    }
    close(tokens[0]);
    close(begins[1]);
    for (unsigned n = 0; n < pushes && write(tokens[1], "", 1) == 1; n++)
        if (read(begins[0], &byte, 1) != 1)
            break;
    for (volatile unsigned n = 0; n < spin; n++)
        ;
    kill(child, SIGKILL);
    close(tokens[1]);
    close(begins[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

/* A child pushes and is killed at any point of some push; the next child goes on from what was durable. */
static void test_kills(void **state)
{
    struct box *b = *state;
    const char *const files[] = {"12/rows-a.ndjson", "12/rows-b.ndjson", "12/rows-_.ndjson"};
    const char *const tags[] = {",\"tags\":{\"line\":\"a\"}", ",\"tags\":{\"line\":\"b\"}", ""};
    struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < KILL_ROWS; i++) {
        char json[256];
        snprintf(json, sizeof(json), "{\"uuid\":\"u%d\"%s,\"row\":{\"data\":{\"n\":%d}}}", i % 5, tags[i % 3], i);
        assert_int_equal(testkit_rows(b->kit, json), 1);
    }
    signal(SIGPIPE, SIG_IGN);
    int kills = 0;
    for (unsigned seed = 1; s->settled < KILL_ROWS; seed = seed * 1103515245 + 12345) {
        struct saved last = s->slots[s->current];
        crash(b, &last, s->settled);
        kills += kill_once(b, s, kills < KILLS ? 1 + (seed >> 16) % 16 : KILL_ROWS, seed >> 18);
    }
    print_message("%d kills\n", kills);
    assert_true(kills >= KILLS / 2);
    once_each(b, files, 3, KILL_ROWS);
    munmap(s, sizeof(*s));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, box_make, box_drop)
    const struct CMUnitTest tests[] = {
        TEST(every_cut),
        TEST(every_cut_without_state),
        TEST(zeros),
        TEST(crash_again),
        TEST(some_never_come),
        TEST(settled_behind_unsettled),
        TEST(many_files),
        TEST(replay_first),
        TEST(rotated_meanwhile),
        TEST(renamed_meanwhile),
        TEST(path_changed_meanwhile),
        TEST(inode_again),
        TEST(foreign_bytes),
        TEST(every_call_fails),
        TEST(part_kept),
        TEST(cut_fails_too),
        TEST(synced),
        TEST(file_limit),
        TEST(disk_full),
        TEST(kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
