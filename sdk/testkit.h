/* testkit.h - drives a pusher or a processor from plain C or cmocka, without a daemon.
 *
 * Copy testkit*.h and testkit*.c beside your test, or compile them where they are; they need libc only. The kit is what
 * headgate-host is to a plugin: it checks and fills the options, hands out rows, takes verdicts, keeps the durable
 * state. In short:
 *
 *     struct testkit *kit = testkit_load("build/plugins/mine.so");       or testkit_link(hg_plugin)
 *     testkit_set(kit, "URL", "http://127.0.0.1:8000/");
 *     assert(testkit_start(kit) == HG_OPEN_OK);                          start() and open()
 *     testkit_rows(kit, "{\"uuid\":\"u1\",\"rows\":[{\"data\":{\"a\":1}},{\"data\":{\"a\":2}}]}");
 *     assert(testkit_push(kit, 0, 2) == HG_ALL_OK);
 *     assert(testkit_verdict(kit, 1) == HG_OK);
 *     testkit_stop(kit);                                                 close() and stop()
 *     testkit_free(&kit);
 *
 * Rows stay in the kit and keep their ids, so the same ones can be pushed again: after testkit_stop(), with an older
 * state put back, testkit_start() and the same testkit_push() are what a plugin meets after a crash.
 *
 * One thread. The plugin may call log, count, time_left, stopping, wait and settle from others. Texts that are returned
 * belong to the kit and hold until the next call that changes them. */
#ifndef HG_TESTKIT_H
#define HG_TESTKIT_H

#include "headgate.h"

#ifdef __cplusplus
extern "C" {
#endif

struct testkit;

/* NULL when there is no memory, or when the file is no plugin of this ABI (said on stderr). */
struct testkit *testkit_load(const char *path);
struct testkit *testkit_link(const struct hg_plugin *(*entry)(void));
void testkit_free(struct testkit **kit); /* stops it first; unloads the plugin */

/* Why the last call failed, or what the plugin gave to fail(); "" when nothing did. */
const char *testkit_fault(const struct testkit *kit);

/* An option as it would be written in the settings; NULL unsets it. Before testkit_start(). */
void testkit_set(struct testkit *kit, const char *name, const char *value);

/* enum hg_open_result; HG_OPEN_BROKEN also when an option is missing or wrong. */
int testkit_start(struct testkit *kit);
void testkit_stop(struct testkit *kit);

/* Rows: a row set as it would be posted, {"uuid","row"|"rows"[,"tags"]}. Returns how many rows it added; 0 with a fault
 * when the text is no row set. The rows are numbered on: the first of the first set is 0. */
size_t testkit_rows(struct testkit *kit, const char *json);
size_t testkit_row_count(const struct testkit *kit);
const char *testkit_row_id(const struct testkit *kit, size_t row);

/* Of row sets added from now on. Begins with 1769860800000000 (2026-01-31T12:00:00Z) and "". */
void testkit_received(struct testkit *kit, int64_t microseconds);
void testkit_client(struct testkit *kit, const char *client);

/* Of pushes from now on. Begins with HG_LIVE, 1. */
void testkit_origin(struct testkit *kit, uint32_t origin);
void testkit_attempt(struct testkit *kit, uint32_t attempt);

/* Pushes `count` rows from `first` on; what push() returned. */
int testkit_push(struct testkit *kit, size_t first, size_t count);

/* Rows through a processor, as testkit_push(): what process() returned. A row's verdict is HG_OK where it goes on. Its
 * data and a tag (NULL: none of that name) as the processor left them. Provisional, as processors are. */
int testkit_process(struct testkit *kit, size_t first, size_t count);
const char *testkit_data(const struct testkit *kit, size_t row);
const char *testkit_tag(const struct testkit *kit, size_t row, const char *name);

/* flush(), probe(), reopen(); 0 when the plugin has none. */
int testkit_flush(struct testkit *kit);
int testkit_probe(struct testkit *kit);
int testkit_reopen(struct testkit *kit);

/* Rows of the last push that were judged HG_LATER: wait up to `ms` of real time until all are settled; 1, or 0 when
 * some are not. testkit_overdue() is the end of TIMEOUT instead: what is not settled comes again, what is settled after
 * it comes too late. The next push, and testkit_stop(), do the same first. */
int testkit_await(struct testkit *kit, int64_t ms);
void testkit_overdue(struct testkit *kit);

/* What came of the last push, as the host would take it. A row's verdict is of enum hg_verdict (HG_LATER while it is
 * not settled), or 0: comes again, nothing was decided. */
uint32_t testkit_verdict(const struct testkit *kit, size_t row);
const char *testkit_reason(const struct testkit *kit, size_t row); /* "" when none was given */
int64_t testkit_after(const struct testkit *kit, size_t row);
const char *testkit_push_reason(const struct testkit *kit); /* of not_now() */
int64_t testkit_push_after(const struct testkit *kit);
size_t testkit_forgotten(const struct testkit *kit); /* rows left without a verdict although HG_JUDGED was returned */

/* Durable state, as of the last push that set one. NULL and 0: none. */
const void *testkit_state(const struct testkit *kit, size_t *len);
void testkit_state_put(struct testkit *kit, const void *state, size_t len);

/* settled() is true for rows before this one from now on. Begins with 0: for none. */
void testkit_settle(struct testkit *kit, size_t row);

/* The clock is the test's. What time_left() says at the beginning of each push (30000 until set); wait() does not
 * sleep, it only takes from it. What all wait() since testkit_start() came to. */
void testkit_time_left(struct testkit *kit, int64_t ms);
int64_t testkit_waited(const struct testkit *kit);
void testkit_stopping(struct testkit *kit, int stopping);

/* Lines logged since testkit_start(), from 0 on (at most 1000 are kept); NULL beyond. A counter; 0 when never counted.
 */
const char *testkit_log(const struct testkit *kit, size_t n, uint32_t *level);
uint64_t testkit_counter(const struct testkit *kit, const char *name);

#ifdef __cplusplus
}
#endif

#endif
