/* `headgate journal verify|dump|repair` on a real journal: whole, damaged, repaired, in use. */
#include "cli/cli.h"

#include "cli/js.h"
#include "journal_bed.h"

#include <glob.h>

enum { OUTPUT_MAX = 1 << 20, SETS = 5 };

static char output[OUTPUT_MAX];

/* Runs a verb with its standard output in `output`. */
static int run(int (*verb)(int, char **), char **argv)
{
    int argc = 0;
    char name[] = "/tmp/headgate-out-XXXXXX";
    while (argv[argc] != NULL)
        argc++;
    fflush(stdout);
    int keep = dup(STDOUT_FILENO), fd = mkstemp(name);
    assert_true(keep >= 0 && fd >= 0);
    unlink(name);
    dup2(fd, STDOUT_FILENO);
    int exit = verb(argc, argv);
    fflush(stdout);
    dup2(keep, STDOUT_FILENO);
    close(keep);
    ssize_t len = pread(fd, output, sizeof output - 1, 0);
    assert_true(len >= 0);
    output[len] = '\0';
    close(fd);
    return exit;
}

static int lines(void)
{
    int count = 0;
    for (const char *at = output; (at = strchr(at, '\n')) != NULL; at++)
        count++;
    return count;
}

/* A closed journal of SETS row sets of one row each. */
static void bed_filled(struct bed *b)
{
    bed_init(b);
    bed_open(b);
    for (int i = 0; i < SETS; i++)
        assert_int_equal(bed_put(b, 1, 200), ERR_OK);
    journal_close(&b->j);
}

static void whole(void **state)
{
    (void)state;
    struct bed b;
    bed_filled(&b);
    char *verify[] = {"verify", b.dir, NULL}, *json[] = {"verify", b.dir, "--json", NULL};
    assert_int_equal(run(verb_journal_verify, verify), EXIT_DONE);
    assert_non_null(strstr(output, "5 row sets, 5 rows"));
    assert_non_null(strstr(output, "whole"));
    assert_int_equal(run(verb_journal_verify, json), EXIT_DONE);
    json_t *answer = js_parse(slice_of(output));
    assert_int_equal(js_integer(answer, "row_sets"), SETS);
    assert_int_equal(js_integer(answer, "damages"), 0);
    char first[BATCH_ID_LEN + 1];
    batch_id_text(&b.facts[0].epoch, b.facts[0].position, first);
    assert_string_equal(js_text(answer, "first"), first);
    json_decref(answer);
    bed_fini(&b);
}

static void dumped(void **state)
{
    (void)state;
    struct bed b;
    bed_filled(&b);
    char *sets[] = {"dump", b.dir, NULL}, *rows[] = {"dump", "--rows", b.dir, NULL};
    assert_int_equal(run(verb_journal_dump, sets), EXIT_DONE);
    assert_int_equal(lines(), SETS);
    assert_non_null(strstr(output, "\"uuid\":\"u3\",\"rows\":1"));
    assert_int_equal(run(verb_journal_dump, rows), EXIT_DONE);
    assert_int_equal(lines(), SETS);
    char *line = output;
    for (int i = 1; i <= SETS; i++) {
        char *end = strchr(line, '\n'), id[ROW_ID_LEN + 1];
        json_t *row = js_parse(slice_make(line, (size_t)(end - line)));
        row_id_text(&b.facts[i - 1].epoch, b.facts[i - 1].position, 0, id);
        assert_string_equal(js_text(row, "id"), id);
        assert_int_equal(js_integer(row, "index"), i);
        assert_int_equal(js_integer(json_object_get(row, "data"), "n"), i);
        assert_int_equal(strlen(js_text(json_object_get(row, "data"), "pad")), 200);
        json_decref(row);
        line = end + 1;
    }
    bed_fini(&b);
}

/* Flip one byte of the third row's data. */
static void damage(const struct bed *b)
{
    char pattern[160];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*.seg", b->dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        static char bytes[BED_SEGMENT];
        int fd = open(found.gl_pathv[i], O_RDWR);
        assert_true(fd >= 0);
        ssize_t len = pread(fd, bytes, sizeof bytes, 0);
        char *at = len > 0 ? memmem(bytes, (size_t)len, "{\"n\":3,", 7) : NULL;
        if (at != NULL)
            assert_int_equal(pwrite(fd, "x", 1, at - bytes + 5), 1);
        close(fd);
    }
    globfree(&found);
}

static void damaged_and_repaired(void **state)
{
    (void)state;
    struct bed b;
    char mended[160];
    bed_filled(&b);
    damage(&b);
    snprintf(mended, sizeof mended, "%s.repaired", b.dir);
    char *verify[] = {"verify", b.dir, NULL}, *rows[] = {"dump", b.dir, "--rows", NULL};
    char *repair[] = {"repair", b.dir, NULL}, *again[] = {"verify", mended, NULL};
    assert_int_equal(run(verb_journal_verify, verify), EXIT_REFUSED);
    assert_non_null(strstr(output, "damage: positions"));
    assert_non_null(strstr(output, "4 row sets"));
    assert_int_equal(run(verb_journal_dump, rows), EXIT_REFUSED);
    assert_int_equal(lines(), SETS - 1);
    assert_int_equal(run(verb_journal_repair, repair), EXIT_DONE);
    assert_non_null(strstr(output, mended));
    assert_int_equal(run(verb_journal_verify, again), EXIT_DONE);
    assert_non_null(strstr(output, "4 row sets, 4 rows"));
    assert_int_equal(run(verb_journal_repair, repair), EXIT_REFUSED); /* it is there already */
    tree_remove(mended);
    bed_fini(&b);
}

static void in_use(void **state)
{
    (void)state;
    struct bed b;
    bed_init(&b);
    bed_open(&b);
    char *verify[] = {"verify", b.dir, NULL};
    assert_int_equal(run(verb_journal_verify, verify), EXIT_UNREACHABLE);
    bed_fini(&b);
}

/* The data directory stands for the journal in it; without one the settings say. */
static void found_by_the_data_directory(void **state)
{
    (void)state;
    struct bed b;
    char data[160], inside[176];
    bed_filled(&b);
    snprintf(data, sizeof data, "%s.data", b.dir);
    snprintf(inside, sizeof inside, "%s/journal", data);
    assert_int_equal(mkdir(data, 0700), 0);
    assert_int_equal(rename(b.dir, inside), 0);
    char *named[] = {"verify", data, NULL}, *configured[] = {"verify", "--config", "/dev/null", NULL};
    assert_int_equal(run(verb_journal_verify, named), EXIT_DONE);
    assert_non_null(strstr(output, "5 row sets"));
    assert_int_equal(setenv("HEADGATE_DATA_DIR", data, 1), 0);
    assert_int_equal(run(verb_journal_verify, configured), EXIT_DONE);
    assert_non_null(strstr(output, "5 row sets"));
    assert_int_equal(unsetenv("HEADGATE_DATA_DIR"), 0);
    tree_remove(data);
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(dumped),
        cmocka_unit_test(in_use),
        cmocka_unit_test(damaged_and_repaired),
        cmocka_unit_test(found_by_the_data_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
