/* The archive pusher through the test kit: names, contents, what a repeat does, and a disk that does not take it. */
#include "scratch.h"
#include "testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char plugin[] = TEST_BUILD "/plugins/archive.so";

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

static void push(struct box *b, size_t first, size_t count, uint32_t verdict)
{
    if (testkit_push(b->kit, first, count) != HG_JUDGED)
        fail_msg("push: %s", testkit_push_reason(b->kit));
    for (size_t n = first; n < first + count; n++)
        assert_int_equal(testkit_verdict(b->kit, n), verdict);
}

/* The row set's id: the row's without the number at its end. */
static const char *batch_id(struct box *b, size_t row)
{
    static char id[HG_ROW_ID_SIZE];
    snprintf(id, sizeof(id), "%s", testkit_row_id(b->kit, row));
    *strrchr(id, '-') = '\0';
    return id;
}

static const char *named(const char *before, const char *id, const char *after)
{
    static char name[600];
    snprintf(name, sizeof(name), "%s%s%s", before, id, after);
    return name;
}

static void expect(struct box *b, const char *name, const char *content)
{
    size_t len;
    char *text = scratch_read(scratch_path(b->folder, name), &len);
    if (!text)
        fail_msg("%s is not there", name);
    assert_string_equal(text, content);
    free(text);
}

static void test_documents(void **state)
{
    struct box *b = *state;
    char text[600];
    start(b, "%Y/{line}/{uuid}");
    testkit_rows(b->kit, "{\"uuid\":\"p/1\",\"tags\":{\"zone\":\"a\\nb\\\\\",\"line\":\"x y\"},"
                         "\"rows\":[{\"index\":3,\"data\":{\"a\":1.50}},{\"data\":{\"b\":[1, 2]}}]}");
    testkit_rows(b->kit, "{\"uuid\":\"q\",\"row\":{\"data\":{}}}");
    push(b, 0, 3, HG_OK);
    const char *id = batch_id(b, 0);
    snprintf(
        text, sizeof(text),
        "{\"id\":\"%s\",\"uuid\":\"p/1\",\"received\":\"2026-01-31T12:00:00.000000Z\",\"tags\":{\"line\":\"x y\","
        "\"zone\":\"a\\nb\\\\\"},\"rows\":[\n{\"index\":3,\"data\":{\"a\":1.50}},\n{\"data\":{\"b\":[1, 2]}}\n]}\n",
        id);
    expect(b, named("2026/x%20y/p%2F1-", id, ".json"), text);
    expect(b, named("2026/x%20y/p%2F1-", id, ".tags"), "line = x y\nzone = a\\nb\\\\\n");
    id = batch_id(b, 2);
    snprintf(
        text, sizeof(text),
        "{\"id\":\"%s\",\"uuid\":\"q\",\"received\":\"2026-01-31T12:00:00.000000Z\",\"rows\":[\n{\"data\":{}}\n]}\n",
        id);
    expect(b, named("2026/_/q-", id, ".json"), text);
    expect(b, named("2026/_/q-", id, ".tags"), "");
}

static void test_lines(void **state)
{
    struct box *b = *state;
    char text[300], id[HG_ROW_ID_SIZE];
    testkit_set(b->kit, "FORMAT", "ndjson");
    start(b, "day/"); /* a folder: the name is the id alone */
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"a\":\n1}}]}");
    push(b, 0, 1, HG_OK);
    snprintf(id, sizeof(id), "%s", testkit_row_id(b->kit, 0));
    snprintf(text, sizeof(text),
             "{\"id\":\"%s\",\"uuid\":\"u\",\"received\":\"2026-01-31T12:00:00.000000Z\",\"data\":{\"a\": 1}}\n", id);
    expect(b, named("day/", batch_id(b, 0), ".ndjson"), text);
}

