/* The settings file: what inih would read in another way than it is written is refused, with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sys.h"
#include "conf/inifile.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct parsed {
    struct inifile file;
    struct buf faults, notices;
    size_t fault_count;
};

static void parse(struct parsed *p, struct slice text)
{
    buf_init(&p->faults, 64 * 1024);
    buf_init(&p->notices, 64 * 1024);
    struct lines faults = {&p->faults, 0}, notices = {&p->notices, 0};
    assert_int_equal(inifile_parse(text, "f", &p->file, &faults, &notices), ERR_OK);
    p->fault_count = faults.count;
}

static void done(struct parsed *p)
{
    inifile_fini(&p->file);
    buf_free(&p->faults);
    buf_free(&p->notices);
}

static void test_good(void **state)
{
    static const char text[] = "# comment\n"
                               "; comment ; with ; semicolons\n"
                               "   # an indented comment\n"
                               "\n"
                               "[http]\n"
                               "listen = 127.0.0.1:8080, [::1]:8080\r\n"
                               "threads: 2\n"
                               "max_body=16MiB\n"
                               "[plugin my-file]\n"
                               "path =  /x y;z = 1 \t\n"
                               "empty =\n"
                               "[http]\n"
                               "max_rows = 5";
    static const struct inifile_entry expected[] = {
        {"http", "listen", "127.0.0.1:8080, [::1]:8080", 6},
        {"http", "threads", "2", 7},
        {"http", "max_body", "16MiB", 8},
        {"plugin my-file", "path", "/x y;z = 1", 10},
        {"plugin my-file", "empty", "", 11},
        {"http", "max_rows", "5", 13},
    };
    struct parsed p;
    (void)state;
    parse(&p, SLICE_LIT(text));
    assert_string_equal(buf_str(&p.faults), "");
    assert_int_equal(p.file.count, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_string_equal(p.file.entries[i].section, expected[i].section);
        assert_string_equal(p.file.entries[i].key, expected[i].key);
        assert_string_equal(p.file.entries[i].value, expected[i].value);
        assert_int_equal(p.file.entries[i].line, expected[i].line);
    }
    done(&p);
}

#define LONG_50  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
#define LONG_150 LONG_50 LONG_50 LONG_50

/* Each text, the number of faults, and words of the first one. */
static void test_faults(void **state)
{
    static const struct {
        struct slice text;
        size_t count;
        const char *words;
    } samples[] = {
        {SLICE_LIT("[http]\nlisten = " LONG_150 LONG_50 "\n"), 1, "f:2: a line has at most 198 bytes"},
        {SLICE_LIT("# " LONG_150 LONG_50 "\n"), 1, "f:1: a line has at most 198 bytes"},
        {SLICE_LIT("[plugin " LONG_50 "]\npath = x\n"), 1, "f:1: a section's name has at most 49"},
        {SLICE_LIT("[http]\npath = a ; b\n"), 1, "f:2: ` ;` would begin a comment"},
        {SLICE_LIT("[http]\npath = a\t; b\n"), 1, "f:2: ` ;` would begin a comment"},
        {SLICE_LIT("[http]\npath = ; b\n"), 1, "f:2: ` ;` would begin a comment"},
        {SLICE_LIT("[http]\nlisten = a\n  b\n"), 1, "f:3: an indented line"},
        {SLICE_LIT("[http]\n\tlisten = a\n"), 1, "f:2: an indented line"},
        {SLICE_LIT("[http] listen = a\n"), 1, "f:1: nothing may stand behind"},
        {SLICE_LIT("[http\nlisten = a\n"), 1, "f:1: the section has no closing bracket"},
        {SLICE_LIT("[ http ]\n"), 1, "f:1: a section is written as [http]"},
        {SLICE_LIT("[]\n"), 1, "f:1: a section is written as [http]"},
        {SLICE_LIT("[a ;b]\n"), 1, "f:1: a section is written as [http]"},
        {SLICE_LIT("listen = a\n"), 1, "f:1: `listen` stands before the first [section]"},
        {SLICE_LIT("[http]\nlisten\n"), 1, "f:2: this is neither"},
        {SLICE_LIT("[http]\n= a\n"), 1, "f:2: a key is written in small letters"},
        {SLICE_LIT("[http]\nListen = a\n"), 1, "f:2: a key is written in small letters"},
        {SLICE_LIT("[http]\nmax body = a\n"), 1, "f:2: a key is written in small letters"},
        {SLICE_LIT("[http]\nlisten = a\nthreads = 1\nlisten = b\n"), 1,
         "f:4: `listen` of [http] is set in line 2 already"},
        {SLICE_LIT("[http]\nlisten = a\n[log]\n[http]\nlisten = a\n"), 1, "f:5: `listen` of [http] is set in line 2"},
        {SLICE_LIT("\xEF\xBB\xBF[http]\nlisten = a\n"), 1, "f:1: the file begins with a byte order mark"},
        {SLICE_LIT("[http]\nlisten = a\0b\n"), 1, "f:2: there is a control character"},
        {SLICE_LIT("[http]\nlisten = a\rb\n"), 1, "f:2: there is a control character"},
        {SLICE_LIT("[http]\nlisten = a\x1B[0m\n"), 1, "f:2: there is a control character"},
        {SLICE_LIT("[http]\nlisten = \xC3\n"), 1, "f:2: this line is not valid UTF-8"},
        {SLICE_LIT("[http]\nlisten = \xC0\xAF\n"), 1, "f:2: this line is not valid UTF-8"},
        {SLICE_LIT("[http]\nlisten = \xED\xA0\x80\n"), 1, "f:2: this line is not valid UTF-8"},
        {SLICE_LIT("[http]\nlisten = \xF4\x90\x80\x80\n"), 1, "f:2: this line is not valid UTF-8"},
        {SLICE_LIT("# \xFF\n"), 1, "f:1: this line is not valid UTF-8"},
        {SLICE_LIT("x = 1\n[http\n[http]\nlisten\n  y = 2\n"), 4, "f:1: `x` stands before"}, /* all at once */
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct parsed p;
        parse(&p, samples[i].text);
        if (p.fault_count != samples[i].count || strstr(buf_str(&p.faults), samples[i].words) == NULL)
            fail_msg("%.40s: %zu faults: %s", samples[i].text.ptr, p.fault_count, buf_str(&p.faults));
        done(&p);
    }
}

