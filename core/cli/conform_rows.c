/* Items about rows: good, bad, repeated, hostile; the far end down; several workers. */
#include "cli/conform.h"

#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 1000, SOME = 20, GRACE_MS = 2000, KILLS = 5, LANES = 4, LANE_ROWS = 50, LANE_ROUNDS = 5, TEXT = 200000 };

static bool needs_good(struct conform *c)
{
    return c->good != NULL || conform_skip(c, "check.ini has no [rows] good");
}

/* --- good and bad --- */

static void item_good(struct conform *c)
{
    if (!needs_good(c))
        return;
    size_t one = conform_rows(c, c->good, 1), many = conform_rows(c, c->good, MANY);
    if (many >= c->tape.count || !conform_begin(c, &c->solo))
        return;
    int64_t before = conform_count(c);
    if (!conform_deliver(c, &c->solo, one, 1, 1) || !conform_deliver(c, &c->solo, many, MANY, 1) ||
        !conform_end(c, &c->solo))
        return;
    (void)conform_grew(c, before, MANY + 1, "after 1001 rows");
}

static void item_bad(struct conform *c)
{
    if (!needs_good(c))
        return;
    if (c->bad == NULL) {
        (void)conform_skip(c, "check.ini has no [rows] bad (a row that can never be taken)");
        return;
    }
    size_t first = conform_rows(c, c->good, 2), bad = conform_rows(c, c->bad, 1), last = conform_rows(c, c->good, 2);
    if (last >= c->tape.count || bad >= c->tape.count || !conform_begin(c, &c->solo))
        return;
    for (int tries = 0; tries < SOME; tries++) {
        if (!conform_push(c, &c->solo, first, NULL, 5, 1))
            return;
        if (c->push.result != HG_NOT_NOW)
            break;
    }
    const struct solo_row *row = &c->push.rows[2];
    const char *mend = "HG_REJECT for this row alone, with the far end's words; send a refused lot in halves";
    if (row->verdict != HG_REJECT && row->verdict != HG_SKIP)
        (void)conform_fail(c, mend, "the bad row was not refused: its verdict is %u, the call returned %u: %s",
                           row->verdict, c->push.result, c->push.reason);
    for (uint32_t i = 0; i < 5; i++)
        if (i != 2 && c->push.rows[i].verdict != HG_OK && c->push.rows[i].verdict != HG_DUPLICATE)
            (void)conform_fail(c, mend, "a good row beside a bad one was not delivered: %s", c->push.rows[i].reason);
    if (row->verdict == HG_REJECT && row->reason[0] == '\0')
        (void)conform_fail(c, mend, "the bad row was refused without a reason");
    (void)conform_end(c, &c->solo);
}

/* --- again --- */

static void item_repeat(struct conform *c)
{
    if (!needs_good(c))
        return;
    size_t first = conform_rows(c, c->good, SOME);
    int64_t before = conform_count(c);
    if (first >= c->tape.count || !conform_begin(c, &c->solo) || !conform_deliver(c, &c->solo, first, SOME, 1) ||
        !conform_end(c, &c->solo))
        return;
    if (!conform_begin(c, &c->solo) || !conform_deliver(c, &c->solo, first, SOME, 2) || !conform_end(c, &c->solo))
        return;
    (void)conform_grew(c, before, SOME, "after 20 rows that were pushed twice (as after a crash)");
}

static void item_kill(struct conform *c)
{
    if (!needs_good(c))
        return;
    size_t first = conform_rows(c, c->good, SOME);
    int64_t before = conform_count(c);
    for (int i = 0; i < KILLS; i++) {
        if (first >= c->tape.count || !conform_begin(c, &c->solo))
            return;
        if (solo_hand(&c->solo, 0, &c->tape, first, NULL, SOME, 1, &c->push) != ERR_OK ||
            solo_taken(&c->solo, 0, GRACE_MS) != SOLO_OK) {
            (void)conform_lost(c, &c->solo, solo_end(&c->solo, GRACE_MS), "in push()");
            return;
        }
        solo_kill(&c->solo);
    }
    if (!conform_begin(c, &c->solo) || !conform_deliver(c, &c->solo, first, SOME, 2) || !conform_end(c, &c->solo))
        return;
    (void)conform_grew(c, before, SOME, "after 20 rows whose pushes were killed");
}

