/* The file pusher through the test kit: what it writes, where, and what it does when a path cannot be written. What it
 * does after a crash is in test_plugin_file_crash.c. */
#include "scratch.h"
#include "testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/file.so";

struct box {
    char *folder;
    struct testkit *kit;
};

static int box_make(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
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
    for (size_t n = first; n < first + count; n++)
        assert_int_equal(testkit_verdict(b->kit, n), HG_OK);
}

static void push_waits(struct box *b, size_t first, size_t count, const char *reason)
{
    assert_int_equal(testkit_push(b->kit, first, count), HG_NOT_NOW);
    if (!strstr(testkit_push_reason(b->kit), reason))
        fail_msg("'%s' says nothing of '%s'", testkit_push_reason(b->kit), reason);
}

static void row(struct box *b, const char *uuid)
{
    char json[1024];
    snprintf(json, sizeof(json), "{\"uuid\":\"%s\",\"row\":{\"data\":{\"n\":%zu}}}", uuid, testkit_row_count(b->kit));
    assert_int_equal(testkit_rows(b->kit, json), 1);
}

/* The file holds exactly rows [first, first + count) as row() made them. */
static void holds(struct box *b, const char *name, size_t first, size_t count)
{
    char *text = scratch_read(scratch_path(b->folder, name), NULL), *at = text;
    if (!text)
        fail_msg("%s is not there", name);
    for (size_t n = first; n < first + count; n++) {
        char head[128], data[64];
        char *end = strchr(at, '\n');
        assert_non_null(end);
        *end = '\0';
        snprintf(head, sizeof(head), "{\"id\":\"%s\",\"uuid\":\"", testkit_row_id(b->kit, n));
        snprintf(data, sizeof(data), "Z\",\"data\":{\"n\":%zu}}", n);
        assert_memory_equal(at, head, strlen(head));
        assert_non_null(strstr(at, data));
        at = end + 1;
    }
    assert_string_equal(at, "");
    free(text);
}

static void test_line(void **state)
{
    struct box *b = *state;
    char expected[2048];
    testkit_received(b->kit, 1769860800123456);
    testkit_rows(b->kit, "{\"uuid\":\"a\\\"b\\\\c\xc3\xa9\",\"rows\":["
                         "{\"index\":0,\"data\":{\"keyOne\":1.50e0,\"z\":\"\\u00e9\",\"a\":[{}, null]}},"
                         "{\"data\":{\n\"a\" :\r\n 1\t}},{\"index\":9007199254740991,\"data\":{}}]}");
    start(b, "rows.ndjson");
    push_ok(b, 0, 3);
    snprintf(expected, sizeof(expected),
             "{\"id\":\"%s\",\"uuid\":\"a\\\"b\\\\c\xc3\xa9\",\"index\":0,\"received\":\"2026-01-31T12:00:00.123456Z\","
             "\"data\":{\"keyOne\":1.50e0,\"z\":\"\\u00e9\",\"a\":[{}, null]}}\n"
             "{\"id\":\"%s\",\"uuid\":\"a\\\"b\\\\c\xc3\xa9\",\"received\":\"2026-01-31T12:00:00.123456Z\","
             "\"data\":{ \"a\" :   1\t}}\n"
             "{\"id\":\"%s\",\"uuid\":\"a\\\"b\\\\c\xc3\xa9\",\"index\":9007199254740991,"
             "\"received\":\"2026-01-31T12:00:00.123456Z\",\"data\":{}}\n",
             testkit_row_id(b->kit, 0), testkit_row_id(b->kit, 1), testkit_row_id(b->kit, 2));
    char *text = scratch_read(scratch_path(b->folder, "rows.ndjson"), NULL);
    assert_string_equal(text, expected);
    free(text);
}

static void test_names(void **state)
{
    struct box *b = *state;
    testkit_rows(b->kit, "{\"uuid\":\"../é/x\",\"tags\":{\"line\":\"L 1\"},\"row\":{\"data\":{\"n\":0}}}");
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"row\":{\"data\":{\"n\":1}}}");
    testkit_received(b->kit, 1769903999999999); /* still the same day in UTC */
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"tags\":{\"line\":\"\"},\"row\":{\"data\":{\"n\":2}}}");
    testkit_received(b->kit, 1769904000000000);
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"row\":{\"data\":{\"n\":3}}}");
    start(b, "%Y/{line}/%m-%d-{uuid}%%.ndjson");
    push_ok(b, 0, 4);
    holds(b, "2026/L%201/01-31-%2E%2E%2F%C3%A9%2Fx%.ndjson", 0, 1);
    holds(b, "2026/_/01-31-u%.ndjson", 1, 2);
    holds(b, "2026/_/02-01-u%.ndjson", 3, 1);
    assert_int_equal(scratch_count(b->folder), 1);
}

