/* The pushers `null` and `stdout`, and the test kit by what it shows of them. */
#include "scratch.h"
#include "testkit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char two_rows[] =
    "{\"uuid\":\"u\",\"rows\":[{\"index\":7,\"data\":{\"a\":[1,{\"b\":\"}\"}]}},{\"data\":{}}]}";

static void test_null(void **state)
{
    (void)state;
    static const char *const reads[] = {"none", "spans", "fields"};
    struct testkit *kit = testkit_load(TEST_BUILD "/plugins/null.so");
    assert_int_equal(testkit_rows(kit, two_rows), 2);
    for (size_t i = 0; i < 3; i++) {
        testkit_set(kit, "READ", reads[i]);
        assert_int_equal(testkit_start(kit), HG_OPEN_OK);
        assert_int_equal(testkit_push(kit, 0, 2), HG_ALL_OK);
        assert_int_equal(testkit_verdict(kit, 1), HG_OK);
    }
    testkit_set(kit, "DELAY", "10m"); /* the kit's clock does not sleep */
    assert_int_equal(testkit_start(kit), HG_OPEN_OK);
    assert_int_equal(testkit_push(kit, 0, 2), HG_ALL_OK);
    testkit_stopping(kit, 1);
    assert_int_equal(testkit_push(kit, 0, 2), HG_NOT_NOW);
    assert_int_equal(testkit_verdict(kit, 1), 0);
    testkit_set(kit, "READ", "all");
    assert_int_equal(testkit_start(kit), HG_OPEN_BROKEN);
    assert_string_equal(testkit_fault(kit), "READ: 'all' is not one of none|spans|fields");
    testkit_free(&kit);
}

static void test_stdout(void **state)
{
    (void)state;
    char *folder = scratch_make(), expected[1024];
    const char *path = scratch_path(folder, "out");
    struct testkit *kit = testkit_load(TEST_BUILD "/plugins/stdout.so");
    assert_int_equal(testkit_rows(kit, two_rows), 2);
    assert_int_equal(testkit_start(kit), HG_OPEN_OK);
    fflush(stdout);
    int before = dup(1), out = open(path, O_RDWR | O_CREAT, 0600), full = open("/dev/full", O_WRONLY);
    dup2(out, 1);
    int rc = testkit_push(kit, 0, 2);
    dup2(full, 1);
    int rc_full = testkit_push(kit, 0, 2);
    dup2(before, 1);
    assert_int_equal(rc, HG_ALL_OK);
    assert_int_equal(rc_full, HG_NOT_NOW);
    assert_string_equal(testkit_push_reason(kit), "No space left on device");
    snprintf(expected, sizeof(expected),
             "{\"id\":\"%s\",\"uuid\":\"u\",\"index\":7,\"received\":\"2026-01-31T12:00:00.000000Z\","
             "\"data\":{\"a\":[1,{\"b\":\"}\"}]}}\n"
             "{\"id\":\"%s\",\"uuid\":\"u\",\"received\":\"2026-01-31T12:00:00.000000Z\",\"data\":{}}\n",
             testkit_row_id(kit, 0), testkit_row_id(kit, 1));
    char *text = scratch_read(path, NULL);
    assert_string_equal(text, expected);
    free(text);
    testkit_free(&kit);
    close(before);
    close(out);
    close(full);
    scratch_remove(&folder);
}

/* --- a pusher that asks its host for everything --- */

struct config {
    const char *text;
    int64_t count, time, size;
    double number;
    int32_t yes, choice;
    struct hg_list list;
    struct hg_map map;
};

static const struct hg_api *api;
static const struct config *config;
static struct hg_host *host;

static int asker_open(struct hg_host *h, const struct hg_api *a, const void *c, void **state)
{
    api = a;
    host = h;
    config = c;
    *state = NULL;
    return HG_OPEN_OK;
}

static void asker_close(void *state)
{
    (void)state;
}

static int is(struct hg_text text, const char *expected)
{
    return text.len == strlen(expected) && memcmp(text.ptr, expected, text.len) == 0;
}

