/* The `directory` puller by the test kit: what it takes in of good, bad and half-written files, and what becomes of
 * them when emissions fail, when it begins again, and when somebody else touches them. */
#include "scratch.h"
#include "testkit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEPS = 1000, LINE_MAX_BYTES = 16 << 20 };

struct bench {
    char *folder;
    struct testkit *kit;
};

static int set_up(void **state)
{
    static struct bench b;
    b.folder = scratch_make();
    b.kit = testkit_load(TEST_BUILD "/plugins/directory.so");
    testkit_set(b.kit, "PATH", b.folder);
    testkit_set(b.kit, "WATCH", "no");
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

static void put(const struct bench *b, const char *name, const char *text)
{
    const char *part = scratch_path(b->folder, "new.part");
    scratch_write(part, text, strlen(text));
    assert_int_equal(rename(part, scratch_path(b->folder, name)), 0);
}

/* Rows {"n":0}, {"n":1} and so on. */
static void put_rows(const struct bench *b, const char *name, size_t count)
{
    const size_t size = count * 20 + 1;
    char *text = malloc(size);
    size_t len = 0;
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, size - len, "{\"n\":%zu}\n", i);
    put(b, name, text);
    free(text);
}

static int is_there(const struct bench *b, const char *name)
{
    return access(scratch_path(b->folder, name), F_OK) == 0;
}

static void start(const struct bench *b)
{
    if (testkit_start(b->kit) != HG_OPEN_OK)
        fail_msg("%s", testkit_fault(b->kit));
}

static void finish(const struct bench *b)
{
    if (testkit_run(b->kit, STEPS) != HG_PULL_NOTHING)
        fail_msg("%s", testkit_fault(b->kit));
}

/* In their order, each once, all of them behind a position. */
static void assert_rows(const struct bench *b, size_t count)
{
    char data[40];
    assert_int_equal(testkit_row_count(b->kit), count);
    assert_int_equal(testkit_placed(b->kit), count);
    for (size_t i = 0; i < count; i++) {
        snprintf(data, sizeof(data), "{\"n\":%zu}", i);
        assert_string_equal(testkit_data(b->kit, i), data);
    }
}

static void error_begins(const struct bench *b, const char *name, const char *begin)
{
    char path[200];
    snprintf(path, sizeof(path), "failed/%s.error", name);
    char *text = scratch_read(scratch_path(b->folder, path), NULL);
    if (!text)
        fail_msg("no %s", path);
    else if (strncmp(text, begin, strlen(begin)) != 0)
        fail_msg("%s: expected %s, found %s", name, begin, text);
    free(text);
}

static void every_kind(void **state)
{
    struct bench *b = *state;
    start(b);
    put(b, "a.ndjson",
        "{\"one\":1}\n\n{\"uuid\":\"own\",\"tags\":{\"line\":\"x\"},\"rows\":[{\"index\":3,\"data\":"
        "{\"two\":2}}]}\r\n{\"three\":3}");
    finish(b);
    put(b, "b.json", " [{\"a\": 1,\n \"b\": \"]\"},\n {\"a\": 2}]\n");
    finish(b);
    put(b, "c.csv", "temp_max,Sample ID\r\n1.50,\"a \"\"b\"\",\nc\"\r\n,007\r\n");
    finish(b);
    static const char *const rows[][2] = {
        {"a.ndjson", "{\"one\":1}"},
        {"own", "{\"two\":2}"},
        {"a.ndjson", "{\"three\":3}"},
        {"b.json", "{\"a\": 1,  \"b\": \"]\"}"},
        {"b.json", "{\"a\": 2}"},
        {"c.csv", "{\"tempMax\":1.50,\"sampleId\":\"a \\\"b\\\",\\nc\"}"},
        {"c.csv", "{\"tempMax\":null,\"sampleId\":\"007\"}"},
    };
    assert_int_equal(testkit_row_count(b->kit), 7);
    for (size_t i = 0; i < 7; i++) {
        assert_string_equal(testkit_uuid(b->kit, i), rows[i][0]);
        assert_string_equal(testkit_data(b->kit, i), rows[i][1]);
    }
    assert_string_equal(testkit_tag(b->kit, 1, "line"), "x");
    assert_int_equal(testkit_index(b->kit, 1), 3);
    assert_int_equal(testkit_index(b->kit, 2), -1);
    assert_int_equal(testkit_placed(b->kit), 7);
    assert_true(is_there(b, "done/a.ndjson") && is_there(b, "done/b.json") && is_there(b, "done/c.csv"));
    assert_int_equal(testkit_counter(b->kit, "files_done"), 3);
}

