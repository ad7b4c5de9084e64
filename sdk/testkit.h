/* testkit.h - drives a pusher, a processor or a puller from plain C or cmocka, without a daemon.
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

/* Rows through a processor, as testkit_push(): what process() returned. A row's verdict is HG_OK where it goes on.
 * Provisional, as processors are. */
int testkit_process(struct testkit *kit, size_t first, size_t count);

/* A row's data and one of its tags (NULL: none of that name) as the processor left them, or as the puller emitted them.
 * Of what a puller emitted also the uuid and the index (-1: none). "" and -1 for a row that is not there. */
const char *testkit_data(const struct testkit *kit, size_t row);
const char *testkit_tag(const struct testkit *kit, size_t row, const char *name);
const char *testkit_uuid(const struct testkit *kit, size_t row);
int64_t testkit_index(const struct testkit *kit, size_t row);

/* --- pullers (provisional, as they are) ---
 *
 * What is emitted becomes the kit's rows, one behind the other: testkit_row_count() is how many are durable. The
 * position is the durable state: testkit_state(), testkit_state_put(). notify() is called from inside emit() and after
 * open(), as the host does it. After a crash in the middle: testkit_stop(), testkit_state_put() an older position,
 * testkit_start().
 *
 * emit() refuses what breaks the rules, with the pointer of the fault; but it is looser than the daemon, which also
 * looks into nested values, numbers and texts. */

/* pull() once. enum hg_pull_result; 0: not started, no puller, or it returned what is no result. testkit_fault() is
 * what it gave to fail() meanwhile. */
int testkit_pull(struct testkit *kit);
/* As the host does for one run: again for as long as it returns HG_PULLED, `most` times at most; what the last one
 * returned. */
int testkit_run(struct testkit *kit, size_t most);

/* Rows that the position lies behind: those after it would come again after a crash. */
size_t testkit_placed(const struct testkit *kit);
size_t testkit_notified(const struct testkit *kit); /* calls of notify() since testkit_start() */
/* True: notify() is not called any more, as when the process ends between emit() and it. */
void testkit_unnotified(struct testkit *kit, int unnotified);

/* The next `times` emissions are answered with this of enum hg_emit_result, and nothing of them is taken. A refusal is
 * of no set in particular. */
void testkit_emit_fails(struct testkit *kit, size_t times, int result, const char *reason);
/* No rows can be taken until emit() has waited for so long; -1: for good; 0: from now on they can. An emission that may
 * wait for ever (wait_ms -1) then ends with the host's stop, so that stopping() is 1 after it. */
void testkit_full(struct testkit *kit, int64_t ms);
/* An emission of more rows is refused as a whole. Begins with 100000, as http.max_rows does. */
void testkit_emit_most(struct testkit *kit, size_t rows);

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
/* stopping() becomes 1, and a wait() is interrupted, when all waiting has come to so many milliseconds from now on: for
 * what runs on until the host stops. */
void testkit_stop_after(struct testkit *kit, int64_t ms);

/* Lines logged since testkit_start(), from 0 on (at most 1000 are kept); NULL beyond. A counter; 0 when never counted.
 */
const char *testkit_log(const struct testkit *kit, size_t n, uint32_t *level);
uint64_t testkit_counter(const struct testkit *kit, const char *name);

#ifdef __cplusplus
}
#endif

#endif