static int asker_push(void *state, struct hg_rows *rows)
{
    (void)state;
    const struct hg_row *row = api->row(rows, 0);
    char text[16], id[HG_ROW_ID_SIZE], batch[HG_BATCH_ID_SIZE];
    struct hg_value value;
    struct hg_text key, name;
    size_t at = 0, fields = 0;
    api->row_id(row, id);
    api->batch_id(row, batch);
    assert_memory_equal(id, batch, strlen(batch));
    assert_true(is(api->uuid(row), "\xc3\xa9\xf0\x9d\x84\x9e\n"));
    assert_true(is(api->tag(row, "line"), "a\"b") && api->tag(row, "none").ptr == NULL);
    assert_true(api->tag_at(row, 0, &name, &key) && is(name, "line") && !api->tag_at(row, 1, &name, &key));
    assert_true(is(api->client(row), "me") && api->index(row) == 3 && api->number(row) == 0 && !api->last(row));
    assert_true(api->last(api->row(rows, 1)) && api->index(api->row(rows, 1)) == -1 && !api->row(rows, 2));
    assert_true(api->origin(row) == HG_RETRIED && api->attempt(row) == 4);
    assert_true(api->field(row, "b", &value) && value.type == HG_STR && is(value.json, "\"x\\u0041\""));
    assert_int_equal(api->text(value.json, text, sizeof(text)), 2);
    assert_string_equal(text, "xA");
    assert_int_equal(api->text(value.json, text, 2), -1);
    assert_false(api->field(row, "c", &value));
    while (api->next(api->data(row), &at, &key, &value))
        fields++;
    assert_int_equal(fields, 3);
    api->judge(rows, 0, HG_SKIP, 0, NULL);
    api->judge(rows, 0, HG_REJECT, 0, "too late"); /* the first verdict counts */
    api->log(host, HG_LOG_WARN, "hello");
    api->count(host, "things", 2);
    api->count(host, "things", 3);
    assert_int_equal(api->state_set(host, id, HG_STATE_MAX + 1), 0);
    assert_int_equal(api->state_set(host, "kept", 4), 1);
    assert_int_equal(api->time_left(host), 5000);
    assert_int_equal(api->wait(host, 4000), 1);
    assert_int_equal(api->time_left(host), 1000);
    return HG_JUDGED;
}

#define OPTION(name, type, flags, fallback, limits, member)                                                            \
    {                                                                                                                  \
        name, type, flags, fallback, limits, "Of the test.", NULL, offsetof(struct config, member)                     \
    }

static const struct hg_plugin *asker(void)
{
    static const struct hg_option options[] = {
        OPTION("TEXT", HG_STRING, HG_REQUIRED, NULL, NULL, text),
        OPTION("COUNT", HG_INTEGER, 0, "7", "1..9", count),
        OPTION("TIME", HG_DURATION, 0, "2m", "1s..1h", time),
        OPTION("SIZE", HG_SIZE, 0, "1MiB", NULL, size),
        OPTION("NUMBER", HG_NUMBER, 0, "1.5", "0..2", number),
        OPTION("YES", HG_BOOLEAN, 0, "no", NULL, yes),
        OPTION("CHOICE", HG_CHOICE, 0, "a", "a|bc|d", choice),
        OPTION("LIST", HG_LIST, 0, NULL, NULL, list),
        OPTION("MAP", HG_MAP, 0, NULL, NULL, map),
    };
    static const struct hg_pusher pusher = {
        .size = sizeof(pusher), .open = asker_open, .close = asker_close, .push = asker_push};
    static const struct hg_plugin plugin = {HG_ABI_MAJOR,
                                            HG_ABI_MINOR,
                                            sizeof(plugin),
                                            HG_PUSHER,
                                            "asker",
                                            "1",
                                            "Asks.",
                                            options,
                                            sizeof(options) / sizeof(options[0]),
                                            sizeof(options[0]),
                                            sizeof(struct config),
                                            &pusher,
                                            NULL,
                                            NULL};
    return &plugin;
}

static void refused(struct testkit *kit, const char *name, const char *value)
{
    testkit_set(kit, name, value);
    assert_int_equal(testkit_start(kit), HG_OPEN_BROKEN);
    assert_memory_equal(testkit_fault(kit), name, strlen(name));
    testkit_set(kit, name, NULL);
}

