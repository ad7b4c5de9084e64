/* The setup text, a plugin's description, and settings held against it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/setup.h"

#include <headgate.h>
#include <stdlib.h>

/* --- the setup text --- */

static struct setting settings[] = {
    {"PATH", "/x\ny =\n\"z\""}, {"EMPTY", ""}, {"STATE_2", "state 3\nabc\n"}, {"TOKEN", "\xFF\xFE"}};

static struct setup processors[] = {
    {.instance = "first", .plugin = "/run/fields.so", .settings = settings, .count = COUNT_OF(settings)},
    {.instance = "second", .plugin = "/run/a b/jq.so"}};

static struct setup sample(void)
{
    return (struct setup){.instance = "my-file",
                          .plugin = "/run/a b/file.so",
                          .lock = "/run/lock",
                          .workers = 4,
                          .batch_rows = 1000,
                          .batch_bytes = UINT64_C(1) << 40,
                          .timeout_ms = INT64_C(1) << 41,
                          .confine = true,
                          .trial = true,
                          .processors = processors,
                          .processor_count = COUNT_OF(processors),
                          .state = "\0\n1",
                          .state_len = 3,
                          .settings = settings,
                          .count = COUNT_OF(settings)};
}

static void test_setup_round(void **state)
{
    struct setup s = sample(), back;
    struct buf text;
    struct err e;
    (void)state;
    buf_init(&text, 4096);
    for (int round = 0; round < 2; round++) {
        buf_clear(&text);
        assert_int_equal(setup_write(&s, &text), ERR_OK);
        assert_int_equal(setup_read(buf_slice(&text), &back, &e), ERR_OK);
        assert_string_equal(back.instance, s.instance);
        assert_string_equal(back.plugin, s.plugin);
        if (s.lock == NULL)
            assert_null(back.lock);
        else
            assert_string_equal(back.lock, s.lock);
        assert_int_equal(back.workers, s.workers);
        assert_int_equal(back.batch_rows, s.batch_rows);
        assert_int_equal(back.batch_bytes, s.batch_bytes);
        assert_int_equal(back.timeout_ms, s.timeout_ms);
        assert_int_equal(back.confine, s.confine);
        assert_int_equal(back.trial, s.trial);
        assert_int_equal(back.processor_count, s.processor_count);
        for (size_t i = 0; i < s.processor_count; i++) {
            assert_string_equal(back.processors[i].instance, s.processors[i].instance);
            assert_string_equal(back.processors[i].plugin, s.processors[i].plugin);
            assert_int_equal(back.processors[i].count, s.processors[i].count);
            for (size_t k = 0; k < s.processors[i].count; k++)
                assert_string_equal(back.processors[i].settings[k].value, s.processors[i].settings[k].value);
        }
        assert_int_equal(back.state_len, s.state_len);
        assert_memory_equal(back.state_len > 0 ? back.state : "", s.state, s.state_len);
        assert_int_equal(back.count, s.count);
        for (size_t i = 0; i < s.count; i++) {
            assert_string_equal(back.settings[i].name, s.settings[i].name);
            assert_string_equal(back.settings[i].value, s.settings[i].value);
        }
        setup_fini(&back);
        s.lock = NULL; /* once more with as little as possible */
        s.confine = false;
        s.state_len = s.count = 0;
    }
    buf_free(&text);
}

static void test_setup_refuses_to_write(void **state)
{
    struct setting bad[] = {{"path", "x"}};
    struct buf text;
    (void)state;
    buf_init(&text, 4096);
    struct setup s = sample();
    s.plugin = "/a\nb.so";
    assert_int_equal(setup_write(&s, &text), ERR_SYNTAX);
    s = sample();
    s.instance = NULL;
    assert_int_equal(setup_write(&s, &text), ERR_MISSING);
    s = sample();
    s.settings = bad;
    s.count = 1;
    assert_int_equal(setup_write(&s, &text), ERR_SYNTAX);
    s = sample();
    s.timeout_ms = -1;
    assert_int_equal(setup_write(&s, &text), ERR_RANGE);
    s = sample();
    s.state = calloc(1, HG_STATE_MAX + 1);
    s.state_len = HG_STATE_MAX + 1;
    assert_int_equal(setup_write(&s, &text), ERR_LIMIT);
    free(s.state);
    buf_free(&text);
    buf_init(&text, 50); /* no room: nothing is left half written */
    s = sample();
    assert_int_equal(setup_write(&s, &text), ERR_LIMIT);
    assert_int_equal(text.len, 0);
    buf_free(&text);
}