/* Each is put aside, with its line and the reason, and nothing of it is taken in. */
static void bad_files(void **state)
{
    static const struct {
        const char *name, *text, *error;
    } cases[] = {
        {"empty.csv", "", "line 1: "},
        {"cells.csv", "a,b\n1,2\n1\n", "line 3: 1 cells, but the header has 2 columns"},
        {"more.csv", "a,b\n1,2,3\n", "line 2: 3 cells"},
        {"open.csv", "a,b\n1,\"2\n3,4\n", "line 2: "},
        {"behind.csv", "a\n\"1\"2\n", "line 2: text behind a closing quote"},
        {"inside.csv", "a\n1\"2\n", "line 2: a quote inside an unquoted cell"},
        {"return.csv", "a\n1\r2\n", "line 2: a carriage return without a line feed"},
        {"latin1.csv", "a\n\xE9\n", "line 2: column `a`: the byte 0xE9 is not UTF-8"},
        {"utf16.csv",
         "\xFF\xFE"
         "a",
         "line 1: the file is UTF-16"},
        {"same.csv", "temp max,temp_max\n1,2\n", "line 1: columns 1 (`temp max`) and 2"},
        {"noname.csv", "\na,+\n1,2\n", "line 2: column 2 (`+`): the name has no Latin letter"},
        {"late.csv", "a,b\n\"x\ny\",2\n1\n", "line 4: "},
        {"blank.csv", "a,b\n\n\n1\n", "line 4: 1 cells"},
        {"bad.tsv", "a\tb\n1\n", "line 2: 1 cells"},
        {"json.ndjson", "{\"n\":1}\n{\"n\":\n", "line 2: "},
        {"none.ndjson", "{\"n\":1}\nnonsense\n", "line 2: "},
        {"key.ndjson", "{\"Bad\":1}\n", "line 1: "},
        {"uuid.ndjson", "{\"uuid\":\"\",\"row\":{\"data\":{}}}\n", "line 1: "},
        {"ends.json", "[{\"n\":1},\n", "line 2: the array does not end"},
        {"after.json", "[{\"n\":1}]\n7", "line 2: something follows the array"},
        {"text.json", "\"n\"", "line 1: an object, or an array of objects, is needed"},
    };
    struct bench *b = *state;
    start(b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put(b, cases[i].name, cases[i].text);
        finish(b);
        if (is_there(b, cases[i].name))
            fail_msg("%s is still there", cases[i].name);
        error_begins(b, cases[i].name, cases[i].error);
        assert_int_equal(testkit_row_count(b->kit), 0);
        assert_int_equal(testkit_counter(b->kit, "files_failed"), i + 1);
    }
    put_rows(b, "good.ndjson", 2);
    finish(b);
    assert_rows(b, 2);
}

/* The same rows as `headgate send` makes of it, wherever it goes on. */
static void a_csv_file_in_many_parts(void **state)
{
    enum { ROWS = 5000 };
    struct bench *b = *state;
    const size_t size = ROWS * 60;
    char *text = malloc(size), data[100];
    assert_non_null(text);
    size_t len = (size_t)snprintf(text, size,
                                  "\xEF\xBB\xBFNo.,Gr\xC3\xB6\xC3\x9F"
                                  "e,text\r\n");
    for (int i = 0; i < ROWS; i++)
        len += (size_t)snprintf(text + len, size - len, "%d,%d.50,\"line %d\n\"\"x\"\"\"\r\n%s", i, i, i,
                                i % 7 == 0 ? "\r\n" : "");
    put(b, "a.csv", text);
    free(text);
    for (int result = HG_PULLED; result != HG_PULL_NOTHING;) {
        start(b); /* again behind each part */
        result = testkit_pull(b->kit);
    }
    assert_int_equal(testkit_row_count(b->kit), ROWS);
    for (int i = 0; i < ROWS; i++) {
        snprintf(data, sizeof(data), "{\"no\":%d,\"grosse\":%d.50,\"text\":\"line %d\\n\\\"x\\\"\"}", i, i, i);
        assert_string_equal(testkit_data(b->kit, (size_t)i), data);
    }
}

