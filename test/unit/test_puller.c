/* A puller's life, step by step, with a clock of the test's; and the file of its position. */
#include "supervise/puller.h"

#include "base/check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOON_S = 1769860800 }; /* 2026-01-31 12:00:00 UTC */

static const int64_t noon = (int64_t)NOON_S * 1000000;
static int starts, stops, kills, pulls;
static uint64_t token;

static void on_start(void *arg, struct puller *p)
{
    (void)arg;
    (void)p;
    starts++;
}

static void on_stop(void *arg, struct puller *p)
{
    (void)arg;
    (void)p;
    stops++;
}

static void on_kill(void *arg, struct puller *p, enum host_end why)
{
    (void)arg;
    (void)p;
    (void)why;
    kills++;
}

static void on_pull(void *arg, struct puller *p, uint64_t t)
{
    (void)arg;
    (void)p;
    token = t;
    pulls++;
}

static void on_changed(void *arg, struct puller *p, const char *event, const char *text)
{
    (void)arg;
    (void)p;
    assert_non_null(event);
    assert_non_null(text);
}

static const struct puller_ops ops = {on_start, on_stop, on_kill, on_pull, on_changed, NULL};

static struct puller *make(const char *every)
{
    static const struct position none;
    struct pusher_settings s = {.timeout_ms = 1000, .retry_min_ms = 100, .retry_max_ms = 1600};
    assert_int_equal(every_parse(every, &s.every, NULL), ERR_OK);
    struct puller *p = puller_new("p", "/nowhere", &none, 7);
    assert_non_null(p);
    p->ops = &ops;
    starts = stops = kills = pulls = 0;
    puller_configure(p, &s);
    return p;
}

/* Wanted, its host ready, at `now`. */
static void bring_up(struct puller *p, int64_t now)
{
    puller_want(p, true, now);
    (void)puller_step(p, now, noon);
    assert_int_equal(p->host, PULL_STARTING);
    puller_host_ready(p, now, noon);
}

static int pulled(struct puller *p, uint32_t result, int64_t now, int64_t wall)
{
    return puller_pulled(p, token, result, SLICE_LIT("why"), now, wall);
}

static void continuous(void **state)
{
    (void)state;
    struct puller *p = make("");
    assert_int_equal(puller_step(p, 0, noon), INT64_MAX);
    assert_int_equal(starts, 0);
    bring_up(p, 1000);
    (void)puller_step(p, 1000, noon);
    assert_int_equal(pulls, 1);
    assert_int_equal(puller_step(p, 1001, noon), INT64_MAX); /* one at a time */
    assert_int_equal(puller_pulled(p, token + 1, HG_PULLED, SLICE_LIT(""), 1001, noon), ERR_SYNTAX);
    assert_int_equal(pulled(p, HG_PULLED, 1001, noon), ERR_OK);
    assert_int_equal(pulled(p, HG_PULLED, 1001, noon), ERR_SYNTAX); /* nobody asked again */
    (void)puller_step(p, 1001, noon);
    assert_int_equal(pulls, 2);
    int64_t now = 1001, last = 0;
    for (int i = 0; i < 8; i++) { /* nothing: it waits longer each time, up to RETRY_MAX */
        assert_int_equal(pulled(p, HG_PULL_NOTHING, now, noon), ERR_OK);
        int64_t wait = puller_step(p, now, noon) - now;
        assert_true(wait >= 75 && wait <= 1600 && (wait > last || wait >= 1200));
        last = wait;
        now += wait;
        (void)puller_step(p, now, noon);
    }
    assert_int_equal(pulls, 10);
    puller_emitted(p, 3, 1);
    assert_int_equal(p->counts.rows, 3);
    assert_int_equal(pulled(p, HG_PULL_NOTHING, now, noon), ERR_OK);
    assert_true(puller_step(p, now, noon) - now <= 100); /* from the beginning after rows */
    assert_int_equal(p->counts.runs, 1);
    puller_free(&p);
}

static void scheduled(void **state)
{
    (void)state;
    struct puller *p = make("1m");
    bring_up(p, 1000);
    (void)puller_step(p, 1000, noon);
    assert_int_equal(pulls, 1);
    assert_int_equal(pulled(p, HG_PULL_NOTHING, 6000, noon + 5000000), ERR_OK);
    assert_int_equal(puller_step(p, 6000, noon + 5000000), 61000); /* from the beginning of the run */
    assert_int_equal(p->next_wall_us, noon + 60000000);
    (void)puller_step(p, 61000, noon + 60000000);
    assert_int_equal(pulls, 2);
    assert_int_equal(pulled(p, HG_PULL_NOTHING, 200000, noon + 199000000), ERR_OK); /* took longer than EVERY */
    (void)puller_step(p, 200000, noon + 199000000);
    assert_int_equal(pulls, 3);
    assert_int_equal(p->counts.runs, 3);
    puller_free(&p);

    p = make("30 12 * * *");
    bring_up(p, 0);
    assert_int_equal(puller_step(p, 0, noon), 1800000);
    assert_int_equal(pulls, 0);
    assert_int_equal(puller_step(p, 10, noon + (int64_t)1799 * 1000000), 1010); /* the clock was set forward */
    (void)puller_step(p, 1010, noon + (int64_t)1800 * 1000000);
    assert_int_equal(pulls, 1);
    puller_free(&p);
}