/* --- whatever a row may hold --- */

static const char *const hostile_rows[] = {
    "{}",
    "{\"a\":null}",
    "{\"a\":\"\",\"b\":\" \",\"c\":\"\\t\\r\\n\"}",
    "{\"a\":[],\"b\":{},\"c\":[[[[[[[[[[]]]]]]]]]],\"d\":{\"e\":{\"f\":{\"g\":{\"h\":[1,\"2\",null,true]}}}}}",
    ("{\"a\":9223372036854775807,\"b\":-9223372036854775808,\"c\":1e308,\"d\":-0.0,"
     "\"e\":0.1000000000000000055511151231257827021181583404541015625,\"f\":5e-324}"),
    "{\"a\":\"'; DROP TABLE rows; --\",\"b\":\"\\\" OR \\\"\\\"=\\\"\",\"c\":\"`id`\",\"d\":\"$(id) ${HOME} %HOME%\"}",
    "{\"a\":\"%s%s%s%n%n%d%x\",\"b\":\"{0}{a}{{}}\",\"c\":\"<script>alert(1)</script>\",\"d\":\"&amp;<![CDATA[\"}",
    "{\"a\":\"../../../../etc/passwd\",\"b\":\"/dev/zero\",\"c\":\"C:\\\\con\",\"d\":\"file:///etc/shadow\"}",
    "{\"a\":\"\\ud83d\\ude00 \\u202e abc \\u00e9e\\u0301 \\ufeff\",\"b\":\"\xF0\x9F\x98\x80 \xE2\x80\xAE \xC3\xA9\"}",
    "{\"a\":\"\\u0001\\u001b[31m\\u007f\\u0085\",\"b\":\"a\\u2028b\\u2029c\"}",
    "{\"\":1,\" \":2,\"a b\":3,\"a.b\":4,\"a\\\"b\":5,\"__proto__\":6,\"select\":7,\"\xC3\xA4\":8}",
    "{\"id\":\"mine\",\"uuid\":7,\"index\":[],\"row\":{},\"rows\":null,\"data\":\"data\",\"received\":\"never\"}",
};

/* A key's length that is allowed, a text that is long, many keys, all as one document of a kind. */
static void hostile_large(struct buf *out, int kind)
{
    (void)!buf_adds(out, "{");
    if (kind == 0) {
        (void)!buf_adds(out, "\"a\":\"");
        for (int i = 0; i < TEXT; i++)
            (void)!buf_addc(out, (char)('a' + i % 26));
        (void)!buf_adds(out, "\"");
    } else if (kind == 1) {
        for (int i = 0; i < MANY; i++)
            (void)!buf_addf(out, "%s\"key%d\":%d", i == 0 ? "" : ",", i, i);
    } else {
        (void)!buf_adds(out, "\"");
        for (int i = 0; i < 256; i++)
            (void)!buf_addc(out, 'k');
        (void)!buf_adds(out, "\":1");
    }
    (void)!buf_adds(out, "}");
}

/* The good row with one value replaced: what a field of another type does. */
static bool hostile_change(struct conform *c, size_t key, const char *value, struct buf *out)
{
    struct json_field field;
    size_t at = 0, n = 0;
    bool found = false;
    buf_clear(out);
    (void)!buf_adds(out, "{");
    while (json_next(slice_of(c->good), &at, &field)) {
        found = found || n == key;
        (void)!buf_addf(out, "%s\"" SLICE_FMT "\":" SLICE_FMT, n == 0 ? "" : ",", SLICE_ARG(field.key),
                        SLICE_ARG(n == key ? slice_of(value) : field.value));
        n++;
    }
    (void)!buf_adds(out, "}");
    return found;
}