/* A mark of the byte order is no part of what follows. */
static void marks(void **state)
{
    struct bench *b = *state;
    start(b);
    put(b, "a.ndjson", "\xEF\xBB\xBF{\"n\":0}\n");
    finish(b);
    put(b, "b.json", "\xEF\xBB\xBF [{\"n\":1},{\"n\":2}]");
    finish(b);
    put(b, "c.csv", "\xEF\xBB\xBFn\n3\n");
    finish(b);
    assert_rows(b, 4);
}

static void what_was_taken_before_the_bad_row_is_told(void **state)
{
    struct bench *b = *state;
    start(b);
    put_rows(b, "long.ndjson", 1000);
    FILE *out = fopen(scratch_path(b->folder, "long.ndjson"), "a");
    assert_non_null(out);
    fputs("{\"n\":1000}\nnonsense\n", out);
    fclose(out);
    finish(b);
    error_begins(b, "long.ndjson", "line 1002: ");
    char *text = scratch_read(scratch_path(b->folder, "failed/long.ndjson.error"), NULL);
    assert_non_null(strstr(text, "\n1000 rows before it were taken in; what follows byte 9890 (line 1001) was not.\n"));
    free(text);
    assert_rows(b, 1000);
}

static void huge_lines(void **state)
{
    struct bench *b = *state;
    char *text = malloc(LINE_MAX_BYTES + 100);
    assert_non_null(text);
    start(b);
    size_t len = (size_t)snprintf(text, LINE_MAX_BYTES, "{\"n\":0}\n{\"long\":\"");
    memset(text + len, 'x', 5 << 20);
    memcpy(text + len + (5 << 20), "\"}\n", 4);
    put(b, "long.ndjson", text);
    finish(b);
    assert_int_equal(testkit_row_count(b->kit), 2);
    assert_int_equal(strlen(testkit_data(b->kit, 1)), (5 << 20) + 11);
    memset(text, 'x', LINE_MAX_BYTES + 50);
    memcpy(text, "{\"long\":\"", 9);
    memcpy(text + LINE_MAX_BYTES + 50, "\"}\n", 4);
    put(b, "longer.ndjson", text);
    finish(b);
    assert_true(is_there(b, "failed/longer.ndjson"));
    memset(text, 'x', LINE_MAX_BYTES + 50);
    memcpy(text, "a\n\"", 3);
    put(b, "longer.csv", text);
    finish(b);
    error_begins(b, "longer.csv", "line ");
    assert_int_equal(testkit_row_count(b->kit), 2);
    free(text);
}

static void half_written_files_are_left_alone(void **state)
{
    struct bench *b = *state;
    start(b);
    FILE *out = fopen(scratch_path(b->folder, "slow.ndjson"), "w");
    assert_non_null(out);
    fputs("{\"n\":0}\n{\"n\"", out);
    fflush(out);
    finish(b);
    assert_true(is_there(b, "slow.ndjson"));
    assert_int_equal(testkit_row_count(b->kit), 0);
    fputs(":1}\n", out);
    fclose(out);
    finish(b);
    assert_rows(b, 2);
    static const char *const others[] = {"x.ndjson.t", "x.ndjson.part", ".x.ndjson", "x.txt"};
    for (size_t i = 0; i < 4; i++)
        scratch_write(scratch_path(b->folder, others[i]), "{\"n\":9}\n", 8);
    assert_int_equal(symlink("done/slow.ndjson", scratch_path(b->folder, "link.ndjson")), 0);
    assert_int_equal(mkdir(scratch_path(b->folder, "folder.ndjson"), 0755), 0);
    assert_int_equal(mkfifo(scratch_path(b->folder, "fifo.ndjson"), 0644), 0);
    finish(b);
    assert_rows(b, 2);
    assert_int_equal(rename(scratch_path(b->folder, "x.ndjson.part"), scratch_path(b->folder, "x.ndjson")), 0);
    finish(b);
    assert_int_equal(testkit_row_count(b->kit), 3);
}