/* 128 characters of four bytes each are 1536 when encoded: more than a name may have. */
static void test_long_names(void **state)
{
    struct box *b = *state;
    char uuid[600] = "";
    for (int i = 0; i < 128; i++)
        strcat(uuid, "\xf0\x9f\x8c\x8a");
    row(b, uuid);
    uuid[507] ^= 1; /* another uuid that begins the same */
    row(b, uuid);
    start(b, "{uuid}.ndjson");
    push_ok(b, 0, 2);
    assert_int_equal(scratch_count(b->folder), 2);
    push_ok(b, 0, 2);
    assert_int_equal(scratch_count(b->folder), 2);
}

static void test_modes(void **state)
{
    struct box *b = *state;
    struct stat st;
    row(b, "u");
    start(b, "a.ndjson");
    push_ok(b, 0, 1);
    assert_int_equal(stat(scratch_path(b->folder, "a.ndjson"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    testkit_set(b->kit, "MODE", "0604");
    start(b, "b.ndjson");
    push_ok(b, 0, 1);
    assert_int_equal(stat(scratch_path(b->folder, "b.ndjson"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0604);
}

static void test_settings_refused(void **state)
{
    struct box *b = *state;
    static const char *const paths[] = {"", "a/", "a{", "a}", "{Uuid}", "{}", "%q", "a%"};
    assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN); /* PATH is required */
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        testkit_set(b->kit, "PATH", paths[i]);
        assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
        assert_non_null(strstr(testkit_fault(b->kit), "PATH: "));
    }
    testkit_set(b->kit, "PATH", scratch_path(b->folder, "a"));
    testkit_set(b->kit, "MODE", "888");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
    assert_non_null(strstr(testkit_fault(b->kit), "MODE: "));
    testkit_set(b->kit, "MODE", "600");
    testkit_set(b->kit, "ROTATE_SIZE", "12");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
}

/* Nothing is refused, nothing is written, and when the cause is gone everything arrives. */
static void test_cannot_write(void **state)
{
    struct box *b = *state;
    const char *path = scratch_path(b->folder, "sub/rows.ndjson");
    row(b, "u");
    row(b, "v");
    start(b, "sub/rows.ndjson");
    scratch_write(scratch_path(b->folder, "sub"), "x", 1);
    push_waits(b, 0, 2, "Not a directory");
    assert_int_equal(testkit_verdict(b->kit, 0), 0);
    assert_int_equal(unlink(scratch_path(b->folder, "sub")), 0);
    assert_int_equal(mkdir(scratch_path(b->folder, "sub"), 0755), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    push_waits(b, 0, 2, "Is a directory");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0644), 0);
    push_waits(b, 0, 2, "not a regular file");
    assert_int_equal(unlink(path), 0);
    scratch_write(path, "root:x:0:0\n", 11);
    push_waits(b, 0, 2, "left alone");
    char *text = scratch_read(path, NULL);
    assert_string_equal(text, "root:x:0:0\n");
    free(text);
    assert_int_equal(unlink(path), 0);
    push_ok(b, 0, 2);
    holds(b, "sub/rows.ndjson", 0, 2);
}

static void test_locked(void **state)
{
    struct box *b = *state;
    const char *path = scratch_path(b->folder, "rows.ndjson");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    row(b, "u");
    start(b, "rows.ndjson");
    assert_int_equal(flock(fd, LOCK_EX), 0);
    push_waits(b, 0, 1, "another process");
    close(fd);
    push_ok(b, 0, 1);
}

static void test_many_rows(void **state)
{
    struct box *b = *state;
    for (int i = 0; i < 10000; i++)
        row(b, "u");
    start(b, "rows.ndjson");
    for (size_t n = 0; n < 10000; n += 1000)
        push_ok(b, n, 1000);
    holds(b, "rows.ndjson", 0, 10000);
}

/* More files in one push than are ever open at once, again and again. */
static void test_many_files(void **state)
{
    struct box *b = *state;
    enum { FILES = 200 };
    char name[32];
    for (int i = 0; i < 3 * FILES; i++) {
        snprintf(name, sizeof(name), "u%d", i % FILES);
        row(b, name);
    }
    start(b, "{uuid}");
    push_ok(b, 0, FILES);
    push_ok(b, FILES, 2 * FILES);
    for (size_t i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "u%zu", i);
        char *text = scratch_read(scratch_path(b->folder, name), NULL), *at = text;
        for (size_t n = i; n < 3 * FILES; n += FILES) {
            at = strstr(at, testkit_row_id(b->kit, n));
            assert_non_null(at);
        }
        assert_null(strstr(at + 1, "{\"id\":"));
        free(text);
    }
}

static void test_rotation(void **state)
{
    struct box *b = *state;
    for (int i = 0; i < 40; i++)
        row(b, "u");
    testkit_set(b->kit, "ROTATE_SIZE", "1KiB");
    start(b, "rows.ndjson");
    scratch_write(scratch_path(b->folder, "rows-0007.ndjson"), "", 0); /* numbers go on, nothing is overwritten */
    for (size_t n = 0; n < 40; n += 10)                                /* a push is about 1.5 KiB */
        push_ok(b, n, 10);
    holds(b, "rows-0008.ndjson", 0, 10);
    holds(b, "rows-0009.ndjson", 10, 10);
    holds(b, "rows-0010.ndjson", 20, 10);
    holds(b, "rows.ndjson", 30, 10);
    assert_int_equal(scratch_count(b->folder), 5);
}

static void test_moved_away(void **state)
{
    struct box *b = *state;
    for (int i = 0; i < 6; i++)
        row(b, "u");
    start(b, "rows.ndjson");
    push_ok(b, 0, 1);
    rename(scratch_path(b->folder, "rows.ndjson"), scratch_path(b->folder, "old.1"));
    assert_int_equal(testkit_reopen(b->kit), 1);
    push_ok(b, 1, 1);
    rename(scratch_path(b->folder, "rows.ndjson"), scratch_path(b->folder, "old.2"));
    push_ok(b, 2, 1); /* also without a signal */
    holds(b, "rows.ndjson", 2, 1);
    unlink(scratch_path(b->folder, "rows.ndjson"));
    push_ok(b, 3, 1);
    holds(b, "rows.ndjson", 3, 1);
    assert_int_equal(truncate(scratch_path(b->folder, "rows.ndjson"), 0), 0); /* copytruncate */
    push_ok(b, 4, 1);
    holds(b, "rows.ndjson", 4, 1);
    rename(scratch_path(b->folder, "old.1"), scratch_path(b->folder, "rows.ndjson")); /* and back */
    push_ok(b, 5, 1);
    holds(b, "old.2", 1, 1);
    char *text = scratch_read(scratch_path(b->folder, "rows.ndjson"), NULL);
    assert_non_null(strstr(text, testkit_row_id(b->kit, 0)));
    assert_non_null(strstr(text, testkit_row_id(b->kit, 5)));
    free(text);
}

static void test_probe(void **state)
{
    struct box *b = *state;
    start(b, "not/yet/there-%Y.ndjson");
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
    scratch_write(scratch_path(b->folder, "not"), "x", 1);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "Not a directory"));
}

/* A replayed row is written again: that is what a replay is for. */
static void test_replay(void **state)
{
    struct box *b = *state;
    row(b, "u");
    start(b, "rows.ndjson");
    push_ok(b, 0, 1);
    testkit_settle(b->kit, 1);
    testkit_origin(b->kit, HG_REPLAY);
    push_ok(b, 0, 1);
    testkit_stop(b->kit);
    start(b, "rows.ndjson");
    push_ok(b, 0, 1);
    char *text = scratch_read(scratch_path(b->folder, "rows.ndjson"), NULL);
    size_t lines = 0;
    for (char *at = text; (at = strstr(at, testkit_row_id(b->kit, 0))); at++)
        lines++;
    assert_int_equal(lines, 3);
    free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, box_make, box_drop)
    const struct CMUnitTest tests[] = {
        TEST(line),         TEST(names),  TEST(long_names), TEST(modes),      TEST(settings_refused),
        TEST(cannot_write), TEST(locked), TEST(many_rows),  TEST(many_files), TEST(rotation),
        TEST(moved_away),   TEST(probe),  TEST(replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