#define HEAD "instance a\nplugin /p\nworkers 1\nbatch_rows 1\nbatch_bytes 1\ntimeout_ms 1\nconfine no\n"

static void test_setup_refuses_to_read(void **state)
{
    static const struct {
        struct slice text;
        int code;
    } samples[] = {
        {SLICE_LIT(HEAD), ERR_OK},
        {SLICE_LIT(""), ERR_MISSING},
        {SLICE_LIT("instance a\n"), ERR_MISSING},
        {SLICE_LIT(HEAD "instance b\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "workers 1\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "unknown 1\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "lock\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "lock \n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "lock a\0b\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD " lock a\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "lock a"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "\n"), ERR_SYNTAX},
        {SLICE_LIT("workers 4294967296\n"), ERR_SYNTAX},
        {SLICE_LIT("workers 01\n"), ERR_SYNTAX},
        {SLICE_LIT("workers -1\n"), ERR_SYNTAX},
        {SLICE_LIT("workers 1 \n"), ERR_SYNTAX},
        {SLICE_LIT("workers x\n"), ERR_SYNTAX},
        {SLICE_LIT("batch_bytes 18446744073709551616\n"), ERR_SYNTAX},
        {SLICE_LIT("timeout_ms 9223372036854775808\n"), ERR_SYNTAX},
        {SLICE_LIT("confine maybe\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "set A 1\nx\n"), ERR_OK},
        {SLICE_LIT(HEAD "set A 0\n\n"), ERR_OK},
        {SLICE_LIT(HEAD "set A 1\nxy\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "set A 3\nx\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "set A 2\nx\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "set A 1\nx"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "set A 3\nx\0y\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "set A 1\nx\nset A 1\ny\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "set a 1\nx\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "set 1\nx\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "set A\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "set A 18446744073709551615\nx\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "state 2\n\0\0\n"), ERR_OK},
        {SLICE_LIT(HEAD "processor a\nloads /x\nset A 1\nx\nprocessor a\nloads /x\nset A 1\nx\n"), ERR_OK},
        {SLICE_LIT(HEAD "processor a\n"), ERR_MISSING},
        {SLICE_LIT(HEAD "processor a\nloads /x\nloads /x\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "loads /x\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "trial maybe\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "state 2\na\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "state 4097\na\n"), ERR_SYNTAX},
        {SLICE_LIT(HEAD "state 1\na\nstate 1\nb\n"), ERR_SYNTAX},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct err e = {.text = ""};
        struct setup s = {.workers = 77};
        int code = setup_read(samples[i].text, &s, &e);
        if (code != samples[i].code)
            fail_msg("sample %zu: %d, %s", i, code, e.text);
        assert_int_equal(code != ERR_OK, s.workers == 77); /* untouched on failure */
        assert_int_equal(code != ERR_OK, e.text[0] != '\0');
        if (code == ERR_OK)
            setup_fini(&s);
    }
}

/* Whatever is cut off the end, it is refused or whole. */
static void test_setup_cut(void **state)
{
    struct setup s = sample(), back;
    struct buf text;
    (void)state;
    buf_init(&text, 4096);
    assert_int_equal(setup_write(&s, &text), ERR_OK);
    for (size_t len = 0; len < text.len; len++) {
        char *copy = malloc(len + 1); /* of that very size, so that reading on is seen */
        memcpy(copy, text.ptr, len);
        if (setup_read(slice_make(copy, len), &back, NULL) == ERR_OK)
            setup_fini(&back);
        free(copy);
    }
    buf_free(&text);
}

static void test_many_settings(void **state)
{
    struct buf text;
    struct setup s;
    (void)state;
    buf_init(&text, 1 << 20);
    assert_int_equal(buf_adds(&text, HEAD), ERR_OK);
    for (int i = 0; i < 513; i++)
        assert_int_equal(buf_addf(&text, "set A%d 1\nx\n", i), ERR_OK);
    assert_int_equal(setup_read(buf_slice(&text), &s, NULL), ERR_LIMIT);
    buf_free(&text);
}

/* --- descriptions --- */

static struct described_option options[] = {
    {"PATH", NULL, NULL, "Where.", NULL, HG_PATH, HG_REQUIRED | HG_WRITE},
    {"COUNT", "5", "1..10", "How many.", NULL, HG_INTEGER, 0},
    {"RATIO", NULL, "0.5..", "How much.", NULL, HG_NUMBER, 0},
    {"SYNC", "yes", NULL, "Sync.", NULL, HG_BOOLEAN, 0},
    {"WAIT", "1s", "0..1m", "How long.", NULL, HG_DURATION, 0},
    {"SIZE", "0", "..1GiB", "How large.", NULL, HG_SIZE, 0},
    {"SHAPE", "array", "single|array", "Which.", NULL, HG_CHOICE, 0},
    {"HEADERS", NULL, NULL, "Headers.", NULL, HG_MAP, 0},
    {"BROKERS", NULL, NULL, "Brokers.", NULL, HG_LIST, 0},
    {"URL", NULL, NULL, "Where to.", "target", HG_URL, 0},
    {"HOST", NULL, NULL, "Where to.", "target", HG_STRING, 0},
    {"PIN", NULL, "1000..9999", "A secret.", NULL, HG_INTEGER, HG_SECRET},
};
static struct described described = {.name = "my-plugin",
                                     .version = "1.0",
                                     .summary = "Two\nlines, and 5\nbytes",
                                     .kind = HG_PUSHER,
                                     .flags = HG_STABLE_BATCH,
                                     .max_parallel = 8,
                                     .abi_minor = 0,
                                     .options = options,
                                     .count = COUNT_OF(options)};

static void same_text(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        assert_true(a == b);
    else
        assert_string_equal(a, b);
}

static void test_described_round(void **state)
{
    struct described back;
    struct buf text;
    struct err e = {.text = ""};
    (void)state;
    buf_init(&text, 64 * 1024);
    assert_int_equal(described_write(&described, &text), ERR_OK);
    if (described_read(buf_slice(&text), &back, &e) != ERR_OK)
        fail_msg("%s", e.text);
    assert_string_equal(back.name, described.name);
    assert_string_equal(back.version, described.version);
    assert_string_equal(back.summary, described.summary);
    assert_int_equal(back.kind, described.kind);
    assert_int_equal(back.flags, described.flags);
    assert_int_equal(back.max_parallel, described.max_parallel);
    assert_int_equal(back.abi_minor, described.abi_minor);
    assert_int_equal(back.count, described.count);
    for (size_t i = 0; i < back.count; i++) {
        assert_string_equal(back.options[i].name, options[i].name);
        assert_string_equal(back.options[i].text, options[i].text);
        same_text(back.options[i].fallback, options[i].fallback);
        same_text(back.options[i].limits, options[i].limits);
        same_text(back.options[i].group, options[i].group);
        assert_int_equal(back.options[i].type, options[i].type);
        assert_int_equal(back.options[i].flags, options[i].flags);
    }
    described_fini(&back);
    for (size_t len = 0; len < text.len; len++) { /* cut anywhere */
        char *copy = malloc(len + 1);
        memcpy(copy, text.ptr, len);
        if (described_read(slice_make(copy, len), &back, NULL) == ERR_OK)
            described_fini(&back);
        free(copy);
    }
    struct buf small;
    buf_init(&small, 100);
    assert_int_equal(described_write(&described, &small), ERR_LIMIT);
    assert_int_equal(small.len, 0);
    buf_free(&small);
    buf_free(&text);
}

/* One thing wrong with a plugin's table, and what is said. */
static void test_described_faults(void **state)
{
    static const struct {
        struct described_option option;
        const char *words;
    } samples[] = {
        {{"path", NULL, NULL, "T", NULL, HG_PATH, 0}, "\"path\" is not named in capitals"},
        {{"_X", NULL, NULL, "T", NULL, HG_PATH, 0}, "is not named in capitals"},
        {{"", NULL, NULL, "T", NULL, HG_PATH, 0}, "is not named in capitals"},
        {{"BATCH_ROWS", NULL, NULL, "T", NULL, HG_INTEGER, 0}, "BATCH_ROWS has the name of one that every pusher has"},
        {{"USE", NULL, NULL, "T", NULL, HG_STRING, 0}, "USE has the name of one"},
        {{"WHEN", NULL, NULL, "T", NULL, HG_STRING, 0}, "WHEN has the name of one"},
        {{"FIRST", NULL, NULL, "T", NULL, HG_STRING, 0}, "has two options FIRST"},
        {{"X", NULL, NULL, "T", NULL, 0, 0}, "X has the unknown type 0"},
        {{"X", NULL, NULL, "T", NULL, HG_URL + 1, 0}, "X has the unknown type 12"},
        {{"X", NULL, NULL, NULL, NULL, HG_STRING, 0}, "X has no text"},
        {{"X", NULL, NULL, "T", NULL, HG_CHOICE, 0}, "X has nothing to choose from"},
        {{"X", NULL, "1-5", "T", NULL, HG_INTEGER, 0},
         "option X: limits: expected min..max in the writing of its type, found \"1-5\""},
        {{"X", NULL, "1..5s", "T", NULL, HG_SIZE, 0},
         "option X: limits: expected min..max in the writing of its type, found \"1..5s\""},
        {{"X", "11", "1..10", "T", NULL, HG_INTEGER, 0},
         "option X: fallback: expected a value that its type and limits allow, found \"11\""},
        {{"X", "30", NULL, "T", NULL, HG_DURATION, 0},
         "option X: fallback: expected a value that its type and limits allow"},
        {{"X", "c", "a|b", "T", NULL, HG_CHOICE, 0},
         "option X: fallback: expected a value that its type and limits allow"},
    };
    struct described_option two[] = {{"FIRST", NULL, NULL, "T", NULL, HG_STRING, 0}, {0}};
    struct described d = described;
    (void)state;
    d.options = two;
    d.count = 2;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct buf text;
        struct err e = {.text = ""};
        struct described back;
        two[1] = samples[i].option;
        buf_init(&text, 4096);
        assert_int_equal(described_write(&d, &text), ERR_OK);
        assert_int_not_equal(described_read(buf_slice(&text), &back, &e), ERR_OK);
        if (strstr(e.text, samples[i].words) == NULL)
            fail_msg("\"%s\" is not in: %s", samples[i].words, e.text);
        buf_free(&text);
    }
}

#define PLUGIN "name 1\np\nversion 1\n1\nsummary 0\n\nkind 1\nflags 0\nmax_parallel 0\nabi_minor 0\n"

static void test_described_text(void **state)
{
    static const struct {
        struct slice text;
        int code;
    } samples[] = {
        {SLICE_LIT(PLUGIN), ERR_OK},
        {SLICE_LIT(PLUGIN "option 1\nX\ntype 1\ntext 0\n\n"), ERR_OK},
        {SLICE_LIT(""), ERR_MISSING},
        {SLICE_LIT("garbage"), ERR_SYNTAX},
        {SLICE_LIT(PLUGIN "name 1\nq\n"), ERR_SYNTAX},
        {SLICE_LIT(PLUGIN "type 1\n"), ERR_SYNTAX},
        {SLICE_LIT(PLUGIN "limits 1\nx\n"), ERR_SYNTAX},
        {SLICE_LIT(PLUGIN "option 1\nX\nwhat 1\n"), ERR_SYNTAX},
        {SLICE_LIT(PLUGIN "option 1\nX\ntext 1\na\ntext 1\nb\n"), ERR_SYNTAX},
        {SLICE_LIT(PLUGIN "option 64\nXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\n"), ERR_SYNTAX},
        {SLICE_LIT(PLUGIN "option 1\nX\ntype 1\ntext 5000\n"), ERR_SYNTAX},
        {SLICE_LIT(PLUGIN "option 1\nX\ntype 1\ntext 1\n\0\n"), ERR_SYNTAX},
        {SLICE_LIT(PLUGIN "option 1\nX\ntype 4294967296\n"), ERR_SYNTAX},
        {SLICE_LIT("name 1\nP\nversion 1\n1\nsummary 0\n\nkind 1\n"), ERR_SYNTAX},
        {SLICE_LIT("name 1\n-\nversion 1\n1\nsummary 0\n\nkind 1\n"), ERR_SYNTAX},
        {SLICE_LIT("name 0\n\nversion 1\n1\nsummary 0\n\nkind 1\n"), ERR_SYNTAX},
        {SLICE_LIT("name 1\np\nversion 1\n1\nsummary 0\n\n"), ERR_UNKNOWN},
        {SLICE_LIT("name 1\np\nversion 1\n1\nsummary 0\n\nkind 4\n"), ERR_UNKNOWN},
        {SLICE_LIT("name 1\np\nsummary 0\n\nkind 1\n"), ERR_MISSING},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct err e = {.text = ""};
        struct described d = {.kind = 77};
        int code = described_read(samples[i].text, &d, &e);
        if (code != samples[i].code)
            fail_msg("sample %zu: %d, %s", i, code, e.text);
        assert_int_equal(code != ERR_OK, d.kind == 77);
        if (code == ERR_OK)
            described_fini(&d);
    }
    struct buf text;
    struct described d;
    buf_init(&text, 1 << 20);
    assert_int_equal(buf_adds(&text, PLUGIN), ERR_OK);
    for (int i = 0; i < 257; i++)
        assert_int_equal(buf_addf(&text, "option 4\nX%03d\ntype 1\ntext 0\n\n", i), ERR_OK);
    assert_int_equal(described_read(buf_slice(&text), &d, NULL), ERR_LIMIT);
    buf_free(&text);
}

/* --- settings against a description --- */

/* Settings as "NAME=value" beside PATH and HOST, which make it complete. */
static size_t check(const char *extra, struct buf *faults, bool *missing)
{
    struct setting list[3] = {{"PATH", "/x"}, {"HOST", "h"}};
    char *copy = strdup(extra), *equals = strchr(copy, '=');
    *equals = '\0';
    list[2] = (struct setting){copy, equals + 1};
    size_t count = described_check(&described, list, 3, faults, missing);
    free(copy);
    return count;
}

static void test_check_values(void **state)
{
    static const struct {
        const char *setting, *words; /* NULL: fine */
    } samples[] = {
        {"COUNT=10", NULL},
        {"COUNT=11", "COUNT: \"11\" is too large: it must be at most 10"},
        {"COUNT=x", "COUNT: \"x\" is not a whole number"},
        {"COUNT=", NULL}, /* empty is unset */
        {"RATIO=0.5", NULL},
        {"RATIO=0.4", "RATIO: \"0.4\" is too small"},
        {"SYNC=false", NULL},
        {"SYNC=off", "SYNC: \"off\" is neither yes nor no"},
        {"WAIT=60s", NULL},
        {"WAIT=10", "WAIT: \"10\" has no unit"},
        {"WAIT=2m", "WAIT: \"2m\" is too large"},
        {"SIZE=1GiB", NULL},
        {"SIZE=1GB", "SIZE: \"1GB\": \"GB\" is no unit"},
        {"SHAPE=single", NULL},
        {"SHAPE=both", "SHAPE: \"both\" is not one of single, array"},
        {"HEADERS=A=1, B = x=y ,C=", NULL},
        {"HEADERS=A", "HEADERS: an item is not name=value"},
        {"HEADERS==1", "HEADERS: an item is not name=value"},
        {"HEADERS=A=1,A=2", "HEADERS: the name \"A\" stands twice"},
        {"HEADERS=A=1,,B=2", "HEADERS: an item of the list is empty"},
        {"BROKERS=a:1, b:2", NULL},
        {"BROKERS=a:1,", "BROKERS: an item of the list is empty"},
        {"URL=http://h/", "URL, HOST: only one of these may be set"},
        {"PIN=1234", NULL},
        {"PIN=12345", "PIN: the secret value is not valid"}, /* and not shown */
        {"CUONT=1", "CUONT: the plugin my-plugin has no such option; did you mean COUNT?"},
        {"ENTIRELY_OTHER=1", "ENTIRELY_OTHER: the plugin my-plugin has no such option\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct buf faults;
        bool missing = true;
        buf_init(&faults, 4096);
        size_t count = check(samples[i].setting, &faults, &missing);
        if (count != (samples[i].words != NULL) ||
            (count > 0 && strncmp(buf_str(&faults), samples[i].words, strlen(samples[i].words)) != 0))
            fail_msg("%s: %zu: %s", samples[i].setting, count, buf_str(&faults));
        assert_false(missing);
        assert_null(strstr(buf_str(&faults), "12345"));
        buf_free(&faults);
    }
}

static void test_check_missing(void **state)
{
    struct setting url[] = {{"URL", "ftp://x"}}, path[] = {{"PATH", "/x"}, {"HOST", ""}};
    struct buf faults;
    bool missing = false;
    (void)state;
    buf_init(&faults, 4096);
    assert_int_equal(described_check(&described, NULL, 0, &faults, &missing), 2);
    assert_true(missing);
    assert_string_equal(buf_str(&faults), "PATH: it is required\nURL, HOST: one of these must be set\n");
    buf_clear(&faults);
    assert_int_equal(described_check(&described, path, 2, &faults, &missing), 1); /* an empty one is unset */
    assert_true(missing);
    assert_string_equal(buf_str(&faults), "URL, HOST: one of these must be set\n");
    buf_clear(&faults);
    assert_int_equal(described_check(&described, url, 1, &faults, &missing), 2); /* all at once */
    assert_true(missing);
    assert_int_equal(strncmp(buf_str(&faults), "PATH: it is required\nURL: \"ftp://x\" is not a URL", 48), 0);
    assert_int_equal(described_check(&described, url, 1, NULL, &missing), 2); /* nobody reads them */
    buf_free(&faults);

    /* A default satisfies what is required, alone or in a group. */
    struct described_option with[] = {{"A", "x", NULL, "T", NULL, HG_STRING, HG_REQUIRED},
                                      {"B", "y", NULL, "T", "g", HG_STRING, 0},
                                      {"C", NULL, NULL, "T", "g", HG_STRING, 0}};
    struct described d = {.name = "p", .options = with, .count = COUNT_OF(with)};
    assert_int_equal(described_check(&d, NULL, 0, NULL, &missing), 0);
    assert_false(missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setup_round),           cmocka_unit_test(test_setup_refuses_to_write),
        cmocka_unit_test(test_setup_refuses_to_read), cmocka_unit_test(test_setup_cut),
        cmocka_unit_test(test_many_settings),         cmocka_unit_test(test_described_round),
        cmocka_unit_test(test_described_faults),      cmocka_unit_test(test_described_text),
        cmocka_unit_test(test_check_values),          cmocka_unit_test(test_check_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