static void goes_on_where_it_was(void **state)
{
    struct bench *b = *state;
    put_rows(b, "big.ndjson", 3500);
    for (int life = 0; life < 3; life++) {
        start(b);
        assert_int_equal(testkit_pull(b->kit), HG_PULLED);
        assert_int_equal(testkit_row_count(b->kit), (size_t)(life + 1) * 1000);
        assert_true(is_there(b, "big.ndjson"));
        testkit_stop(b->kit);
    }
    start(b);
    assert_int_equal(testkit_pull(b->kit), HG_PULLED); /* all of it is in, and it is not put away */
    assert_true(is_there(b, "big.ndjson"));
    start(b);
    finish(b);
    assert_rows(b, 3500);
    assert_true(is_there(b, "done/big.ndjson"));
    size_t len;
    assert_null(testkit_state(b->kit, &len));
}

static void emissions_that_fail(void **state)
{
    struct bench *b = *state;
    start(b);
    put_rows(b, "a.ndjson", 2500);
    for (size_t i = 0; i < 3; i++) { /* the first batch, the last, and the place that follows the move */
        testkit_emit_fails(b->kit, 2, HG_EMIT_NOT_NOW, "a disk error");
        assert_int_equal(testkit_run(b->kit, STEPS), HG_PULL_NOT_NOW);
        assert_string_equal(testkit_fault(b->kit), "a disk error");
        assert_int_equal(testkit_pull(b->kit), HG_PULL_NOT_NOW);
        assert_int_equal(testkit_pull(b->kit), HG_PULLED);
        if (i == 0)
            assert_int_equal(testkit_pull(b->kit), HG_PULLED);
    }
    finish(b);
    assert_rows(b, 2500);
    assert_int_equal(testkit_counter(b->kit, "files_done"), 1);
}

static void refused_as_a_whole_it_comes_in_smaller_parts(void **state)
{
    struct bench *b = *state;
    start(b);
    testkit_emit_most(b->kit, 70);
    put_rows(b, "a.ndjson", 1234);
    finish(b);
    assert_rows(b, 1234);
    testkit_emit_most(b->kit, 1);
    put_rows(b, "b.ndjson", 3);
    finish(b);
    assert_int_equal(testkit_row_count(b->kit), 1237);
}

static void a_full_journal_and_a_stop(void **state)
{
    struct bench *b = *state;
    start(b);
    put_rows(b, "a.ndjson", 10);
    testkit_full(b->kit, 60000);
    finish(b);
    assert_rows(b, 10);
    assert_int_equal(testkit_waited(b->kit), 60000);
    put_rows(b, "b.ndjson", 10);
    testkit_full(b->kit, -1);
    testkit_stop_after(b->kit, 1000);
    assert_int_equal(testkit_pull(b->kit), HG_PULL_NOT_NOW);
    assert_int_equal(testkit_waited(b->kit), 61000);
    assert_true(is_there(b, "b.ndjson"));
    testkit_full(b->kit, 0);
    testkit_stopping(b->kit, 0);
    start(b);
    finish(b);
    assert_int_equal(testkit_row_count(b->kit), 20);
}

static void somebody_takes_the_file_away(void **state)
{
    struct bench *b = *state;
    start(b);
    put_rows(b, "a.ndjson", 1500);
    assert_int_equal(testkit_pull(b->kit), HG_PULLED);
    assert_int_equal(rename(scratch_path(b->folder, "a.ndjson"), scratch_path(b->folder, "a.txt")), 0);
    finish(b); /* it is open: what is in it is taken in, and nothing is moved */
    assert_rows(b, 1500);
    assert_true(is_there(b, "a.txt") && !is_there(b, "done/a.ndjson"));
    put_rows(b, "b.ndjson", 1500);
    assert_int_equal(testkit_pull(b->kit), HG_PULLED);
    put(b, "b.ndjson", "{\"other\":1}\n"); /* another file of that name */
    start(b);
    finish(b);
    assert_int_equal(testkit_row_count(b->kit), 2501);
    assert_string_equal(testkit_data(b->kit, 2500), "{\"other\":1}");
    uint32_t level;
    const char *line = testkit_log(b->kit, 0, &level);
    assert_non_null(line);
    assert_non_null(strstr(line, "b.ndjson: it is not there any more"));
    assert_int_equal(level, HG_LOG_WARN);
}

