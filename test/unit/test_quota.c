/* What a client may post in a second: the buckets, with a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/quota.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A quota with the settings of this file. */
static void configure(struct quota *q, const char *ini)
{
    char path[] = "/tmp/test_quota.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, ini, strlen(ini)) == (ssize_t)strlen(ini));
    close(fd);
    struct buf faults, notices;
    struct conf *conf;
    buf_init(&faults, 4096);
    buf_init(&notices, 4096);
    const struct conf_input input = {.file = path};
    assert_int_equal(conf_load(&input, &conf, &faults, &notices), ERR_OK);
    assert_int_equal(quota_configure(q, conf), ERR_OK);
    conf_free(&conf);
    buf_free(&faults);
    buf_free(&notices);
    unlink(path);
}

static void test_nobody_has_limits(void **state)
{
    (void)state;
    struct quota *q = quota_new();
    assert_int_equal(quota_take(q, "a", UINT32_MAX, UINT32_MAX, 0), 0);
    configure(q, "[clients]\nrows_per_second = 1\n");
    assert_int_equal(quota_take(q, "", 1000, 1, 0), 0); /* bound to none */
    assert_int_equal(quota_take(q, "", 1000, 1, 0), 0);
    quota_free(&q);
}

static void test_rows_and_seconds(void **state)
{
    (void)state;
    struct quota *q = quota_new();
    configure(q, "[clients]\nrows_per_second = 10\n");
    for (int i = 0; i < 10; i++)
        assert_int_equal(quota_take(q, "a", 1, 99, 1000), 0);
    assert_int_equal(quota_take(q, "a", 1, 99, 1000), 1);
    assert_int_equal(quota_take(q, "b", 1, 99, 1000), 0); /* has its own */
    assert_int_equal(quota_take(q, "a", 1, 99, 1100), 0); /* one more after a tenth of a second */
    assert_int_equal(quota_take(q, "a", 1, 99, 1100), 1);
    assert_int_equal(quota_take(q, "a", 1, 99, 500), 1);    /* a clock that goes back gives nothing */
    assert_int_equal(quota_take(q, "a", 105, 99, 9000), 0); /* a large one is taken, out of one second's worth */
    assert_int_equal(quota_take(q, "a", 1, 99, 9000), 10);  /* and 95 are owed */
    assert_int_equal(quota_take(q, "a", 1, 99, 18000), 1);
    assert_int_equal(quota_take(q, "a", 1, 99, 18600), 0);
    quota_free(&q);
}

static void test_bytes_and_sections(void **state)
{
    (void)state;
    struct quota *q = quota_new();
    configure(q, "[clients]\nbytes_per_second = 1KiB\n[client big]\nbytes_per_second = 1MiB\n[client all]\n"
                 "bytes_per_second = off\n");
    assert_int_equal(quota_take(q, "small", 1, 4096, 1), 0);
    assert_int_equal(quota_take(q, "small", 1, 1, 1), 4);
    assert_int_equal(quota_take(q, "big", 1, 4096, 1), 0);
    assert_int_equal(quota_take(q, "big", 1, 4096, 1), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(quota_take(q, "all", 1, UINT32_MAX, 1), 0);
    configure(q, "[clients]\nbytes_per_second = 2KiB\n"); /* what is owed stays owed, and is paid faster */
    assert_int_equal(quota_take(q, "small", 1, 1, 1), 2);
    assert_int_equal(quota_take(q, "big", 1, 4096, 1), 0);
    assert_int_equal(quota_take(q, "big", 1, 1, 1), 2);
    configure(q, "");
    assert_int_equal(quota_take(q, "small", 1, 1, 1), 0);
    quota_free(&q);
}

/* More clients than there is room for: whoever has been silent for longest makes room, and none is refused for it. */
static void test_many_clients(void **state)
{
    (void)state;
    char name[32];
    struct quota *q = quota_new();
    configure(q, "[clients]\nrows_per_second = 1\n");
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "client-%d", i);
        assert_int_equal(quota_take(q, name, 5, 1, i), 0);
    }
    assert_true(quota_take(q, name, 1, 1, 3000) > 0);
    assert_true(quota_take(q, "client-2000", 1, 1, 3000) > 0);
    assert_int_equal(quota_take(q, "client-0", 1, 1, 3000), 0);
    quota_free(&q);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(client_valid(slice_of("a.B_c@d-9")));
    assert_false(client_valid(slice_of("")));
    assert_false(client_valid(slice_of("a b")));
    assert_true(client_listed("", slice_of("")));
    assert_true(client_listed(" , ", slice_of("x")));
    assert_true(client_listed("lab-a, lab-b", slice_of("lab-b")));
    assert_true(client_listed("lab-a,lab-b", slice_of("lab-a")));
    assert_false(client_listed("lab-a, lab-b", slice_of("lab-")));
    assert_false(client_listed("lab-a", slice_of("lab-a2")));
    assert_false(client_listed("lab-a", slice_of("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_has_limits),
        cmocka_unit_test(test_rows_and_seconds),
        cmocka_unit_test(test_bytes_and_sections),
        cmocka_unit_test(test_many_clients),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
