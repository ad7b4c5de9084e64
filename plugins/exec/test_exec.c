/* The `exec` puller by the test kit: what becomes of what a command prints, of what is no row, and of commands that
 * fail, go on for ever, or say how far they are. */
#include "scratch.h"
#include "testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { STEPS = 1000 };

struct bench {
    char *folder;
    struct testkit *kit;
};

static int set_up(void **state)
{
    static struct bench b;
    b.folder = scratch_make();
    b.kit = testkit_load(TEST_BUILD "/plugins/exec.so");
    testkit_set(b.kit, "FOLDER", b.folder);
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

static void start(const struct bench *b, const char *command)
{
    testkit_set(b->kit, "COMMAND", command);
    if (testkit_start(b->kit) != HG_OPEN_OK)
        fail_msg("%s", testkit_fault(b->kit));
}

/* One run, to its end. */
static void run(const struct bench *b, const char *command)
{
    start(b, command);
    if (testkit_run(b->kit, STEPS) != HG_PULL_NOTHING)
        fail_msg("%s", testkit_fault(b->kit));
}

/* {"n":0}, {"n":1} and so on: in their order, each once. */
static void assert_rows(const struct bench *b, size_t count)
{
    char data[40];
    assert_int_equal(testkit_row_count(b->kit), count);
    for (size_t i = 0; i < count; i++) {
        snprintf(data, sizeof(data), "{\"n\":%zu}", i);
        assert_string_equal(testkit_data(b->kit, i), data);
    }
}

static void rows_and_documents(void **state)
{
    struct bench *b = *state;
    testkit_set(b->kit, "ENV", "SAID=hello");
    run(b, "echo '{\"n\":0}'; echo; printf '  \\n{\"n\":1}\\n'; echo warning >&2;"
           "echo '{\"uuid\":\"own\",\"row\":{\"index\":4,\"data\":{\"n\":2}}}';"
           "printf '{\"said\":\"%s %s\"}' $SAID $HEADGATE_INSTANCE");
    assert_int_equal(testkit_row_count(b->kit), 4);
    assert_string_equal(testkit_uuid(b->kit, 0), "test");
    assert_string_equal(testkit_uuid(b->kit, 2), "own");
    assert_int_equal(testkit_index(b->kit, 2), 4);
    assert_string_equal(testkit_data(b->kit, 3), "{\"said\":\"hello test\"}");
    assert_string_equal(testkit_log(b->kit, 0, NULL), "warning");
    assert_string_equal(testkit_fault(b->kit), "");
}

static const char mixed[] = "echo '{\"n\":0}'; echo nonsense; echo '{\"n\":'; echo '{\"n\":1}'; echo '{\"Bad\":1}';"
                            "echo '[{\"n\":1}]'; echo '{\"n\":2}'";

static void lines_that_are_no_rows(void **state)
{
    struct bench *b = *state;
    run(b, mixed);
    assert_rows(b, 3);
    assert_int_equal(testkit_counter(b->kit, "bad_lines"), 4);
    uint32_t level;
    const char *line = testkit_log(b->kit, 0, &level);
    assert_non_null(strstr(line, "line 2 is no row: "));
    assert_non_null(strstr(line, ": nonsense"));
    assert_int_equal(level, HG_LOG_ERROR);
    const char *path = scratch_path(b->folder, "bad");
    testkit_set(b->kit, "BAD_LINES", path);
    run(b, mixed);
    char *text = scratch_read(path, NULL);
    assert_non_null(text);
    static const char *const wanted[] = {"# line 2: ", "\nnonsense\n", "# line 3: ", "\n{\"n\":\n",
                                         "# line 5: ", "Bad",          "# line 6: ", "\n[{\"n\":1}]\n"};
    for (size_t i = 0; i < 8; i++)
        if (!strstr(text, wanted[i]))
            fail_msg("no %s in %s", wanted[i], text);
    free(text);
    assert_null(testkit_log(b->kit, 0, NULL));
    assert_int_equal(testkit_row_count(b->kit), 6);
}

static void a_line_that_is_too_long(void **state)
{
    struct bench *b = *state;
    run(b, "echo '{\"n\":0}'; head -c 17000000 /dev/zero | tr '\\0' x; echo; echo '{\"n\":1}'");
    assert_rows(b, 2);
    assert_int_equal(testkit_counter(b->kit, "bad_lines"), 1);
    assert_non_null(strstr(testkit_log(b->kit, 0, NULL), "line 2 is no row: a line of more than 16 MiB"));
}

static void commands_that_fail(void **state)
{
    static const char *const cases[][2] = {
        {"echo '{\"n\":0}'; exit 3", "the command ended with exit status 3"},
        {"kill -9 $$", "the command was ended by signal 9 (Killed)"},
        {"./not-there", "the command ended with exit status 127"},
        {"if", "the command ended with exit status 2"},
    };
    struct bench *b = *state;
    for (size_t i = 0; i < 4; i++) {
        run(b, cases[i][0]);
        assert_string_equal(testkit_fault(b->kit), cases[i][1]);
        assert_int_equal(testkit_counter(b->kit, "failed_runs"), 1);
    }
    assert_rows(b, 1); /* what it printed before counts */
    testkit_set(b->kit, "FOLDER", scratch_path(b->folder, "missing"));
    run(b, "true");
    assert_string_equal(testkit_fault(b->kit), "the command ended with exit status 126");
    assert_string_equal(testkit_log(b->kit, 0, NULL), "cannot work in FOLDER");
}

static void a_run_that_follows_a_run(void **state)
{
    struct bench *b = *state;
    run(b, "n=$(cat n 2>/dev/null || echo 0); echo \"{\\\"n\\\":$n}\"; echo $((n + 1)) >n");
    for (int i = 0; i < 3; i++)
        assert_int_equal(testkit_run(b->kit, STEPS), HG_PULL_NOTHING);
    assert_rows(b, 4);
}

static void it_runs_on_and_is_told_to_end(void **state)
{
    struct bench *b = *state;
    start(b, "trap 'echo \"{\\\"n\\\":1}\"; exit 0' TERM; echo '{\"n\":0}'; while :; do :; done");
    assert_int_equal(testkit_pull(b->kit), HG_PULLED); /* it is silent: what has come is taken in */
    assert_rows(b, 1);
    testkit_stopping(b->kit, 1);
    assert_int_equal(testkit_run(b->kit, STEPS), HG_PULL_NOTHING);
    assert_rows(b, 2);
    assert_string_equal(testkit_fault(b->kit), "");
}

static void it_spins_and_does_not_listen(void **state)
{
    struct bench *b = *state;
    testkit_set(b->kit, "STOP_WAIT", "50ms");
    start(b, "trap '' TERM; echo '{\"n\":0}'; while :; do :; done");
    assert_int_equal(testkit_pull(b->kit), HG_PULLED);
    testkit_stopping(b->kit, 1);
    assert_int_equal(testkit_run(b->kit, STEPS), HG_PULL_NOTHING);
    assert_rows(b, 1);
    assert_string_equal(testkit_fault(b->kit), "the command was ended by signal 9 (Killed)");
}

static void emissions_that_fail(void **state)
{
    struct bench *b = *state;
    start(b, "seq 0 1499 | sed 's/.*/{\"n\":&}/'");
    testkit_emit_fails(b->kit, 3, HG_EMIT_NOT_NOW, "a disk error");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(testkit_pull(b->kit), HG_PULL_NOT_NOW);
        assert_string_equal(testkit_fault(b->kit), "no rows are taken: a disk error");
    }
    assert_int_equal(testkit_run(b->kit, STEPS), HG_PULL_NOTHING);
    assert_rows(b, 1500);
}