static void test_kit_options(void **state)
{
    (void)state;
    struct testkit *kit = testkit_link(asker);
    assert_int_equal(testkit_start(kit), HG_OPEN_BROKEN);
    assert_string_equal(testkit_fault(kit), "TEXT: is required");
    testkit_set(kit, "TEXT", "t");
    assert_int_equal(testkit_start(kit), HG_OPEN_OK);
    assert_string_equal(config->text, "t");
    assert_true(config->count == 7 && config->time == 120000 && config->size == 1 << 20 && config->choice == 0);
    assert_true(config->number > 1.4 && config->number < 1.6 && config->yes == 0 && config->list.count == 0);
    testkit_set(kit, "LIST", "a, b c ,,d");
    testkit_set(kit, "MAP", "x=1, y = 2=3");
    testkit_set(kit, "CHOICE", "d");
    testkit_set(kit, "YES", "true");
    assert_int_equal(testkit_start(kit), HG_OPEN_OK);
    assert_true(config->list.count == 3 && config->map.count == 2 && config->choice == 2 && config->yes == 1);
    assert_string_equal(config->list.items[1], "b c");
    assert_string_equal(config->map.names[1], "y");
    assert_string_equal(config->map.values[1], "2=3");
    testkit_set(kit, "MAP", NULL);
    refused(kit, "COUNT", "10");
    refused(kit, "COUNT", "1x");
    refused(kit, "TIME", "5");
    refused(kit, "TIME", "2h");
    refused(kit, "SIZE", "9999999999GiB");
    refused(kit, "NUMBER", "2.5");
    refused(kit, "YES", "perhaps");
    refused(kit, "CHOICE", "b");
    refused(kit, "MAP", "a");
    refused(kit, "OTHER", "x");
    testkit_free(&kit);
}

static void test_kit_rows(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "{}",
                                        "[]",
                                        "{\"uuid\":\"u\"}",
                                        "{\"uuid\":1,\"row\":{\"data\":{}}}",
                                        "{\"row\":{\"data\":{}}}",
                                        "{\"uuid\":\"u\",\"row\":{\"data\":[]}}",
                                        "{\"uuid\":\"u\",\"rows\":[{\"data\":{}},{}]}",
                                        "{\"uuid\":\"u\",\"row\":{\"data\":{}}} x",
                                        "{\"uuid\":\"\\ud834\",\"row\":{\"data\":{}}}"};
    struct testkit *kit = testkit_link(asker);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(testkit_rows(kit, wrong[i]), 0);
    testkit_client(kit, "me");
    testkit_origin(kit, HG_RETRIED);
    testkit_attempt(kit, 4);
    testkit_time_left(kit, 5000);
    testkit_set(kit, "TEXT", "t");
    assert_int_equal(testkit_rows(kit,
                                  "{\"uuid\":\"\\u00e9\\ud834\\udd1e\\n\",\"tags\":{\"line\":\"a\\\"b\"},\"rows\":["
                                  "{\"index\":3,\"data\":{\"a\":[{\"b\":0}],\"b\":\"x\\u0041\",\"d\":-1.5e3}},"
                                  "{\"index\":null,\"data\":{}}]}"),
                     2);
    assert_int_equal(testkit_start(kit), HG_OPEN_OK);
    assert_int_equal(testkit_push(kit, 0, 2), HG_JUDGED);
    assert_int_equal(testkit_verdict(kit, 0), HG_SKIP);
    assert_int_equal(testkit_verdict(kit, 1), HG_RETRY); /* forgotten */
    assert_int_equal(testkit_forgotten(kit), 1);
    uint32_t level;
    assert_string_equal(testkit_log(kit, 0, &level), "hello");
    assert_int_equal(level, HG_LOG_WARN);
    assert_null(testkit_log(kit, 1, NULL));
    assert_int_equal(testkit_counter(kit, "things"), 5);
    size_t len;
    assert_memory_equal(testkit_state(kit, &len), "kept", 4);
    assert_int_equal(len, 4);
    testkit_free(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_stdout),
        cmocka_unit_test(test_kit_options),
        cmocka_unit_test(test_kit_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
