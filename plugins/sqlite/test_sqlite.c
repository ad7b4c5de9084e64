/* The `sqlite` pusher by the test kit: what it writes, what it refuses, what a repeat does. */
#include "scratch.h"
#include "testkit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
    char *folder;
    const char *path;
    struct testkit *kit;
    char found[4096];
};

static int set_up(void **state)
{
    static struct bench b;
    b.folder = scratch_make();
    b.path = scratch_path(b.folder, "rows.db");
    b.kit = testkit_load(TEST_BUILD "/plugins/sqlite.so");
    testkit_set(b.kit, "PATH", b.path);
    *state = &b;
    return b.kit ? 0 : -1;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    testkit_free(&b->kit);
    scratch_remove(&b->folder);
    return 0;
}

/* All that a statement gives: values with commas, rows with semicolons. */
static const char *ask(struct bench *b, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    b->found[0] = '\0';
    assert_int_equal(sqlite3_open(b->path, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    for (size_t len = 0; sqlite3_step(s) == SQLITE_ROW;)
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            const char *text = (const char *)sqlite3_column_text(s, i);
            len += (size_t)snprintf(b->found + len, sizeof(b->found) - len, "%s%s", text ? text : "NULL",
                                    i + 1 < sqlite3_column_count(s) ? "," : ";");
        }
    sqlite3_finalize(s);
    sqlite3_close(db);
    return b->found;
}

static void test_values(void **state)
{
    struct bench *b = *state;
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"rows\":[{\"index\":7,\"data\":{\"aNumber\":1.5,\"big\":9223372036854775807,"
                         "\"digits\":0.1234567890123456789,\"text\":\"\\u00fc\\n\\\"x\",\"yes\":true,\"none\":null,"
                         "\"nested\":{\"a\":[1]}}},{\"data\":{\"aNumber\":\"now a text\"}}]}");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_OK);
    assert_int_equal(testkit_push(b->kit, 0, 2), HG_JUDGED);
    assert_int_equal(testkit_forgotten(b->kit), 0);
    assert_int_equal(testkit_verdict(b->kit, 0), HG_OK);
    assert_string_equal(ask(b, "SELECT _uuid, _index, _received, a_number, big, digits, text, yes, nested FROM rows"),
                        "u,7,2026-01-31T12:00:00.000000Z,1.5,9223372036854775807,0.1234567890123456789,\xc3\xbc\n\"x,1,"
                        "{\"a\":[1]};u,NULL,2026-01-31T12:00:00.000000Z,now a text,NULL,NULL,NULL,NULL,NULL;");
    assert_string_equal(ask(b, "SELECT typeof(a_number), typeof(big), typeof(digits), typeof(yes) FROM rows LIMIT 1"),
                        "real,integer,text,integer;");
    assert_string_equal(ask(b, "SELECT count(*) FROM pragma_table_info('rows') WHERE name = 'none'"), "0;");
}

static void test_repeat(void **state)
{
    struct bench *b = *state;
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"n\":1}},{\"data\":{\"n\":2}},{\"data\":{\"n\":3}}]}");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_OK);
    assert_int_equal(testkit_push(b->kit, 0, 2), HG_JUDGED);
    testkit_stop(b->kit);
    assert_int_equal(testkit_start(b->kit), HG_OPEN_OK);
    assert_int_equal(testkit_push(b->kit, 0, 3), HG_JUDGED);
    assert_int_equal(testkit_verdict(b->kit, 0), HG_DUPLICATE);
    assert_int_equal(testkit_verdict(b->kit, 1), HG_DUPLICATE);
    assert_int_equal(testkit_verdict(b->kit, 2), HG_OK);
    assert_string_equal(ask(b, "SELECT n FROM rows"), "1;2;3;");
}

static void test_refusals(void **state)
{
    struct bench *b = *state;
    ask(b, "CREATE TABLE rows (_id TEXT PRIMARY KEY, _uuid, _index, _received, n INTEGER CHECK (n < 10), u UNIQUE)");
    testkit_rows(
        b->kit,
        "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"n\":1,\"u\":1}},{\"data\":{\"n\":11}},{\"data\":{\"aB\":1,\"a_b\":2}},"
        "{\"data\":{\"u\":1}},{\"data\":{\"n\":123456789012345678.5}},{\"data\":{\"_id\":1}},{\"data\":{\"n\":2}},"
        "{\"data\":{\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg\":1}}]}");
    static const char *const reasons[] = {"",
                                          "CHECK constraint failed",
                                          "would be the column a_b",
                                          "UNIQUE constraint failed: rows.u",
                                          "lose digits",
                                          "column _id, which holds the row's own",
                                          "",
                                          "more than 63 bytes"};
    assert_int_equal(testkit_start(b->kit), HG_OPEN_OK);
    assert_int_equal(testkit_push(b->kit, 0, 8), HG_JUDGED);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(testkit_verdict(b->kit, i), reasons[i][0] ? HG_REJECT : HG_OK);
        if (!strstr(testkit_reason(b->kit, i), reasons[i]))
            fail_msg("row %zu: %s", i, testkit_reason(b->kit, i));
    }
    assert_string_equal(ask(b, "SELECT n FROM rows"), "1;2;");
}

