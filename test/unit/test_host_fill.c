/* From settings to the configuration struct, for every type of option. */
#include "headgate.h"
#include "host/confine.h"
#include "host/fill.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

struct config {
    const char *string, *path, *url, *unset;
    int64_t integer, duration, size;
    double number;
    int32_t boolean, choice;
    struct hg_list list;
    struct hg_map map;
};

#define OPTION(NAME, TYPE, FALLBACK, LIMITS, MEMBER)                                                                   \
    {                                                                                                                  \
        NAME, TYPE, 0, FALLBACK, LIMITS, "Text.", NULL, offsetof(struct config, MEMBER)                                \
    }

static const struct hg_option options[] = {
    OPTION("STRING", HG_STRING, "", NULL, string),
    OPTION("PATH", HG_PATH, "/a/b", NULL, path),
    OPTION("URL", HG_URL, NULL, NULL, url),
    OPTION("UNSET", HG_STRING, NULL, NULL, unset),
    OPTION("INTEGER", HG_INTEGER, "5", "1..10", integer),
    OPTION("DURATION", HG_DURATION, "2s", NULL, duration),
    OPTION("SIZE", HG_SIZE, NULL, NULL, size),
    OPTION("NUMBER", HG_NUMBER, "0.25", NULL, number),
    OPTION("BOOLEAN", HG_BOOLEAN, NULL, NULL, boolean),
    OPTION("CHOICE", HG_CHOICE, "two", "one|two|three", choice),
    OPTION("LIST", HG_LIST, "x, y", NULL, list),
    OPTION("MAP", HG_MAP, NULL, NULL, map),
};

static const struct hg_plugin plugin = {
    .name = "filled",
    .options = options,
    .option_count = COUNT_OF(options),
    .option_size = sizeof options[0],
    .config_size = sizeof(struct config),
    .pusher = &(const struct hg_pusher){0},
};

static void free_list(struct hg_list *l)
{
    if (l->count > 0)
        free((void *)(uintptr_t)l->items[0]);
    free((void *)(uintptr_t)l->items);
}

static void free_map(struct hg_map *m)
{
    if (m->count > 0)
        free((void *)(uintptr_t)m->names[0]);
    free((void *)(uintptr_t)m->names);
    free((void *)(uintptr_t)m->values);
}

static void free_config(struct config *c)
{
    free((void *)(uintptr_t)c->string);
    free((void *)(uintptr_t)c->path);
    free((void *)(uintptr_t)c->url);
    free_list(&c->list);
    free_map(&c->map);
    free(c);
}

static struct config *filled(struct setting *settings, size_t count)
{
    const struct setup setup = {.settings = settings, .count = count};
    struct buf faults;
    void *config = NULL;
    buf_init(&faults, 4096);
    if (fill_config(&plugin, &setup, &config, &faults) != 0)
        fail_msg("%s", buf_str(&faults));
    buf_free(&faults);
    return config;
}

static void defaults(void **state)
{
    (void)state;
    struct config *c = filled(NULL, 0);
    assert_string_equal(c->string, "");
    assert_string_equal(c->path, "/a/b");
    assert_null(c->url);
    assert_null(c->unset);
    assert_int_equal(c->integer, 5);
    assert_int_equal(c->duration, 2000);
    assert_int_equal(c->size, 0);
    assert_true(c->number == 0.25);
    assert_int_equal(c->boolean, 0);
    assert_int_equal(c->choice, 1);
    assert_int_equal(c->list.count, 2);
    assert_string_equal(c->list.items[1], "y");
    assert_int_equal(c->map.count, 0);
    free_config(c);
}

static void every_type(void **state)
{
    (void)state;
    char n[][16] = {"STRING", "PATH",    "URL",    "INTEGER", "DURATION", "SIZE",
                    "NUMBER", "BOOLEAN", "CHOICE", "LIST",    "MAP"};
    char v[][32] = {"text", "", "http://h/p", "10", "5m", "3KiB", "1.5", "yes", "three", "a ,b,c", "A = 1,B=2=3"};
    struct setting settings[COUNT_OF(n)];
    for (size_t i = 0; i < COUNT_OF(n); i++)
        settings[i] = (struct setting){n[i], v[i]};
    struct config *c = filled(settings, COUNT_OF(n));
    assert_string_equal(c->string, "text");
    assert_string_equal(c->path, "/a/b"); /* set to nothing is not set */
    assert_string_equal(c->url, "http://h/p");
    assert_int_equal(c->integer, 10);
    assert_int_equal(c->duration, 300000);
    assert_int_equal(c->size, 3072);
    assert_true(c->number == 1.5);
    assert_int_equal(c->boolean, 1);
    assert_int_equal(c->choice, 2);
    assert_int_equal(c->list.count, 3);
    assert_string_equal(c->list.items[0], "a");
    assert_int_equal(c->map.count, 2);
    assert_string_equal(c->map.names[0], "A");
    assert_string_equal(c->map.values[0], "1");
    assert_string_equal(c->map.values[1], "2=3");
    free_config(c);
}

static void faults_are_told_together(void **state)
{
    (void)state;
    char n[][16] = {"INTEGER", "CHOICE", "NOSUCH"}, v[][16] = {"11", "four", "1"};
    struct setting settings[] = {{n[0], v[0]}, {n[1], v[1]}, {n[2], v[2]}};
    const struct setup setup = {.settings = settings, .count = 3};
    struct buf faults;
    void *config = NULL;
    buf_init(&faults, 4096);
    assert_int_equal(fill_config(&plugin, &setup, &config, &faults), ERR_CONFIG);
    assert_null(config);
    assert_non_null(strstr(buf_str(&faults), "INTEGER: "));
    assert_non_null(strstr(buf_str(&faults), "CHOICE: "));
    assert_non_null(strstr(buf_str(&faults), "NOSUCH: "));
    buf_free(&faults);
}

static void lists_and_maps(void **state)
{
    (void)state;
    struct hg_list l;
    struct hg_map m;
    assert_int_equal(fill_list(" ,a,,  b c ,", &l), 0);
    assert_int_equal(l.count, 2);
    assert_string_equal(l.items[1], "b c");
    free((void *)(uintptr_t)(l.items[0] - 2));
    free((void *)(uintptr_t)l.items);
    assert_int_equal(fill_map("a=1,b", &m), ERR_SYNTAX);
    assert_int_equal(fill_map("=1", &m), ERR_SYNTAX);
    assert_int_equal(fill_map("  = 1", &m), ERR_SYNTAX);
    char *many = malloc(20001);
    assert_non_null(many);
    memset(many, ',', 20000);
    many[20000] = '\0';
    assert_int_equal(fill_list(many, &l), ERR_LIMIT);
    free(many);
}

static void folders_to_be_made(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"/a/b/rows.ndjson", "/a/b"},
        {"/a/%Y/rows-%d", "/a"},
        {"/a/b-{uuid}/c", "/a"},
        {"/rows", "/"},
        {"rows-%Y", "."},
        {"data/rows", "data"},
        {"data//x", "data"},
        {"%Y/x", "."},
        {"/%Y/x", "/"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        char folder[64];
        confine_folder(pairs[i][0], folder);
        assert_string_equal(folder, pairs[i][1]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(defaults),       cmocka_unit_test(every_type),         cmocka_unit_test(faults_are_told_together),
    cmocka_unit_test(lists_and_maps), cmocka_unit_test(folders_to_be_made),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