/* What is there is whole, and is told so; what was left behind halfway is written anew. */
static void test_repeat(void **state)
{
    struct box *b = *state;
    start(b, "{uuid}");
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"a\":1}},{\"data\":{\"a\":2}}]}");
    const char *name = named("u-", batch_id(b, 0), ".json.part");
    scratch_write(scratch_path(b->folder, name), "{\"id\":", 6);
    push(b, 0, 2, HG_OK);
    assert_int_equal(access(scratch_path(b->folder, name), F_OK), -1);
    testkit_stop(b->kit);
    start(b, "{uuid}");
    push(b, 0, 2, HG_DUPLICATE);
    assert_int_equal(unlink(scratch_path(b->folder, named("u-", batch_id(b, 0), ".json"))), 0);
    push(b, 0, 2, HG_OK);
}

/* Dead letters come back without the others of their set: they must not take the whole one's place. */
static void test_part_of_a_set(void **state)
{
    struct box *b = *state;
    start(b, "{uuid}");
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"a\":1}},{\"data\":{\"a\":2}},{\"data\":{\"a\":3}}]}");
    push(b, 0, 3, HG_OK);
    push(b, 1, 1, HG_OK);
    push(b, 1, 2, HG_OK);
    push(b, 0, 3, HG_DUPLICATE);
    const char *id = batch_id(b, 0);
    assert_int_equal(access(scratch_path(b->folder, named("u-", id, "-1-1.json")), F_OK), 0);
    assert_int_equal(access(scratch_path(b->folder, named("u-", id, "-1-2.json")), F_OK), 0);
}

static void test_long_names(void **state)
{
    struct box *b = *state;
    char json[2][400], uuid[129];
    start(b, "{uuid}");
    memset(uuid, '/', 128);
    for (int i = 0; i < 2; i++) {
        uuid[127] = i == 0 ? 'a' : 'b';
        uuid[128] = '\0';
        snprintf(json[i], sizeof(json[i]), "{\"uuid\":\"%s\",\"row\":{\"data\":{}}}", uuid);
        testkit_rows(b->kit, json[i]);
    }
    push(b, 0, 2, HG_OK);
    push(b, 0, 2, HG_DUPLICATE); /* each has a name of its own, and finds it again */
}

static void test_disk(void **state)
{
    struct box *b = *state;
    scratch_write(scratch_path(b->folder, "in-the-way"), "x", 1);
    start(b, "in-the-way/{uuid}");
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"row\":{\"data\":{}}}");
    assert_int_equal(testkit_push(b->kit, 0, 1), HG_NOT_NOW);
    assert_non_null(strstr(testkit_push_reason(b->kit), "cannot be made"));
    assert_int_equal(testkit_verdict(b->kit, 0), 0);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
    assert_int_equal(unlink(scratch_path(b->folder, "in-the-way")), 0);
    push(b, 0, 1, HG_OK);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
}

static void test_mode(void **state)
{
    struct box *b = *state;
    struct stat st;
    testkit_set(b->kit, "MODE", "0888");
    testkit_set(b->kit, "PATH", scratch_path(b->folder, "{uuid}"));
    assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
    assert_non_null(strstr(testkit_fault(b->kit), "MODE"));
    testkit_set(b->kit, "MODE", "0604");
    start(b, "{uuid}");
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"row\":{\"data\":{}}}");
    push(b, 0, 1, HG_OK);
    assert_int_equal(stat(scratch_path(b->folder, named("u-", batch_id(b, 0), ".json")), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0604);
}

static void test_bad_path(void **state)
{
    struct box *b = *state;
    testkit_set(b->kit, "PATH", scratch_path(b->folder, "{Nope}"));
    assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
    assert_non_null(strstr(testkit_fault(b->kit), "PATH"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_documents, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_lines, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_repeat, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_part_of_a_set, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_long_names, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_disk, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_mode, box_make, box_drop),
        cmocka_unit_test_setup_teardown(test_bad_path, box_make, box_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