static void test_not_now(void **state)
{
    struct bench *b = *state;
    sqlite3 *db = NULL;
    testkit_set(b->kit, "BUSY_TIMEOUT", "0");
    testkit_set(b->kit, "CREATE", "no");
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"row\":{\"data\":{\"n\":1}}}");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_OK);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_NOT_NOW);
    assert_int_equal(testkit_push(b->kit, 0, 1), HG_NOT_NOW);
    assert_string_equal(testkit_push_reason(b->kit), "there is no table rows, and CREATE=no");
    ask(b, "CREATE TABLE rows (_id TEXT PRIMARY KEY, _uuid, _index, _received)");
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
    assert_int_equal(sqlite3_open(b->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(testkit_push(b->kit, 0, 1), HG_NOT_NOW);
    assert_non_null(strstr(testkit_push_reason(b->kit), "locked"));
    assert_int_equal(testkit_verdict(b->kit, 0), 0);
    sqlite3_close(db);
    assert_int_equal(testkit_push(b->kit, 0, 1), HG_JUDGED);
    assert_string_equal(ask(b, "SELECT n FROM rows"), "1;");
}

/* Rows that went on into a file that is no longer there would be lost. */
static void test_file_is_gone(void **state)
{
    struct bench *b = *state;
    testkit_set(b->kit, "JOURNAL", "delete");
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"n\":1}},{\"data\":{\"n\":2}}]}");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_OK);
    assert_int_equal(testkit_push(b->kit, 0, 1), HG_JUDGED);
    assert_int_equal(unlink(b->path), 0);
    assert_int_equal(testkit_push(b->kit, 1, 1), HG_JUDGED);
    assert_string_equal(ask(b, "SELECT n FROM rows"), "2;");
}

/* A row of too many keys is refused, and its columns are not made. */
static void test_too_many_columns(void **state)
{
    struct bench *b = *state;
    char json[8192] = "{\"uuid\":\"u\",\"rows\":[{\"data\":{\"first\":1}},{\"data\":{";
    size_t len = strlen(json);
    for (int i = 0; i < 300; i++)
        len += (size_t)snprintf(json + len, sizeof(json) - len, "%s\"k%d\":1", i ? "," : "", i);
    snprintf(json + len, sizeof(json) - len, "}},{\"data\":{\"k7\":1,\"last\":2}}]}");
    testkit_rows(b->kit, json);
    assert_int_equal(testkit_start(b->kit), HG_OPEN_OK);
    assert_int_equal(testkit_push(b->kit, 0, 3), HG_JUDGED);
    assert_int_equal(testkit_verdict(b->kit, 1), HG_REJECT);
    assert_string_equal(testkit_reason(b->kit, 1), "the row would add more than 250 columns");
    assert_string_equal(ask(b, "SELECT group_concat(name) FROM pragma_table_info('rows')"),
                        "_id,_uuid,_index,_received,first,k7,last;");
    assert_string_equal(ask(b, "SELECT first, k7, last FROM rows"), "1,NULL,NULL;NULL,1,2;");
}

static void test_not_a_database(void **state)
{
    struct bench *b = *state;
    int fd = open(b->path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "something else entirely, and long enough to be a header of anything", 67), 67);
    close(fd);
    assert_int_equal(testkit_start(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "not a database"));
}

static void test_json_and_alter(void **state)
{
    struct bench *b = *state;
    testkit_set(b->kit, "MODE", "json");
    testkit_set(b->kit, "TABLE", "odd \"name'");
    testkit_rows(b->kit, "{\"uuid\":\"u\",\"row\":{\"data\":{ \"n\" : 1.50 }}}");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_OK);
    assert_int_equal(testkit_push(b->kit, 0, 1), HG_JUDGED);
    assert_string_equal(ask(b, "SELECT data FROM \"odd \"\"name'\""), "{ \"n\" : 1.50 };");
    testkit_stop(b->kit);
    testkit_set(b->kit, "MODE", "columns");
    testkit_set(b->kit, "ALTER", "no");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_OK);
    testkit_rows(b->kit, "{\"uuid\":\"v\",\"row\":{\"data\":{\"n\":1}}}");
    assert_int_equal(testkit_push(b->kit, 1, 1), HG_JUDGED);
    assert_string_equal(testkit_reason(b->kit, 1), "the table has no column n, and ALTER=no");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_repeat, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_now, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_a_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json_and_alter, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