/* It must be decided, one way or the other. */
static bool hostile_push(struct conform *c, const char *data)
{
    size_t row = conform_rows(c, data, 1);
    char what[200];
    snprintf(what, sizeof what, "%.180s", data);
    if (row >= c->tape.count)
        return false;
    for (int tries = 0; tries < SOME; tries++) {
        if (!conform_push(c, &c->solo, row, NULL, 1, 1)) {
            size_t len = strlen(c->finding->text);
            snprintf(c->finding->text + len, sizeof c->finding->text - len, "; the row was %s", what);
            return false;
        }
        if (c->push.rows[0].verdict != 0 && c->push.rows[0].verdict != HG_RETRY)
            return true;
    }
    return conform_fail(c, "HG_REJECT with a reason, when it is the row that cannot be taken",
                        "this row comes again for ever, and all behind it wait: %s (%s)", what,
                        c->push.reason[0] != '\0' ? c->push.reason : c->push.rows[0].reason);
}

static bool hostile_all(struct conform *c, struct buf *text)
{
    static const char *const values[] = {
        "null", "-1.5e300", "\"\"", "[1,{\"a\":[]}]", "{\"a\":{}}", "true", "\"\\\"'\\\\\xE2\x82\xAC\""};
    bool good = true;
    for (size_t i = 0; good && i < COUNT_OF(hostile_rows); i++)
        good = hostile_push(c, hostile_rows[i]);
    for (int kind = 0; good && kind < 3; kind++) {
        buf_clear(text);
        hostile_large(text, kind);
        good = hostile_push(c, buf_str(text));
    }
    for (size_t key = 0; good && key < SOME; key++)
        for (size_t v = 0; good && v < COUNT_OF(values) && hostile_change(c, key, values[v], text); v++)
            good = hostile_push(c, buf_str(text));
    return good;
}

static void item_hostile(struct conform *c)
{
    struct buf text;
    if (!needs_good(c) || !conform_begin(c, &c->solo))
        return;
    buf_init(&text, 4 << 20);
    bool good = hostile_all(c, &text);
    buf_free(&text);
    size_t set = good ? conform_set(c, "{\"uuid\":\"\\\"\\\\ ../%s \xE2\x82\xAC\",\"tags\":{\"site\":\"a=b, c'd\\\"\"},"
                                       "\"rows\":[{\"index\":9007199254740991,\"data\":{}},{\"data\":{}}]}")
                      : c->tape.count;
    size_t after = good ? conform_rows(c, c->good, 3) : c->tape.count;
    if (set >= c->tape.count || after >= c->tape.count || !conform_push(c, &c->solo, set, NULL, 2, 1))
        return;
    if (conform_deliver(c, &c->solo, after, 3, 1))
        (void)conform_end(c, &c->solo);
}

/* --- the far end goes away --- */

static bool down_judge(struct conform *c)
{
    const char *mend = "return api->not_now(rows, 0, why) for everything that is not the row's own fault";
    for (uint32_t i = 0; i < c->push.count; i++) {
        const struct solo_row *row = &c->push.rows[i];
        if (row->verdict == HG_REJECT || row->verdict == HG_SKIP)
            return conform_fail(c, mend, "while the far end was down a good row was %s: %s",
                                row->verdict == HG_SKIP ? "skipped" : "refused", row->reason);
        if (row->verdict == HG_OK || row->verdict == HG_DUPLICATE)
            return conform_fail(c, "say OK only when the far end has confirmed the row",
                                "while the far end was down it said that a row was delivered");
        if (row->verdict == HG_RETRY && !row->unjudged)
            return conform_fail(c, mend,
                                "while the far end was down rows were judged HG_RETRY, each to be tried alone: %s",
                                row->reason);
    }
    return c->push.reason[0] != '\0' || conform_fail(c, mend, "it said not now, and did not say why");
}

static void down_run(struct conform *c)
{
    size_t first = conform_rows(c, c->good, 6);
    int64_t before = conform_count(c);
    if (first >= c->tape.count || !conform_begin(c, &c->solo) || !conform_deliver(c, &c->solo, first, 1, 1) ||
        !conform_far(c, c->down))
        return;
    bool good = true;
    for (int i = 0; good && i < 3; i++)
        good = conform_push(c, &c->solo, first + 1, NULL, 5, 1) && down_judge(c);
    if (!conform_far(c, c->up) || !good || !conform_deliver(c, &c->solo, first + 1, 5, 2) || !conform_end(c, &c->solo))
        return;
    if (conform_count(c) >= before + 5) /* the first row may have gone with the far end */
        return;
    (void)conform_grew(c, before, 6, "after an outage");
}

