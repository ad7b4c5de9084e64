/* What clients have undelivered: pushers that come and go, limits, more pieces and more clients than there is room for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "delivery/backlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t bytes_of(struct backlog *b, const char *client)
{
    struct backlog_client c;
    backlog_client(b, client, &c);
    return c.bytes;
}

static void put(struct backlog *b, const char *client, uint64_t position, uint64_t bytes)
{
    assert_int_equal(backlog_take(b, client, bytes, 0), 0);
    backlog_store(b, client, position, bytes);
    backlog_give(b, client, bytes);
}

static void test_pushers(void **state)
{
    (void)state;
    struct backlog *b = backlog_new();
    struct backlog_taker all = {.joined = false}, some = {.joined = false};
    backlog_pass(b, &all, NULL, 0);
    backlog_pass(b, &some, "a,c", 0);
    for (uint64_t i = 1; i <= 10; i++) {
        put(b, "a", i * 100, 10);
        put(b, "b", i * 100 + 50, 1000);
        put(b, "", i * 100 + 60, 1000); /* nobody's are nobody's */
    }
    assert_int_equal(bytes_of(b, "a"), 100);
    assert_int_equal(bytes_of(b, "b"), 10000);
    backlog_pass(b, &all, NULL, 500); /* what stands at 500 was not passed */
    assert_int_equal(bytes_of(b, "a"), 100);
    assert_int_equal(bytes_of(b, "b"), 6000);
    backlog_pass(b, &some, "a,c", 501);
    assert_int_equal(bytes_of(b, "a"), 60);
    backlog_pass(b, &all, NULL, UINT64_MAX);
    assert_int_equal(bytes_of(b, "a"), 50);
    assert_int_equal(bytes_of(b, "b"), 0);
    backlog_pass(b, &some, "c", 501); /* it takes a's no more */
    assert_int_equal(bytes_of(b, "a"), 0);
    put(b, "c", 2000, 7);
    assert_int_equal(bytes_of(b, "c"), 7);
    backlog_leave(b, &some);
    assert_int_equal(bytes_of(b, "c"), 0);
    backlog_leave(b, &all);
    backlog_free(&b);
}

static void test_limits(void **state)
{
    (void)state;
    struct backlog *b = backlog_new();
    struct backlog_taker all = {.joined = false};
    struct backlog_limit named = {.name = "b", .bytes = 0};
    backlog_pass(b, &all, NULL, 0);
    assert_int_equal(backlog_limits(b, 100, &named, 1), ERR_OK);
    assert_int_equal(backlog_take(b, "a", 90, 0), 0);
    assert_int_equal(backlog_take(b, "a", 500, 0), 0); /* there was something left */
    assert_true(backlog_take(b, "a", 1, 0) > 0);
    assert_true(backlog_take(b, "a", 0, 0) > 0);
    assert_int_equal(backlog_take(b, "b", 1 << 30, 0), 0);
    backlog_give(b, "a", 500);
    assert_int_equal(backlog_take(b, "a", 0, 0), 0);
    backlog_store(b, "a", 10, 120);
    backlog_give(b, "a", 90);
    struct backlog_client c;
    backlog_client(b, "a", &c);
    assert_int_equal(c.bytes, 120);
    assert_int_equal(c.limit, 100);
    assert_int_equal(c.refused, 2);
    assert_int_equal(backlog_take(b, "a", 0, 5000), 11); /* nothing was passed of late: nobody knows */
    backlog_pass(b, &all, NULL, 11);
    assert_int_equal(backlog_take(b, "a", 0, 6000), 0);
    for (uint64_t i = 0; i < 100; i++) /* 1000 bytes a second */
        backlog_store(b, "a", 1000 + i * 100, 100);
    backlog_pass(b, &all, NULL, 1000 + 9 * 100 + 1);
    (void)backlog_take(b, "a", 0, 6500);
    assert_int_equal(backlog_take(b, "a", 0, 7000), 1 + (9000 - 100 + 1) / 1000);
    assert_int_equal(backlog_limits(b, 0, NULL, 0), ERR_OK);
    assert_int_equal(backlog_take(b, "a", 0, 7000), 0);
    backlog_leave(b, &all);
    backlog_free(&b);
}

/* A long queue is coarse, never too small, and gone when all is passed. */
static void test_many_pieces(void **state)
{
    (void)state;
    struct backlog *b = backlog_new();
    struct backlog_taker all = {.joined = false};
    backlog_pass(b, &all, NULL, 0);
    for (uint64_t i = 0; i < 100000; i++)
        put(b, "a", i * 8, 3);
    assert_int_equal(bytes_of(b, "a"), 300000);
    for (uint64_t i = 0; i < 100000; i += 777) {
        backlog_pass(b, &all, NULL, i * 8);
        uint64_t left = 300000 - i * 3, said = bytes_of(b, "a");
        assert_true(said >= left && said <= left + 300000 / 32 + 3);
    }
    backlog_pass(b, &all, NULL, 100000 * 8);
    assert_int_equal(bytes_of(b, "a"), 0);
    put(b, "a", 900000, 5); /* loops tell in any order */
    put(b, "a", 800008, 6);
    backlog_pass(b, &all, NULL, 900000);
    assert_int_equal(bytes_of(b, "a"), 11);
    backlog_pass(b, &all, NULL, 900001);
    assert_int_equal(bytes_of(b, "a"), 0);
    backlog_leave(b, &all);
    backlog_free(&b);
}

static void test_many_clients(void **state)
{
    (void)state;
    struct backlog *b = backlog_new();
    struct backlog_taker all = {.joined = false};
    struct backlog_client c;
    char name[32];
    backlog_pass(b, &all, NULL, 0);
    assert_int_equal(backlog_limits(b, 100, NULL, 0), ERR_OK);
    uint64_t sum = 0, shared = 0;
    for (uint64_t i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "client-%llu", (unsigned long long)i);
        uint32_t wait = backlog_take(b, name, 10, 0);
        if (wait == 0) {
            backlog_store(b, name, i + 1, 10);
            backlog_give(b, name, 10);
            sum += 10;
        }
    }
    uint64_t told = 0;
    for (uint32_t n = 0; backlog_client_at(b, n, &c); n++) {
        told += c.bytes;
        shared += c.name[0] == '\0' ? c.bytes : 0;
    }
    assert_int_equal(told, sum);
    assert_int_equal(shared, 100); /* the rest share one limit */
    backlog_pass(b, &all, NULL, UINT64_MAX);
    assert_int_equal(backlog_take(b, "another", 10, 0), 0); /* has an account of its own now */
    assert_int_equal(bytes_of(b, "another"), 10);
    backlog_give(b, "another", 10);
    assert_int_equal(bytes_of(b, "client-4999"), 0);
    backlog_found(b, SLICE_LIT("another"), 5, 3);
    backlog_found(b, SLICE_LIT(""), 5, 4);
    backlog_leave(b, &all);
    backlog_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pushers),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_pieces),
        cmocka_unit_test(test_many_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
