/* Plugin instances: which there are, and the settings of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    struct conf *conf;
    struct buf faults, notices;
    char **names, **uses;
    size_t count;
    int code;
    struct instance instance;
    char path[64];
};

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void write_file(char path[64], const void *bytes, size_t len)
{
    snprintf(path, 64, "/tmp/test_instance.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static void load(struct fixture *f, const char *file, const char *const *environment)
{
    *f = (struct fixture){.conf = NULL};
    buf_init(&f->faults, 64 * 1024);
    buf_init(&f->notices, 64 * 1024);
    write_file(f->path, file, strlen(file));
    struct conf_input input = {.file = f->path, .environment = (char *const *)(uintptr_t)environment};
    int code = conf_load(&input, &f->conf, &f->faults, &f->notices);
    unlink(f->path);
    if (code != ERR_OK)
        fail_msg("%s", buf_str(&f->faults));
}

static void done(struct fixture *f)
{
    conf_names_free(f->names, f->count);
    conf_names_free(f->uses, f->count);
    instance_fini(&f->instance);
    conf_free(&f->conf);
    buf_free(&f->faults);
    buf_free(&f->notices);
}

/* The instances as "name=use name=use". */
static const char *instances(struct fixture *f, const char *const *plugins)
{
    static char text[512];
    size_t count = 0, used = 0;
    while (plugins[count] != NULL)
        count++;
    f->code = conf_instances(f->conf, plugins, count, &f->names, &f->uses, &f->count, &f->faults, &f->notices);
    text[0] = '\0';
    for (size_t i = 0; i < f->count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s=%s", i > 0 ? " " : "", f->names[i], f->uses[i]);
    return text;
}

static void has(struct buf *lines, const char *words)
{
    if (strstr(buf_str(lines), words) == NULL)
        fail_msg("\"%s\" is not in:\n%s", words, buf_str(lines));
}

static size_t lines_in(struct buf *b)
{
    size_t count = 0;
    for (size_t i = 0; i < b->len; i++)
        count += b->ptr[i] == '\n';
    return count;
}

/* --- names --- */

static void test_names(void **state)
{
    struct fixture f;
    (void)state;
    load(&f, "[plugin warehouse]\nuse = postgres\nurl = x\n[plugin second]\nuse = file\n",
         LIST("PLUGIN_MY_LAB_USE=postgres", "PLUGIN_SECOND_USE=http", "PLUGIN_FILE_USE=file", "PLUGIN_X_USE="));
    assert_string_equal(instances(&f, LIST("file", "http", "postgres")),
                        "file=file http=http postgres=postgres my-lab=postgres second=http warehouse=postgres");
    assert_int_equal(f.code, ERR_OK);
    assert_int_equal(f.faults.len + f.notices.len, 0);
    done(&f);
    load(&f, "", LIST(NULL));
    assert_string_equal(instances(&f, LIST(NULL)), "");
    assert_int_equal(f.code, ERR_OK);
    done(&f);
}

static void test_ignored(void **state)
{
    struct fixture f;
    (void)state;
    load(&f, "[plugin gone]\npath = x\nsync = no\n[plugin later]\nuse = kafka\nhosts = x\n",
         LIST("PLUGIN_OLD_PATH=x", "PLUGIN_FILE_PATH=x", "PLUGIN_file_path=x", "PLUGIN_USE=file", "PLUGIN_=1",
              "PLUGIN_LAB_USE=kafka"));
    assert_string_equal(instances(&f, LIST("file")), "file=file");
    assert_int_equal(f.code, ERR_OK);
    has(&f.notices, "environment PLUGIN_LAB_USE: there is no plugin `kafka`, so there is no instance `lab`\n");
    has(&f.notices, "there is no plugin `kafka`, so there is no instance `later`\n");
    has(&f.notices, "ignored, as no plugin of that name is there: [plugin gone], [plugin later], PLUGIN_OLD_PATH, "
                    "PLUGIN_file_path, PLUGIN_USE, PLUGIN_, PLUGIN_LAB_USE\n");
    assert_int_equal(lines_in(&f.notices), 3);
    done(&f);
}

static void test_collisions(void **state)
{
    static const struct {
        const char *variable; /* beside the plugins file, http */
        const char *instances, *words;
    } samples[] = {
        {"PLUGIN_FILE_TWO_USE=http", "file=file http=http",
         "environment PLUGIN_FILE_TWO_USE: the instances `file` and `file-two` cannot both be there: PLUGIN_FILE_ "
         "begins "
         "PLUGIN_FILE_TWO_, so a variable could belong to either; give one of them another name, as `filetwo`"},
        {"PLUGIN_FILE_USE=http", "file=file http=http", "`file` is the name of a plugin that is there itself"},
        {"PLUGIN_2ND_USE=file", "file=file http=http", "`2nd` is no name for an instance"},
        {"PLUGIN_lab_USE=file", "file=file http=http", "is no name for an instance"},
        {
            "PLUGIN___USE=file",
            "file=file http=http",
            "`-`",
        },
        {"PLUGIN_FILES_USE=file", "file=file http=http files=file", NULL}, /* FILE_ does not begin FILES_ */
        {"PLUGIN_A_USE=file", "file=file http=http a=file", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct fixture f;
        load(&f, "", LIST(samples[i].variable));
        assert_string_equal(instances(&f, LIST("file", "http")), samples[i].instances);
        assert_int_equal(f.code, samples[i].words == NULL ? ERR_OK : ERR_CONFIG);
        if (samples[i].words != NULL)
            has(&f.faults, samples[i].words);
        assert_int_equal(lines_in(&f.faults), samples[i].words != NULL);
        done(&f);
    }
}

/* Of two that collide the one that came later is left out, whichever is the longer one. */
static void test_later_one_is_refused(void **state)
{
    struct fixture f;
    (void)state;
    load(&f, "", LIST(NULL));
    assert_string_equal(instances(&f, LIST("file-two", "file", "http", "http", "Bad")), "file-two=file-two http=http");
    assert_int_equal(f.code, ERR_CONFIG);
    has(&f.faults, "plugin file: the instances `file` and `file-two` cannot both be there");
    has(&f.faults, "plugin http: there is an instance `http` already");
    has(&f.faults, "plugin Bad: `Bad` is no name");
    done(&f);
    load(&f, "", LIST("PLUGIN_A_B_USE=http", "PLUGIN_A_USE=http"));
    assert_string_equal(instances(&f, LIST("http")), "http=http a-b=http");
    has(&f.faults, "the instances `a` and `a-b`");
    done(&f);
}

/* An option that a plugin calls …_USE is no instance while its value is no plugin. */
static void test_option_called_use(void **state)
{
    struct fixture f;
    (void)state;
    load(&f, "", LIST("PLUGIN_FILE_KEY_USE=sign"));
    assert_string_equal(instances(&f, LIST("file")), "file=file");
    assert_int_equal(f.code, ERR_OK);
    assert_int_equal(f.notices.len, 0);
    done(&f);
}

/* --- one instance --- */

static const struct conf_option options[] = {{"PATH", false},    {"URL", false}, {"TOKEN", true},
                                             {"CA_FILE", false}, {"PIN", true},  {"PIN_FILE", false}};

static void resolve(struct fixture *f, const char *file, const char *const *environment)
{
    load(f, file, environment);
    f->code = conf_instance(f->conf, "file", "file", options, COUNT_OF(options), &f->instance, &f->faults);
    assert_int_equal(f->code != ERR_OK, f->faults.len > 0);
}

static const struct conf_value *find(const struct conf_value *values, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(values[i].name, name) == 0)
            return &values[i];
    return NULL;
}

static const struct conf_value *own(const struct fixture *f, const char *name)
{
    return find(f->instance.values, f->instance.count, name);
}

static void test_defaults(void **state)
{
    struct fixture f;
    (void)state;
    resolve(&f, "", LIST(NULL));
    const struct pusher_settings *s = &f.instance.common;
    assert_int_equal(f.code, ERR_OK);
    assert_false(f.instance.touched);
    assert_int_equal(f.instance.count, 0);
    assert_int_equal(s->enabled, ENABLED_AUTO);
    assert_int_equal(s->parallel, 1);
    assert_int_equal(s->batch_rows, 1000);
    assert_int_equal(s->batch_bytes, 1 << 20);
    assert_int_equal(s->batch_wait_ms, 5);
    assert_int_equal(s->timeout_ms, 30000);
    assert_int_equal(s->retry_min_ms, 200);
    assert_int_equal(s->retry_max_ms, 60000);
    assert_int_equal(s->retry_for_ms, 0);
    assert_int_equal(s->reject_breaker, 100);
    assert_int_equal(s->order, ORDER_UUID);
    assert_int_equal(s->memory_max, 0);
    assert_true(s->confine);
    assert_int_equal(s->from, FROM_NOW);
    assert_false(s->from_given);
    assert_int_equal(s->max_lag_bytes, 0);
    assert_int_equal(s->max_lag_ms, 0);
    assert_int_equal(s->when_full, FULL_BLOCK);
    const struct conf_value *v = find(f.instance.common_values, f.instance.common_count, "RETRY_FOR");
    assert_string_equal(v->value, "forever");
    assert_string_equal(v->origin, "default");
    assert_int_equal(f.instance.common_count, 21);
    assert_string_equal(s->every.text, "");
    done(&f);
}

static void test_layers(void **state)
{
    struct fixture f;
    char origin[128];
    (void)state;
    resolve(&f, "[plugin file]\npath = /a\nurl = http://a\nbatch_rows = 5\nparallel = 2\n[plugin other]\npath = /o\n",
            LIST("PLUGIN_FILE_URL=http://b", "PLUGIN_FILE_BATCH_ROWS=7", "PLUGIN_FILE_PATH=", "PLUGIN_FILES_PATH=/f",
                 "PLUGIN_OTHER_URL=x"));
    assert_int_equal(f.code, ERR_OK);
    assert_true(f.instance.touched);
    assert_int_equal(f.instance.count, 2);
    assert_string_equal(own(&f, "URL")->value, "http://b");
    assert_string_equal(own(&f, "URL")->origin, "environment PLUGIN_FILE_URL");
    snprintf(origin, sizeof origin, "file %s:2", f.path);
    assert_string_equal(own(&f, "PATH")->value, "/a"); /* empty means unset */
    assert_string_equal(own(&f, "PATH")->origin, origin);
    assert_false(own(&f, "PATH")->secret);
    assert_int_equal(f.instance.common.batch_rows, 7);
    assert_int_equal(f.instance.common.parallel, 2);
    done(&f);
    resolve(&f, "", LIST("PLUGIN_FILE_BATCH_ROWS=7", "PLUGIN_FILE_USE=file")); /* neither is an option of its own */
    assert_int_equal(f.code, ERR_OK);
    assert_false(f.instance.touched);
    done(&f);
}

static void test_common(void **state)
{
    struct fixture f;
    (void)state;
    resolve(&f, "[plugin file]\nenabled = true\n",
            LIST("PLUGIN_FILE_RETRY_FOR=5m", "PLUGIN_FILE_ORDER=none", "PLUGIN_FILE_MEMORY_MAX=64MiB",
                 "PLUGIN_FILE_CONFINE=no", "PLUGIN_FILE_FROM=now", "PLUGIN_FILE_MAX_LAG=2h",
                 "PLUGIN_FILE_WHEN_FULL=dead-letter", "PLUGIN_FILE_RETRY_MIN=1s", "PLUGIN_FILE_RETRY_MAX=1s",
                 "PLUGIN_FILE_BATCH_WAIT=0"));
    assert_int_equal(f.code, ERR_OK);
    const struct pusher_settings *s = &f.instance.common;
    assert_int_equal(s->enabled, ENABLED_YES);
    assert_int_equal(s->retry_for_ms, 300000);
    assert_int_equal(s->order, ORDER_NONE);
    assert_int_equal(s->memory_max, 64 << 20);
    assert_false(s->confine);
    assert_int_equal(s->from, FROM_NOW);
    assert_true(s->from_given);
    assert_int_equal(s->max_lag_ms, 7200000);
    assert_int_equal(s->max_lag_bytes, 0);
    assert_int_equal(s->when_full, FULL_DEAD_LETTER);
    assert_int_equal(s->batch_wait_ms, 0);
    assert_string_equal(find(f.instance.common_values, f.instance.common_count, "MAX_LAG")->value, "2h");
    done(&f);
    resolve(&f, "[plugin file]\nenabled = 0\n",
            LIST("PLUGIN_FILE_MAX_LAG=10GiB", "PLUGIN_FILE_MEMORY_MAX=0", "PLUGIN_FILE_RETRY_FOR=forever"));
    assert_int_equal(f.code, ERR_OK);
    assert_int_equal(f.instance.common.enabled, ENABLED_NO);
    assert_int_equal(f.instance.common.max_lag_bytes, INT64_C(10) << 30);
    assert_int_equal(f.instance.common.max_lag_ms, 0);
    done(&f);
}

static void test_faults(void **state)
{
    static const struct {
        const char *variable, *words;
    } samples[] = {
        {"PLUGIN_FILE_PAHT=x", "environment PLUGIN_FILE_PAHT: the plugin file has no option PAHT; did you mean PATH?"},
        {"PLUGIN_FILE_BATCH_ROW=x", "did you mean BATCH_ROWS?"},
        {"PLUGIN_FILE_QUITE_ANOTHER=x", "the plugin file has no option QUITE_ANOTHER\n"},
        {"PLUGIN_FILE_PATH_FILE=/x", "PATH is no secret, so there is no PATH_FILE"},
        {"PLUGIN_FILE_ENABLED_FILE=/x", "the plugin file has no option ENABLED_FILE"},
        {"PLUGIN_FILE_EVERY=often", "EVERY: "},
        {"PLUGIN_FILE_PROCESS=x,,y", "PROCESS: an item of the list is empty"},
        {"PLUGIN_FILE_CLIENTS=lab-a,lab b", "plugin file: CLIENTS: \"lab b\" is no name of a client"},
        {"PLUGIN_FILE_ENABLED=maybe", "ENABLED: \"maybe\" is not one of auto, yes, no"},
        {"PLUGIN_FILE_PARALLEL=0", "PARALLEL: \"0\" is too small: it must be at least 1"},
        {"PLUGIN_FILE_BATCH_ROWS=0", "BATCH_ROWS: \"0\" is too small"},
        {"PLUGIN_FILE_BATCH_BYTES=1000", "BATCH_BYTES: \"1000\" has no unit"},
        {"PLUGIN_FILE_TIMEOUT=0", "TIMEOUT: \"0\" is too small"},
        {"PLUGIN_FILE_RETRY_MIN=2m", "plugin file: RETRY_MIN (2m) is longer than RETRY_MAX (1m)"},
        {"PLUGIN_FILE_RETRY_MAX=100ms", "plugin file: RETRY_MIN (200ms) is longer than RETRY_MAX (100ms)"},
        {"PLUGIN_FILE_RETRY_FOR=0", "RETRY_FOR: \"0\" is too small: it must be at least 1ms; or write `forever`"},
        {"PLUGIN_FILE_RETRY_FOR=ever", "or write `forever`"},
        {"PLUGIN_FILE_REJECT_BREAKER=0", "REJECT_BREAKER: \"0\" is too small"},
        {"PLUGIN_FILE_ORDER=any", "ORDER: \"any\" is not one of uuid, none"},
        {"PLUGIN_FILE_MEMORY_MAX=1KiB", "at least 1MiB; or write `off`"},
        {"PLUGIN_FILE_CONFINE=maybe", "CONFINE: \"maybe\" is neither yes nor no"},
        {"PLUGIN_FILE_FROM=end", "FROM: \"end\" is not one of now, start"},
        {"PLUGIN_FILE_MAX_LAG=5", "\"5\" is neither a size as in 1GiB, nor a duration as in 24h"},
        {"PLUGIN_FILE_WHEN_FULL=drop", "WHEN_FULL: \"drop\" is not one of block, dead-letter, skip"},
        {"PLUGIN_FILE_TOKEN_FILE=/nowhere/t", "PLUGIN_FILE_TOKEN_FILE: /nowhere/t cannot be opened: No such file"},
        {"PLUGIN_FILE_TOKEN_FILE=/", "PLUGIN_FILE_TOKEN_FILE: / cannot be read"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct fixture f;
        resolve(&f, "", LIST(samples[i].variable));
        assert_int_equal(f.code, ERR_CONFIG);
        has(&f.faults, samples[i].words);
        assert_int_equal(lines_in(&f.faults), 1);
        done(&f);
    }
}

/* All faults, and what is right is there all the same. */
static void test_as_far_as_possible(void **state)
{
    struct fixture f;
    (void)state;
    resolve(&f, "[plugin file]\npaht = x\nevery = y\n",
            LIST("PLUGIN_FILE_PARALLEL=x", "PLUGIN_FILE_BATCH_ROWS=3", "PLUGIN_FILE_URL=http://x",
                 "PLUGIN_FILE_RETRY_MIN=2m"));
    assert_int_equal(f.code, ERR_CONFIG);
    assert_int_equal(lines_in(&f.faults), 4);
    assert_int_equal(f.instance.common.batch_rows, 3);
    assert_int_equal(f.instance.common.parallel, 1);
    assert_string_equal(own(&f, "URL")->value, "http://x");
    assert_true(f.instance.touched);
    assert_string_equal(f.instance.name, "file");
    done(&f);
}

/* --- secrets --- */

static void resolve_secret(struct fixture *f, const void *bytes, size_t len)
{
    char path[64], variable[128];
    write_file(path, bytes, len);
    snprintf(variable, sizeof variable, "PLUGIN_FILE_TOKEN_FILE=%s", path);
    resolve(f, "", LIST(variable));
    unlink(path);
}

static void test_secret_files(void **state)
{
    static const struct {
        struct slice bytes;
        const char *value; /* NULL: unset */
    } samples[] = {
        {SLICE_LIT("abc"), "abc"},     {SLICE_LIT("abc\n"), "abc"},     {SLICE_LIT("abc\n\n"), "abc\n"},
        {SLICE_LIT("abc\r\n"), "abc"}, {SLICE_LIT(" a b \n"), " a b "}, {SLICE_LIT(""), NULL},
        {SLICE_LIT("\n"), NULL},       {SLICE_LIT("a\nb\n"), "a\nb"},   {SLICE_LIT("\xFF"), "\xFF"},
    };
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        resolve_secret(&f, samples[i].bytes.ptr, samples[i].bytes.len);
        assert_int_equal(f.code, ERR_OK);
        assert_true(f.instance.touched);
        if (samples[i].value == NULL) {
            assert_int_equal(f.instance.count, 0);
        } else {
            assert_string_equal(own(&f, "TOKEN")->value, samples[i].value);
            assert_true(own(&f, "TOKEN")->secret);
            assert_string_equal(own(&f, "TOKEN")->origin, "environment PLUGIN_FILE_TOKEN_FILE");
        }
        done(&f);
    }
    resolve_secret(&f, "a\0b", 3);
    has(&f.faults, "holds a NUL byte");
    done(&f);
    char *large = calloc(1, 64 * 1024 + 1);
    memset(large, 'x', 64 * 1024 + 1);
    resolve_secret(&f, large, 64 * 1024 + 1);
    has(&f.faults, "has more than 65536 bytes");
    assert_null(strstr(buf_str(&f.faults), "xxxx"));
    done(&f);
    resolve_secret(&f, large, 64 * 1024);
    assert_int_equal(f.code, ERR_OK);
    done(&f);
    free(large);
}

static void test_secret_forms(void **state)
{
    struct fixture f;
    (void)state;
    resolve(&f, "", LIST("PLUGIN_FILE_TOKEN=s3cret", "PLUGIN_FILE_TOKEN_FILE=/nowhere"));
    has(&f.faults, "environment PLUGIN_FILE_TOKEN_FILE: TOKEN is set as well (environment PLUGIN_FILE_TOKEN)");
    assert_int_equal(lines_in(&f.faults), 1);
    assert_null(strstr(buf_str(&f.faults), "s3cret"));
    done(&f);
    resolve(&f, "[plugin file]\ntoken = s3cret\n", LIST("PLUGIN_FILE_TOKEN_FILE=/nowhere"));
    assert_int_equal(f.code, ERR_CONFIG); /* in two layers too: which one is meant is not known */
    done(&f);
    resolve(&f, "[plugin file]\ntoken_file = /nowhere\n", LIST("PLUGIN_FILE_TOKEN=", "PLUGIN_FILE_CA_FILE=/ca"));
    has(&f.faults, ":2: /nowhere cannot be opened");       /* empty is unset */
    assert_string_equal(own(&f, "CA_FILE")->value, "/ca"); /* an option that is called so */
    done(&f);
    resolve(&f, "", LIST("PLUGIN_FILE_PIN=1", "PLUGIN_FILE_PIN_FILE=/pin")); /* its own PIN_FILE goes first */
    assert_int_equal(f.code, ERR_OK);
    assert_string_equal(own(&f, "PIN")->value, "1");
    assert_string_equal(own(&f, "PIN_FILE")->value, "/pin");
    done(&f);
}

static void test_equal(void **state)
{
    const struct {
        const char *const *a, *const *b;
        bool equal;
    } samples[] = {
        {LIST(NULL), LIST(NULL), true},
        {LIST("PLUGIN_FILE_PATH=a", "PLUGIN_FILE_URL=b"), LIST("PLUGIN_FILE_URL=b", "PLUGIN_FILE_PATH=a"), true},
        {LIST("PLUGIN_FILE_TIMEOUT=60s"), LIST("PLUGIN_FILE_TIMEOUT=1m"), true},
        {LIST("PLUGIN_FILE_TIMEOUT=30s"), LIST(NULL), true}, /* the default, written out */
        {LIST("PLUGIN_FILE_PATH=a"), LIST("PLUGIN_FILE_PATH=b"), false},
        {LIST("PLUGIN_FILE_PATH=a"), LIST(NULL), false},
        {LIST("PLUGIN_FILE_PATH=a"), LIST("PLUGIN_FILE_URL=a"), false},
        {LIST("PLUGIN_FILE_TIMEOUT=60s"), LIST("PLUGIN_FILE_TIMEOUT=61s"), false},
        {LIST("PLUGIN_FILE_MAX_LAG=1h"), LIST("PLUGIN_FILE_MAX_LAG=1GiB"), false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct fixture a, b;
        resolve(&a, "", samples[i].a);
        resolve(&b, "", samples[i].b);
        assert_int_equal(instance_equal(&a.instance, &b.instance), samples[i].equal);
        assert_int_equal(instance_equal(&b.instance, &a.instance), samples[i].equal);
        done(&a);
        done(&b);
    }
}

static void test_taken(void **state)
{
    (void)state;
    assert_true(conf_option_taken("ENABLED"));
    assert_true(conf_option_taken("WHEN_FULL"));
    assert_true(conf_option_taken("USE"));
    assert_true(conf_option_taken("CLIENTS"));
    assert_false(conf_option_taken("PATH"));
    assert_false(conf_option_taken(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_collisions),
        cmocka_unit_test(test_later_one_is_refused),
        cmocka_unit_test(test_option_called_use),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_common),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_as_far_as_possible),
        cmocka_unit_test(test_secret_files),
        cmocka_unit_test(test_secret_forms),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
