/* A plugin's description: each way to be wrong is refused with a sentence that names the field. */
#include "headgate.h"
#include "host/descriptor.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <string.h>

struct config {
    const char *path;
    int64_t number;
    int32_t choice, flag;
    struct hg_map map;
};

/* A description that is right, to be made wrong in one place. */
struct whole {
    struct hg_option options[4];
    struct hg_pusher pusher;
    struct hg_plugin plugin;
};

static int open_it(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    (void)host, (void)api, (void)config, (void)state;
    return HG_OPEN_OK;
}

static void close_it(void *state)
{
    (void)state;
}

static int push_it(void *state, struct hg_rows *rows)
{
    (void)state, (void)rows;
    return HG_ALL_OK;
}

static struct whole *right(void)
{
    static struct whole w;
    w = (struct whole){
        .options =
            {
                {"PATH", HG_PATH, HG_REQUIRED | HG_WRITE, NULL, NULL, "Where.", NULL, offsetof(struct config, path)},
                {"NUMBER", HG_INTEGER, 0, "5", "1..10", "How many.", NULL, offsetof(struct config, number)},
                {"CHOICE", HG_CHOICE, 0, "b", "a|b", "Which.", NULL, offsetof(struct config, choice)},
                {"MAP", HG_MAP, 0, NULL, NULL, "What.", NULL, offsetof(struct config, map)},
            },
        .pusher = {.size = sizeof w.pusher, .open = open_it, .close = close_it, .push = push_it},
        .plugin = {.abi_major = HG_ABI_MAJOR,
                   .abi_minor = HG_ABI_MINOR,
                   .size = sizeof w.plugin,
                   .kind = HG_PUSHER,
                   .name = "right",
                   .version = "1",
                   .summary = "Nothing is wrong.",
                   .options = w.options,
                   .option_count = 4,
                   .option_size = sizeof w.options[0],
                   .config_size = sizeof(struct config),
                   .pusher = &w.pusher},
    };
    return &w;
}

static void what_is_right_is_taken(void **state)
{
    (void)state;
    struct err e = {.text = ""};
    struct whole *w = right();
    assert_int_equal(descriptor_check(&w->plugin, &e), 0);
    w->plugin.option_count = 0;
    w->plugin.options = NULL;
    assert_int_equal(descriptor_check(&w->plugin, &e), 0);
    w = right();
    w->plugin.size += 64; /* a newer header that needs nothing new */
    w->pusher.size += 64;
    assert_int_equal(descriptor_check(&w->plugin, &e), 0);
}

#define REFUSED(change, sentence)                                                                                      \
    do {                                                                                                               \
        struct whole *w = right();                                                                                     \
        struct err e = {.text = ""};                                                                                   \
        change;                                                                                                        \
        assert_int_not_equal(descriptor_check(&w->plugin, &e), 0);                                                     \
        if (strstr(e.text, sentence) == NULL)                                                                          \
            fail_msg("\"%s\" is not in \"%s\"", sentence, e.text);                                                     \
    } while (0)

static void versions_and_sizes(void **state)
{
    (void)state;
    assert_int_not_equal(descriptor_check(NULL, NULL), 0);
    REFUSED(w->plugin.abi_major = 2, "abi_major: expected 1, found 2");
    REFUSED(w->plugin.abi_minor = HG_ABI_MINOR + 1, "abi_minor: expected at most 1, found 2");
    REFUSED(w->plugin.size -= 8, "size: expected at least ");
    REFUSED(w->plugin.kind = HG_PULLER, "puller: expected a table, found none");
    REFUSED(w->plugin.kind = HG_PROCESSOR, "processor: expected a table, found none");
    REFUSED(w->plugin.kind = 9, "or 3 (a processor), found 9");
    REFUSED(w->plugin.option_size -= 8, "option_size: expected at least ");
    REFUSED(w->plugin.option_size += 1, "option_size: expected a multiple of 8, found ");
    REFUSED(w->plugin.config_size = 1 << 21, "config_size: expected at most ");
    REFUSED(w->plugin.option_count = 100000, "option_count: expected at most 256, found 100000");
    REFUSED(w->plugin.options = NULL, "options: expected a table of 4, found none");
}

static int nothing_opened(struct hg_host *host, const struct hg_api *api, const void *config, void **state)
{
    (void)host, (void)api, (void)config, (void)state;
    return HG_OPEN_OK;
}

static void nothing_closed(void *state)
{
    (void)state;
}

static int nothing_processed(void *state, struct hg_rows *rows)
{
    (void)state, (void)rows;
    return HG_ALL_OK;
}