/* The longest line and section that inih takes whole are taken. */
static void test_edges(void **state)
{
    struct parsed p;
    char line[INIFILE_LINE_MAX + 2];
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        struct buf text;
        buf_init(&text, 4096);
        memset(line, 'x', sizeof line);
        memcpy(line, "key = ", 6);
        assert_int_equal(buf_adds(&text, "[http]\n"), ERR_OK);
        assert_int_equal(buf_add(&text, line, (size_t)(INIFILE_LINE_MAX + extra)), ERR_OK);
        assert_int_equal(buf_adds(&text, "\nother = 1\n"), ERR_OK);
        parse(&p, buf_slice(&text));
        assert_int_equal(p.fault_count, extra);
        assert_int_equal(p.file.count, 2 - extra);
        if (extra == 0)
            assert_int_equal(strlen(p.file.entries[0].value), INIFILE_LINE_MAX - 6);
        done(&p);
        buf_free(&text);
    }
    parse(&p, SLICE_LIT("[plugin aaaaaaaaaabbbbbbbbbbccccccccccddddddddddee]\nx = 1\n"));
    assert_int_equal(p.fault_count, 0);
    assert_int_equal(strlen(p.file.entries[0].section), INIFILE_SECTION_MAX);
    done(&p);
    parse(&p, slice_make("", 0));
    assert_int_equal(p.fault_count + p.file.count, 0);
    done(&p);
}

static void test_notice(void **state)
{
    struct parsed p;
    (void)state;
    parse(&p, SLICE_LIT("[data]\ndir = /data # all of it\n"));
    assert_int_equal(p.fault_count, 0);
    assert_string_equal(p.file.entries[0].value, "/data # all of it");
    assert_string_equal(buf_str(&p.notices), "file f:2: ` #` begins no comment here, it is part of the value\n");
    done(&p);
}

static void test_many_keys(void **state)
{
    struct buf text;
    struct parsed p;
    (void)state;
    buf_init(&text, INIFILE_MAX);
    assert_int_equal(buf_adds(&text, "[http]\n"), ERR_OK);
    for (int i = 0; i <= INIFILE_ENTRIES_MAX; i++)
        assert_int_equal(buf_addf(&text, "k%d = %d\n", i, i), ERR_OK);
    parse(&p, buf_slice(&text));
    assert_int_equal(p.fault_count, 1);
    assert_int_equal(p.file.count, INIFILE_ENTRIES_MAX);
    assert_non_null(strstr(buf_str(&p.faults), "more than 4096 keys"));
    done(&p);
    buf_free(&text);
}

static int fail_read;
static ssize_t broken_read(int fd, void *to, size_t len)
{
    return fail_read-- > 0 ? sys_plain.read(fd, to, len) : -1;
}

static void test_disk(void **state)
{
    struct inifile file;
    struct buf faults;
    struct lines lines = {&faults, 0}, notices = {NULL, 0};
    char path[] = "/tmp/test_inifile.XXXXXX";
    (void)state;
    buf_init(&faults, 4096);
    assert_int_equal(inifile_read("/nowhere/x.ini", true, &file, &lines, &notices), ERR_OK);
    assert_int_equal(lines.count + file.count, 0);
    assert_int_equal(inifile_read("/nowhere/x.ini", false, &file, &lines, &notices), ERR_OK);
    assert_int_equal(lines.count, 1);
    assert_int_equal(inifile_read("/", false, &file, &lines, &notices), ERR_OK); /* a folder */
    assert_int_equal(lines.count, 2);

    int fd = mkstemp(path);
    assert_int_equal(write(fd, "[log]\nlevel = info\n", 19), 19);
    assert_int_equal(inifile_read(path, false, &file, &lines, &notices), ERR_OK);
    assert_int_equal(lines.count, 2);
    assert_int_equal(file.count, 1);
    inifile_fini(&file);

    struct sys table = sys_plain; /* an error in the middle is a fault, not a short file */
    table.read = broken_read;
    sys = &table;
    fail_read = 1;
    assert_int_equal(inifile_read(path, false, &file, &lines, &notices), ERR_OK);
    sys = &sys_plain;
    assert_int_equal(lines.count, 3);
    assert_int_equal(file.count, 0);

    assert_int_equal(ftruncate(fd, INIFILE_MAX + 1), 0);
    assert_int_equal(inifile_read(path, false, &file, &lines, &notices), ERR_OK);
    assert_int_equal(lines.count, 4);
    assert_non_null(strstr(buf_str(&faults), "has more than 262144 bytes"));
    close(fd);
    unlink(path);
    buf_free(&faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_faults),    cmocka_unit_test(test_edges),
        cmocka_unit_test(test_notice), cmocka_unit_test(test_many_keys), cmocka_unit_test(test_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