static void item_down(struct conform *c)
{
    if (!needs_good(c))
        return;
    if (c->down == NULL || c->up == NULL) {
        (void)conform_skip(c, "check.ini has no [far] up and down");
        return;
    }
    down_run(c);
    (void)conform_far(c, c->up);
}

/* --- several workers --- */

static bool parallel_round(struct conform *c, uint32_t lanes)
{
    static struct solo_push pushes[LANES];
    struct solo *s = &c->solo;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        size_t first = conform_rows(c, c->good, LANE_ROWS);
        if (first >= c->tape.count ||
            solo_hand(s, (uint16_t)lane, &c->tape, first, NULL, LANE_ROWS, 1, &pushes[lane]) != ERR_OK)
            return conform_lost(c, s, solo_end(s, GRACE_MS), "with several workers");
    }
    for (uint32_t lane = 0; lane < lanes; lane++) {
        enum solo_wait wait = solo_done(s, (uint16_t)lane, c->timeout_ms + GRACE_MS);
        if (wait != SOLO_OK)
            return conform_lost(c, s, wait, "with several workers at once");
        conform_watch(c, &pushes[lane]);
        for (uint32_t i = 0; i < pushes[lane].count; i++)
            if (pushes[lane].rows[i].verdict == HG_REJECT || pushes[lane].rows[i].verdict == HG_SKIP)
                return conform_fail(
                    c, "one state for each worker (open); nothing static without a lock; else max_parallel 1",
                    "with several workers a good row was refused: %s", pushes[lane].rows[i].reason);
    }
    return true;
}

static void item_parallel(struct conform *c)
{
    struct err e = {.text = ""};
    uint32_t most = c->subject.about.max_parallel;
    uint32_t lanes = most == 0 || most > LANES ? LANES : most;
    if (!needs_good(c) || lanes == 1)
        return;
    conform_prepare(c, &c->solo);
    c->solo.setup.workers = lanes;
    if (solo_start(&c->solo, &e) != ERR_OK ||
        !conform_lost(c, &c->solo, solo_ready(&c->solo, c->timeout_ms + GRACE_MS), "in open(), with several workers"))
        return;
    for (int i = 0; i < LANE_ROUNDS; i++)
        if (!parallel_round(c, lanes))
            return;
    (void)conform_end(c, &c->solo);
}

/* --- what was seen in all of them --- */

static void item_order(struct conform *c)
{
    if (c->watch.order[0] != '\0')
        (void)conform_fail(c, "stop at the first row of a uuid that fails, or judge its later rows HG_RETRY too", "%s",
                           c->watch.order);
}

static void item_verdicts(struct conform *c)
{
    const struct watch *w = &c->watch;
    if (w->bad_result[0] != '\0')
        (void)conform_fail(c, "return HG_ALL_OK, HG_JUDGED or HG_NOT_NOW", "%s", w->bad_result);
    else if (w->wild[0] != '\0')
        (void)conform_fail(c, "verdicts are those of enum hg_verdict, rows count from 0", "%s", w->wild);
    else if (w->forgotten[0] != '\0')
        (void)conform_fail(c, "judge each row, or return HG_ALL_OK", "%s", w->forgotten);
    else if (w->no_reason[0] != '\0')
        (void)conform_fail(c, "say why, in the far end's words", "%s", w->no_reason);
}

void conform_rows_in(struct conform *c, enum item_id id)
{
    static void (*const items[ITEM_COUNT])(struct conform *) = {
        [ITEM_GOOD] = item_good,         [ITEM_BAD] = item_bad,         [ITEM_REPEAT] = item_repeat,
        [ITEM_KILL] = item_kill,         [ITEM_HOSTILE] = item_hostile, [ITEM_DOWN] = item_down,
        [ITEM_PARALLEL] = item_parallel, [ITEM_ORDER] = item_order,     [ITEM_VERDICTS] = item_verdicts,
    };
    items[id](c);
}