static void a_processors_table(void **state)
{
    static struct hg_processor p;
    static const struct hg_processor good = {
        .size = sizeof p, .open = nothing_opened, .close = nothing_closed, .process = nothing_processed};
#define PROCESSOR(change)                                                                                              \
    p = good;                                                                                                          \
    w->plugin.kind = HG_PROCESSOR;                                                                                     \
    w->plugin.pusher = NULL;                                                                                           \
    w->plugin.processor = &p;                                                                                          \
    change
    (void)state;
    {
        struct err e = {.text = ""};
        struct whole *w = right();
        PROCESSOR(p.size += 64);
        assert_int_equal(descriptor_check(&w->plugin, &e), 0);
    }
    REFUSED(PROCESSOR(w->plugin.processor = NULL), "processor: expected a table, found none");
    REFUSED(PROCESSOR(p.size -= 8), "processor.size: expected at least ");
    REFUSED(PROCESSOR(p.flags = 1), "processor.flags: expected 0, found 0x1");
    REFUSED(PROCESSOR(p.open = NULL), "processor.open: expected a function, found none");
    REFUSED(PROCESSOR(p.close = NULL), "processor.close: ");
    REFUSED(PROCESSOR(p.process = NULL), "processor.process: ");
}

static void names_and_texts(void **state)
{
    (void)state;
    REFUSED(w->plugin.name = NULL, "name: expected [a-z][a-z0-9-]* of at most 63 bytes, found \"(none)\"");
    REFUSED(w->plugin.name = "Right", "name: ");
    REFUSED(w->plugin.name = "", "name: ");
    REFUSED(w->plugin.name = "a_b", "found \"a_b\"");
    REFUSED(w->plugin.version = NULL, "version: expected a text, found none");
    REFUSED(w->plugin.summary = "", "summary: expected a text, found none");
}

static void the_pushers_table(void **state)
{
    (void)state;
    REFUSED(w->plugin.pusher = NULL, "pusher: expected a table, found none");
    REFUSED(w->pusher.size = 16, "pusher.size: expected at least ");
    REFUSED(w->pusher.reserved = 1, "pusher.reserved: expected 0, found 0x1");
    REFUSED(w->pusher.flags = 64, "pusher.flags: expected only bits of 0xf, found 0x40");
    REFUSED(w->pusher.open = NULL, "pusher.open: expected a function, found none");
    REFUSED(w->pusher.close = NULL, "pusher.close: ");
    REFUSED(w->pusher.push = NULL, "pusher.push: ");
}

static void options(void **state)
{
    (void)state;
    REFUSED(w->options[1].name = "number", "options[1].name: expected [A-Z][A-Z0-9_]*");
    REFUSED(w->options[1].name = NULL, "options[1].name: ");
    REFUSED(w->options[1].name = "PATH", "option PATH: expected once, found twice");
    REFUSED(w->options[1].name = "BATCH_ROWS",
            "options[1].name: expected none that headgate gives every pusher, found \"BATCH_ROWS\"");
    REFUSED(w->options[1].name = "USE",
            "options[1].name: expected none that headgate gives every pusher, found \"USE\"");
    REFUSED(w->options[1].type = 0, "option NUMBER: type: expected 1 to 11, found 0");
    REFUSED(w->options[1].offset = 1000, "option NUMBER: offset: expected 8 bytes inside config_size");
    REFUSED(w->options[1].offset = SIZE_MAX - 3, "option NUMBER: offset: ");
    REFUSED(w->options[1].offset += 4, "option NUMBER: offset: expected a multiple of 8");
    REFUSED(w->options[1].offset = 0, "option NUMBER: offset: expected a member of its own, found that of PATH");
    REFUSED(w->options[1].flags = HG_WRITE,
            "option NUMBER: flags: expected HG_READ, HG_WRITE and HG_FOLDER on a path only");
    REFUSED(w->options[1].flags = 128, "option NUMBER: flags: expected only bits of 0x1f, found 0x80");
    REFUSED(w->options[1].text = NULL, "option NUMBER: text: expected a text, found none");
    REFUSED(w->options[2].limits = NULL, "option CHOICE: limits: expected the choices");
    REFUSED(w->options[1].fallback = "11",
            "option NUMBER: fallback: expected a value that its type and limits allow, found ");
    REFUSED(w->options[1].limits = "some..many",
            "option NUMBER: limits: expected min..max in the writing of its type, found \"some..many\"");
    REFUSED(w->options[2].fallback = "c",
            "option CHOICE: fallback: expected a value that its type and limits allow, found ");
}

static void described_again(void **state)
{
    (void)state;
    struct described d, read;
    struct err e;
    struct buf text;
    buf_init(&text, 1 << 20);
    assert_int_equal(descriptor_describe(&right()->plugin, &d), 0);
    assert_int_equal(described_write(&d, &text), 0);
    descriptor_undescribe(&d);
    assert_int_equal(described_read(buf_slice(&text), &read, &e), 0);
    assert_string_equal(read.name, "right");
    assert_int_equal(read.count, 4);
    assert_string_equal(read.options[1].limits, "1..10");
    assert_null(read.options[0].fallback);
    described_fini(&read);
    buf_free(&text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_right_is_taken), cmocka_unit_test(versions_and_sizes),
    cmocka_unit_test(a_processors_table),     cmocka_unit_test(names_and_texts),
    cmocka_unit_test(the_pushers_table),      cmocka_unit_test(options),
    cmocka_unit_test(described_again),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