static void names_that_are_taken_and_files_that_are_removed(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 3; i++) {
        put(b, "a.ndjson", i < 2 ? "{\"n\":0}\n" : "nonsense\n");
        start(b);
        finish(b);
    }
    assert_true(is_there(b, "done/a.ndjson") && is_there(b, "done/a.ndjson.1") && is_there(b, "failed/a.ndjson"));
    testkit_set(b->kit, "AFTER", "remove");
    testkit_set(b->kit, "UUID", "mine");
    put(b, "b.ndjson", "{\"n\":0}\n");
    start(b);
    finish(b);
    assert_true(!is_there(b, "b.ndjson") && !is_there(b, "done/b.ndjson"));
    assert_string_equal(testkit_uuid(b->kit, 2), "mine");
}

/* As somebody who may not read everything, also where the tests run as root. */
static void files_that_cannot_be_read(void **state)
{
    struct bench *b = *state;
    const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    start(b);
    assert_int_equal(chmod(b->folder, 0777) | chmod(scratch_path(b->folder, "done"), 0777), 0);
    put(b, "secret.ndjson", "{\"n\":1}\n");
    put(b, "plain.ndjson", "{\"n\":0}\n");
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(b->folder, "secret.ndjson"), old, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(b->folder, "plain.ndjson"), old, 0), 0);
    assert_int_equal(chmod(scratch_path(b->folder, "secret.ndjson"), 0), 0);
    uid_t self = geteuid();
    assert_int_equal(seteuid(self == 0 ? 65534 : self), 0);
    int result = testkit_run(b->kit, STEPS);
    char why[200];
    snprintf(why, sizeof(why), "%s", testkit_fault(b->kit));
    assert_int_equal(seteuid(self), 0);
    assert_int_equal(result, HG_PULL_NOT_NOW);
    assert_non_null(strstr(why, "Permission denied"));
    assert_rows(b, 1); /* it holds up no other */
    assert_int_equal(chmod(scratch_path(b->folder, "secret.ndjson"), 0644), 0);
    finish(b);
    assert_rows(b, 2);
}

static void folders_and_positions_that_are_none(void **state)
{
    struct bench *b = *state;
    const char *file = scratch_path(b->folder, "file");
    scratch_write(file, "", 0);
    testkit_set(b->kit, "DONE", file);
    assert_int_equal(testkit_start(b->kit), HG_OPEN_NOT_NOW);
    assert_non_null(strstr(testkit_fault(b->kit), "Not a directory"));
    testkit_set(b->kit, "DONE", "/proc/self");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
    assert_string_equal(testkit_fault(b->kit), "DONE and FAILED must be on the file system of PATH");
    testkit_set(b->kit, "DONE", NULL);
    testkit_state_put(b->kit, "17", 2);
    assert_int_equal(testkit_start(b->kit), HG_OPEN_BROKEN);
    assert_non_null(strstr(testkit_fault(b->kit), "its position is not one of this plugin"));
    testkit_state_put(b->kit, NULL, 0);
    start(b);
    assert_int_equal(testkit_probe(b->kit), HG_OPEN_OK);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(every_kind, set_up, tear_down),
    cmocka_unit_test_setup_teardown(bad_files, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_csv_file_in_many_parts, set_up, tear_down),
    cmocka_unit_test_setup_teardown(marks, set_up, tear_down),
    cmocka_unit_test_setup_teardown(what_was_taken_before_the_bad_row_is_told, set_up, tear_down),
    cmocka_unit_test_setup_teardown(huge_lines, set_up, tear_down),
    cmocka_unit_test_setup_teardown(half_written_files_are_left_alone, set_up, tear_down),
    cmocka_unit_test_setup_teardown(goes_on_where_it_was, set_up, tear_down),
    cmocka_unit_test_setup_teardown(emissions_that_fail, set_up, tear_down),
    cmocka_unit_test_setup_teardown(refused_as_a_whole_it_comes_in_smaller_parts, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_full_journal_and_a_stop, set_up, tear_down),
    cmocka_unit_test_setup_teardown(somebody_takes_the_file_away, set_up, tear_down),
    cmocka_unit_test_setup_teardown(names_that_are_taken_and_files_that_are_removed, set_up, tear_down),
    cmocka_unit_test_setup_teardown(files_that_cannot_be_read, set_up, tear_down),
    cmocka_unit_test_setup_teardown(folders_and_positions_that_are_none, set_up, tear_down),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