static void refused_as_a_whole_it_comes_in_smaller_parts(void **state)
{
    struct bench *b = *state;
    testkit_emit_most(b->kit, 70);
    run(b, "seq 0 1499 | sed 's/.*/{\"n\":&}/'");
    assert_rows(b, 1500);
    assert_int_equal(testkit_counter(b->kit, "bad_lines"), 0);
}

static void a_full_journal_and_a_stop(void **state)
{
    struct bench *b = *state;
    start(b, "echo '{\"n\":0}'; echo '{\"n\":1}'");
    testkit_full(b->kit, -1);
    assert_int_equal(testkit_pull(b->kit), HG_PULL_NOT_NOW);
    assert_rows(b, 0);
    assert_non_null(strstr(testkit_log(b->kit, 0, NULL), "2 lines of the command were not taken in"));
}

static const char counting[] = "n=${HEADGATE_POSITION:-0}; end=$((n + 5)); while [ $n -lt $end ]; do"
                               " echo \"{\\\"n\\\":$n}\"; n=$((n + 1)); echo \"{\\\"position\\\":\\\"$n\\\"}\"; done";

static void positions(void **state)
{
    struct bench *b = *state;
    size_t len;
    testkit_set(b->kit, "POSITIONS", "yes");
    run(b, counting);
    assert_rows(b, 5);
    assert_memory_equal(testkit_state(b->kit, &len), "5", 1);
    run(b, counting); /* a new process: it begins where the other was */
    assert_rows(b, 10);
    assert_int_equal(testkit_placed(b->kit), 10);
    testkit_state_put(b->kit, "5", 1); /* the position of a crash that was earlier */
    run(b, counting);
    assert_string_equal(testkit_data(b->kit, 10), "{\"n\":5}");
}