static void crashes(void **state)
{
    (void)state;
    struct puller *p = make("");
    int64_t now = 0;
    bring_up(p, now);
    for (int i = 1; i < PULLER_CRASHES_MAX; i++) {
        puller_host_down(p, HOST_CRASHED, "crashed", now);
        assert_int_equal(p->state, PUSHER_RETRYING);
        int64_t wake = puller_step(p, now, noon);
        assert_true(wake > now && wake < INT64_MAX);
        now = wake;
        (void)puller_step(p, now, noon);
        puller_host_ready(p, now, noon);
    }
    assert_int_equal(starts, PULLER_CRASHES_MAX);
    puller_host_down(p, HOST_CRASHED, "crashed", now);
    assert_int_equal(p->state, PUSHER_BROKEN);
    assert_non_null(strstr(p->error, "5 times in a row"));
    assert_int_equal(puller_step(p, now + 1000000, noon), INT64_MAX);
    puller_pause(p, false, now); /* resume */
    (void)puller_step(p, now, noon);
    puller_host_ready(p, now, noon);
    for (int i = 0; i < 20; i++) { /* with progress each time it goes on for ever */
        puller_emitted(p, 1, 1);
        puller_host_down(p, HOST_CRASHED, "crashed", now);
        assert_int_equal(p->state, PUSHER_RETRYING);
        now = puller_step(p, now, noon);
        (void)puller_step(p, now, noon);
        puller_host_ready(p, now, noon);
    }
    puller_host_down(p, HOST_BROKEN, "no such thing", now);
    assert_int_equal(p->state, PUSHER_BROKEN);
    puller_free(&p);
}

static void waits_for_what_is_on_its_way(void **state)
{
    (void)state;
    struct puller *p = make("");
    bring_up(p, 0);
    p->emitting = true;
    puller_host_down(p, HOST_KILLED, "killed", 0);
    assert_int_equal(puller_step(p, 100000, noon), INT64_MAX);
    assert_int_equal(starts, 1);
    p->emitting = false;
    (void)puller_step(p, 100000, noon);
    assert_int_equal(starts, 2);
    puller_host_down(p, HOST_KILLED, "killed", 100000);
    puller_free(&p);
}

static void ends(void **state)
{
    (void)state;
    struct puller *p = make("");
    puller_want(p, true, 0);
    (void)puller_step(p, 0, noon);
    assert_int_equal(puller_step(p, 1, noon), 1500); /* open() has TIMEOUT */
    (void)puller_step(p, 1500, noon);
    (void)puller_step(p, 1501, noon);
    assert_int_equal(kills, 1);
    puller_host_down(p, HOST_DEADLINE, "late", 1501);
    int64_t now = puller_step(p, 1501, noon);
    (void)puller_step(p, now, noon);
    puller_host_ready(p, now, noon);
    puller_pause(p, true, now);
    assert_int_equal(stops, 1);
    puller_host_down(p, HOST_STOPPED, "stopped", now);
    assert_int_equal(p->state, PUSHER_PAUSED);
    assert_int_equal(puller_step(p, now, noon), INT64_MAX);
    puller_stop(p);
    puller_pause(p, false, now);
    assert_int_equal(puller_step(p, now, noon), INT64_MAX);
    puller_free(&p);
}

/* --- the file --- */

static void position_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/position-XXXXXX", path[64];
    struct position p = {.journal = UINT64_C(0x123456789AB), .paused = true, .len = 5, .bytes = "a\0b\nc"}, read = {0};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/position", dir);
    assert_int_equal(position_read(dir, &read, NULL), ERR_NOTFOUND);
    assert_int_equal(position_write(dir, &p, NULL), ERR_OK);
    assert_int_equal(position_read(dir, &read, NULL), ERR_OK);
    assert_memory_equal(&p, &read, sizeof p);
    p.len = POSITION_MAX;
    assert_int_equal(position_write(dir, &p, NULL), ERR_OK);
    assert_int_equal(position_read(dir, &read, NULL), ERR_OK);
    assert_int_equal(read.len, POSITION_MAX);
    p.len = 3;
    assert_int_equal(position_write(dir, &p, NULL), ERR_OK);
    for (off_t i = 0; i < 31; i++) { /* any byte that changes, any length that is another */
        char byte;
        int fd = open(path, O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, i), 1);
        byte ^= 0x40;
        assert_int_equal(pwrite(fd, &byte, 1, i), 1);
        int code = position_read(dir, &read, NULL);
        assert_true(code == ERR_DAMAGED || (code == ERR_VERSION && i >= 4 && i < 8));
        byte ^= 0x40;
        assert_int_equal(pwrite(fd, &byte, 1, i), 1);
        close(fd);
    }
    assert_int_equal(position_read(dir, &read, NULL), ERR_OK);
    assert_int_equal(truncate(path, 30), 0);
    assert_int_equal(position_read(dir, &read, NULL), ERR_DAMAGED);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(continuous), cmocka_unit_test(scheduled),
        cmocka_unit_test(crashes),    cmocka_unit_test(waits_for_what_is_on_its_way),
        cmocka_unit_test(ends),       cmocka_unit_test(position_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