/* Without a position behind them rows are durable, and would come again. */
static void rows_without_a_position(void **state)
{
    struct bench *b = *state;
    testkit_set(b->kit, "POSITIONS", "yes");
    run(b, "echo '{\"n\":0}'; echo '{\"position\":\"one\"}'; echo '{\"n\":1}'");
    assert_rows(b, 2);
    assert_int_equal(testkit_placed(b->kit), 1);
    size_t len;
    assert_memory_equal(testkit_state(b->kit, &len), "one", 3);
    testkit_set(b->kit, "POSITIONS", "no"); /* then it is a row as others are */
    run(b, "echo '{\"position\":\"two\"}'");
    assert_string_equal(testkit_data(b->kit, 2), "{\"position\":\"two\"}");
    assert_int_equal(testkit_placed(b->kit), 1);
}

static void a_position_is_kept_while_emissions_fail(void **state)
{
    struct bench *b = *state;
    size_t len;
    testkit_set(b->kit, "POSITIONS", "yes");
    start(b, counting);
    testkit_emit_fails(b->kit, 1, HG_EMIT_NOT_NOW, "a disk error");
    assert_int_equal(testkit_pull(b->kit), HG_PULL_NOT_NOW);
    assert_int_equal(testkit_row_count(b->kit), 0);
    assert_null(testkit_state(b->kit, &len));
    assert_int_equal(testkit_run(b->kit, STEPS), HG_PULL_NOTHING);
    assert_rows(b, 5);
    assert_int_equal(testkit_placed(b->kit), 5);
}

static void bad_lines_that_cannot_be_written(void **state)
{
    struct bench *b = *state;
    testkit_set(b->kit, "BAD_LINES", b->folder);
    testkit_set(b->kit, "COMMAND", "true");
    assert_int_equal(testkit_start(b->kit), HG_OPEN_NOT_NOW);
    assert_string_equal(testkit_fault(b->kit), "Is a directory");
    testkit_set(b->kit, "BAD_LINES", "/dev/full");
    start(b, "echo nonsense; echo '{\"n\":0}'");
    assert_int_equal(testkit_pull(b->kit), HG_PULL_NOT_NOW);
    assert_string_equal(testkit_fault(b->kit), "cannot write BAD_LINES: No space left on device");
    assert_int_equal(testkit_row_count(b->kit), 0); /* nothing passes a line that would be lost */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(rows_and_documents, set_up, tear_down),
    cmocka_unit_test_setup_teardown(lines_that_are_no_rows, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_line_that_is_too_long, set_up, tear_down),
    cmocka_unit_test_setup_teardown(commands_that_fail, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_run_that_follows_a_run, set_up, tear_down),
    cmocka_unit_test_setup_teardown(it_runs_on_and_is_told_to_end, set_up, tear_down),
    cmocka_unit_test_setup_teardown(it_spins_and_does_not_listen, set_up, tear_down),
    cmocka_unit_test_setup_teardown(emissions_that_fail, set_up, tear_down),
    cmocka_unit_test_setup_teardown(refused_as_a_whole_it_comes_in_smaller_parts, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_full_journal_and_a_stop, set_up, tear_down),
    cmocka_unit_test_setup_teardown(positions, set_up, tear_down),
    cmocka_unit_test_setup_teardown(rows_without_a_position, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_position_is_kept_while_emissions_fail, set_up, tear_down),
    cmocka_unit_test_setup_teardown(bad_lines_that_cannot_be_written, set_up, tear_down),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
