/* A real headgate-host, played the daemon to: what verdicts and results become, lists, state, what the api answers. */
#include "hosted.h"

#include "base/hash.h"
#include "headgate.h"
#include "journal/record.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* A host of chaos in MODE with three row sets: aaa 0..3, bbb 4..7 with the key `odd`, aaa 8..11. */
struct fixture {
    struct hosted h;
    struct maker m;
    uint64_t at[3];
    struct wire_hand hand;
    struct wire_taken taken;
};

static void begin_with(struct fixture *f, const char *plugin, const char *mode)
{
    maker_open(&f->m, 8 << 20);
    f->at[0] = maker_set(&f->m, "aaa", 4, 0, 10, NULL);
    f->at[1] = maker_set(&f->m, "bbb", 4, 4, 10, "odd");
    f->at[2] = maker_set(&f->m, "aaa", 4, 8, 10, NULL);
    hosted_init(&f->h, plugin);
    hosted_set(&f->h, "MODE", mode);
    hosted_set(&f->h, "MATCH", "odd");
    f->hand = hosted_range(&f->m, 42);
}

static void begin(struct fixture *f, const char *mode)
{
    begin_with(f, "chaos", mode);
    hosted_ready(&f->h);
    hosted_segment(&f->h, &f->m, STORE_JOURNAL);
}

static void push(struct fixture *f)
{
    hosted_push(&f->h, &f->hand, NULL, &f->taken);
}

static void end(struct fixture *f)
{
    hosted_stop(&f->h);
    hosted_fini(&f->h);
    maker_close(&f->m);
}

static void expect_row(const struct fixture *f, uint32_t n, uint64_t position, uint32_t row, uint32_t verdict)
{
    assert_true(n < f->h.row_count);
    assert_int_equal(f->h.rows[n].place.position, position);
    assert_int_equal(f->h.rows[n].place.row, row);
    assert_int_equal(f->h.rows[n].verdict, verdict);
}

static void expect_reason(const struct fixture *f, const char *reason)
{
    assert_int_equal(f->h.m.done.reason, strlen(reason));
    assert_memory_equal(f->h.m.bytes + sizeof f->h.m.done + f->h.m.done.state, reason, strlen(reason));
}

static void some_rows_again(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "retry");
    push(&f);
    assert_int_equal(f.h.m.done.result, HG_ALL_OK);
    assert_int_equal(f.h.m.done.delivered, 8);
    assert_int_equal(f.h.m.done.listed, 4);
    for (uint32_t i = 0; i < 4; i++) {
        expect_row(&f, i, f.at[1], i, HG_RETRY);
        assert_int_equal(f.h.rows[i].after_ms, 50);
        assert_int_equal(f.h.rows[i].uuid_hash, hash_bytes(slice_of("bbb")));
        assert_int_equal(f.h.rows[i].unjudged, 0);
        assert_string_equal(f.h.reasons[i], "try again");
    }
    end(&f);
}

static void refused_and_skipped(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "reject");
    push(&f);
    assert_int_equal(f.h.m.done.delivered, 8);
    expect_row(&f, 0, f.at[1], 0, HG_REJECT);
    assert_string_equal(f.h.reasons[3], "not this one");
    end(&f);

    begin(&f, "skip");
    push(&f);
    assert_int_equal(f.h.m.done.delivered, 8);
    expect_row(&f, 0, f.at[1], 0, HG_DUPLICATE);
    expect_row(&f, 1, f.at[1], 1, HG_SKIP);
    end(&f);
}

static void the_first_verdict_counts(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "twice");
    push(&f);
    assert_int_equal(f.h.m.done.delivered, 12);
    assert_int_equal(f.h.m.done.listed, 0);
    end(&f);
}

static void forgotten_rows_come_again(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "forgets");
    push(&f);
    assert_int_equal(f.h.m.done.result, HG_JUDGED);
    assert_int_equal(f.h.m.done.delivered, 8);
    assert_int_equal(f.h.m.done.listed, 4);
    expect_row(&f, 2, f.at[1], 2, HG_RETRY);
    assert_int_equal(f.h.rows[2].unjudged, 1);
    end(&f);
}

static void wild_verdicts_do_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "wild");
    push(&f);
    assert_int_equal(f.h.m.done.delivered, 12);
    assert_int_equal(f.h.m.done.listed, 0);
    hosted_logged(&f.h, "2 verdicts that are none");
    end(&f);
}

static void not_now_names_what_was_delivered(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "notnow");
    hosted_touch(f.h.gate);
    push(&f);
    assert_int_equal(f.h.m.done.result, HG_NOT_NOW);
    assert_int_equal(f.h.m.done.bad_result, 0);
    assert_int_equal(f.h.m.done.rows, 12);
    assert_int_equal(f.h.m.done.delivered, 0);
    assert_int_equal(f.h.m.done.listed, 0);
    assert_int_equal(f.h.m.done.after_ms, 100);
    expect_reason(&f, "503 Service Unavailable");
    unlink(f.h.gate);
    push(&f);
    assert_int_equal(f.h.m.done.delivered, 12);
    assert_int_equal(f.h.m.done.after_ms, 0);
    expect_reason(&f, "");
    end(&f);

    begin(&f, "partnow");
    hosted_touch(f.h.gate);
    push(&f);
    assert_int_equal(f.h.m.done.result, HG_NOT_NOW);
    assert_int_equal(f.h.m.done.delivered, 4);
    assert_int_equal(f.h.m.done.listed, 12); /* some were judged: every row is named */
    for (uint32_t i = 0; i < 4; i++) {
        expect_row(&f, i, f.at[0], i, HG_OK);
        expect_row(&f, 4 + i, f.at[1], i, HG_RETRY);
        assert_int_equal(f.h.rows[i].unjudged, 0);
        assert_int_equal(f.h.rows[4 + i].unjudged, 1);
    }
    end(&f);
}

static void other_results_are_not_now(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "odd");
    push(&f);
    assert_int_equal(f.h.m.done.result, HG_NOT_NOW);
    assert_int_equal(f.h.m.done.bad_result, 1);
    assert_int_equal(f.h.m.done.listed, 12); /* judged OK before */
    expect_reason(&f, "push() returned 77, which is no result");
    end(&f);
    begin(&f, "zero");
    push(&f);
    assert_int_equal(f.h.m.done.result, HG_NOT_NOW);
    assert_int_equal(f.h.m.done.bad_result, 1);
    end(&f);
}

/* The daemon goes through what is listed from the front: held rows stand in their place. */
static void listed_in_the_order_of_the_range(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "reject");
    uint64_t position = maker_set(&f.m, "ccc", 2, 12, 4, "odd");
    const uint64_t held = hash_bytes(slice_of("aaa"));
    f.hand.limit = f.m.at;
    f.hand.held = 1;
    hosted_push(&f.h, &f.hand, &held, &f.taken);
    assert_int_equal(f.taken.rows, 6);
    assert_int_equal(f.h.m.done.listed, 14);
    for (uint32_t i = 0; i < 4; i++) {
        expect_row(&f, i, f.at[0], i, VERDICT_HELD);
        expect_row(&f, 4 + i, f.at[1], i, HG_REJECT);
        expect_row(&f, 8 + i, f.at[2], i, VERDICT_HELD);
    }
    expect_row(&f, 12, position, 0, HG_REJECT);
    end(&f);
}

/* So many verdicts that they take several messages. */
static void many_verdicts(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "reject");
    uint64_t position = maker_set(&f.m, "ccc", 5000, 12, 4, "odd");
    f.hand.limit = f.m.at;
    push(&f);
    assert_int_equal(f.h.m.done.delivered, 8);
    assert_int_equal(f.h.m.done.listed, 5004);
    for (uint32_t i = 0; i < 5000; i++) {
        expect_row(&f, 4 + i, position, i, HG_REJECT);
        assert_string_equal(f.h.reasons[4 + i], "not this one");
    }
    end(&f);
}

/* --- lists --- */

static struct wire_item item(const struct maker *m, uint32_t store, uint64_t position, uint32_t row, uint32_t attempt)
{
    return (struct wire_item){
        .store = store, .attempt = attempt, .base = m->base, .place = {.position = position, .row = row}};
}

static struct wire_hand list_of(uint64_t token, uint32_t items)
{
    return (struct wire_hand){.head = {.magic = WIRE_MAGIC, .type = WIRE_HAND, .token = token},
                              .kind = HAND_LIST,
                              .items = items,
                              .timeout_ms = 1000};
}

static void single_rows_in_the_order_of_the_list(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "good");
    const struct wire_item items[] = {
        item(&f.m, STORE_JOURNAL, f.at[2], 1, 3),     item(&f.m, STORE_JOURNAL, f.at[0], 2, 1),
        item(&f.m, STORE_JOURNAL, f.at[0], 9, 2),     /* not in this record */
        item(&f.m, STORE_JOURNAL, f.at[1] + 8, 0, 2), /* no record */
        item(&f.m, STORE_JOURNAL, f.at[1], 3, 2),
    };
    struct wire_hand hand = list_of(7, 5);
    hosted_push(&f.h, &hand, items, &f.taken);
    assert_int_equal(f.taken.rows, 3);
    assert_int_equal(f.taken.first.position, f.at[2]);
    assert_int_equal(f.h.m.done.delivered, 3);
    assert_int_equal(f.h.m.done.listed, 2);
    expect_row(&f, 0, f.at[0], 9, VERDICT_LOST);
    expect_row(&f, 1, f.at[1] + 8, 0, VERDICT_LOST);
    char *text = hosted_written(&f.h);
    char *a = strstr(text, " 3 2 aaa 1 {\"n\":9"), *b = strstr(text, " 1 1 aaa 2 {\"n\":2"),
         *c = strstr(text, " 2 2 bbb 3. {\"odd\":true,\"n\":7");
    assert_true(a != NULL && b > a && c > b);
    free(text);
    end(&f);
}

/* The daemon lends every file there is: a row of another is gone. */
static void a_list_without_its_file(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "good");
    struct wire_item one = item(&f.m, STORE_ASIDE, 4096, 0, 2);
    struct wire_hand hand = list_of(7, 1);
    hosted_push(&f.h, &hand, &one, &f.taken);
    assert_int_equal(f.taken.rows, 0);
    assert_int_equal(f.h.m.done.listed, 1);
    expect_row(&f, 0, 4096, 0, VERDICT_LOST);
    assert_int_equal(f.h.rows[0].store, STORE_ASIDE);
    end(&f);
}

/* A row that was written behind what a list read before is found all the same. */
static void a_list_sees_the_file_grow(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "good");
    struct wire_item one = item(&f.m, STORE_JOURNAL, f.at[2], 0, 2);
    struct wire_hand hand = list_of(7, 1);
    assert_int_equal(ftruncate(f.m.fd, 1 << 20), 0); /* prepared ahead with zeros, as the journal does */
    hosted_push(&f.h, &hand, &one, NULL);
    assert_int_equal(f.h.m.done.delivered, 1);
    one.place.position = maker_set(&f.m, "aaa", 1, 12, 10, NULL);
    hosted_push(&f.h, &hand, &one, NULL);
    assert_int_equal(f.h.m.done.delivered, 1);
    end(&f);
}

/* A row set aside keeps the id it had. */
static void rows_set_aside(void **state)
{
    (void)state;
    struct fixture f;
    struct maker aside;
    struct buf context;
    char id[ROW_ID_LEN + 1];
    begin(&f, "good");
    maker_open(&aside, 0);
    row_id_text(&f.m.epoch, f.at[1], 3, id);
    buf_init(&context, 4096);
    assert_int_equal(context_add(&context, CONTEXT_UUID, slice_of("bbb")), 0);
    assert_int_equal(context_add(&context, CONTEXT_ROW_ID, slice_of(id)), 0);
    assert_int_equal(context_add(&context, CONTEXT_REASON, slice_of("parked")), 0);
    assert_int_equal(context_finish(&context), 0);
    const char *data = "{\"kept\":1}";
    uint64_t position = maker_record(&aside, RECORD_ASIDE, buf_slice(&context), &data, 1);
    aside.base = 9; /* the file's number */
    aside.salt = 0;
    hosted_segment(&f.h, &aside, STORE_ASIDE);
    struct wire_item one = item(&aside, STORE_ASIDE, position, 0, 5);
    struct wire_hand hand = list_of(8, 1);
    hosted_push(&f.h, &hand, &one, &f.taken);
    assert_int_equal(f.taken.rows, 1);
    assert_int_equal(f.taken.first.position, position);
    assert_int_equal(f.h.m.done.delivered, 1);
    char expected[128], *text = hosted_written(&f.h);
    snprintf(expected, sizeof expected, "%s 5 2 bbb 3 {\"kept\":1}\n", id);
    assert_string_equal(text, expected);
    free(text);
    buf_free(&context);
    maker_close(&aside);
    end(&f);
}

/* --- durable state --- */

static void state_goes_round(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t count = 30;
    begin_with(&f, "chaos", "state");
    f.h.setup.state = (char *)&count;
    f.h.setup.state_len = sizeof count;
    hosted_ready(&f.h);
    hosted_segment(&f.h, &f.m, STORE_JOURNAL);
    push(&f);
    assert_int_equal(f.h.m.done.has_state, 1);
    assert_int_equal(f.h.m.done.state, sizeof count);
    memcpy(&count, f.h.m.bytes + sizeof f.h.m.done, sizeof count);
    assert_int_equal(count, 42);
    push(&f);
    memcpy(&count, f.h.m.bytes + sizeof f.h.m.done, sizeof count);
    assert_int_equal(count, 54);
    char *text = hosted_written(&f.h);
    assert_int_equal(strncmp(text, "state 30\n", 9), 0);
    free(text);
    end(&f);
}

/* What lies before a range is settled, unless something of it may still come again. */
static void what_is_settled(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "settled");
    const uint64_t held = 5;
    push(&f);
    f.hand.from = (struct wire_place){.position = f.at[0], .row = 1};
    push(&f);
    f.hand.held = 1;
    hosted_push(&f.h, &f.hand, &held, NULL);
    f.hand.held = 0;
    f.hand.flags = HAND_REPLAY;
    push(&f);
    f.hand.flags = HAND_SPREAD;
    push(&f);
    struct wire_item one = {.store = STORE_JOURNAL, .base = f.m.base, .place = {.position = f.at[2]}};
    struct wire_hand hand = f.hand;
    hand.flags = 0;
    hand.kind = HAND_LIST;
    hand.items = 1;
    hosted_push(&f.h, &hand, &one, NULL);
    char *text = hosted_written(&f.h), *at = text;
    static const char *const expected[] = {"0 0 0", "1 0 0", "0 0 0", "0 0 0", "0 0 0", "0 0 0"};
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        at = strstr(at, "settled ");
        assert_non_null(at);
        at += strlen("settled ");
        assert_memory_equal(at, expected[i], 5);
    }
    free(text);
    end(&f);
}

/* --- stable batches --- */

static void a_stable_batch_waits_for_go(void **state)
{
    (void)state;
    struct fixture f;
    begin_with(&f, "stable", "good");
    hosted_ready(&f.h);
    hosted_segment(&f.h, &f.m, STORE_JOURNAL);
    f.hand.flags = HAND_STABLE;
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    hosted_simple(&f.h, WIRE_GO, 0, 41);    /* another's */
    hosted_simple(&f.h, WIRE_PROBE, 0, 99); /* waits for the push */
    assert_int_equal(hosted_lines(&f.h), 0);
    hosted_simple(&f.h, WIRE_GO, 0, 42);
    hosted_expect(&f.h, WIRE_DONE);
    assert_int_equal(f.h.m.done.delivered, 12);
    hosted_expect(&f.h, WIRE_PROBED);
    assert_int_equal(f.h.m.head.token, 99);
    /* A stop instead of the go: not pushed, so not done. */
    f.hand.head.token = 43;
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    hosted_simple(&f.h, WIRE_STOP, 0, 0);
    assert_int_equal(hosted_wait(&f.h), 0);
    assert_int_equal(recv(f.h.channel, f.h.m.bytes, sizeof f.h.m.bytes, 0), 0);
    assert_int_equal(hosted_lines(&f.h), 12);
    hosted_fini(&f.h);
    maker_close(&f.m);
}

/* --- the rest of the api --- */

static void what_a_row_answers(void **state)
{
    (void)state;
    struct fixture f;
    struct buf context;
    begin_with(&f, "chaos", "explore");
    hosted_set(&f.h, "MATCH", "text");
    buf_init(&context, 4096);
    assert_int_equal(context_add(&context, CONTEXT_UUID, slice_of("ddd")), 0);
    assert_int_equal(context_add(&context, CONTEXT_CLIENT, slice_of("lab")), 0);
    assert_int_equal(context_add_tag(&context, slice_of("site"), slice_of("north")), 0);
    assert_int_equal(context_add_tag(&context, slice_of("plate"), slice_of("7")), 0);
    assert_int_equal(context_finish(&context), 0);
    const char *data[] = {
        "{ \"text\" : \"a\\u00e9\\n\", \"n\":-1.50e3,\"t\":true,\"f\":false,\"z\":null,\"a\":[1,2],\"o\":{\"b\":1} }",
        "{\"text\":1}"};
    uint64_t position = maker_record(&f.m, RECORD_ROWS, buf_slice(&context), data, 2);
    f.hand = hosted_range(&f.m, 1);
    f.hand.from.position = position;
    hosted_ready(&f.h);
    hosted_segment(&f.h, &f.m, STORE_JOURNAL);
    push(&f);
    char id[BATCH_ID_LEN + 1], expected[1024], *text = hosted_written(&f.h);
    batch_id_text(&f.m.epoch, position, id);
    snprintf(expected, sizeof expected,
             "batch=%s index=0 client=lab received=1700000000000012 size=%zu tag:site=north tag:plate=7 none=1 site=5"
             " text:5:\"a\\u00e9\\n\":4 n:4:-1.50e3:-1 t:3:true:-1 f:2:false:-1 z:1:null:-1 a:6:[1,2]:-1"
             " o:7:{\"b\":1}:-1 left=1 instance=chaos\n",
             id, sizeof(struct hg_api));
    assert_memory_equal(text, expected, strlen(expected));
    assert_non_null(strstr(text, " index=-1 client=lab "));
    free(text);
    buf_free(&context);
    end(&f);
}

static void logs_and_counters(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "chatty");
    hosted_hand(&f.h, &f.hand, NULL);
    hosted_expect(&f.h, WIRE_TAKEN);
    hosted_expect(&f.h, WIRE_COUNT);
    assert_int_equal(f.h.m.count.add, 12);
    assert_int_equal(f.h.m.count.name, 9);
    assert_memory_equal(f.h.m.bytes + sizeof f.h.m.count, "rows_seen", 9);
    hosted_expect(&f.h, WIRE_DONE);
    hosted_logged(&f.h, "<2>first line still the first\n");
    hosted_logged(&f.h, "on stdout\n");
    hosted_logged(&f.h, "<1>a counter was not counted");
    end(&f);
}

/* Nobody reads the log meanwhile: the push ends all the same, and what was dropped is counted. */
static void a_full_log_holds_up_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "flood");
    int log = f.h.log;
    f.h.log = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* nothing to read, ever */
    push(&f);
    assert_int_equal(f.h.m.done.delivered, 12);
    close(f.h.log);
    f.h.log = log;
    hosted_logged(&f.h, "one of very many lines");
    push(&f);
    hosted_logged(&f.h, "lines were dropped");
    end(&f);
}

static void reopened_between_pushes(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "good");
    hosted_simple(&f.h, WIRE_REOPEN, 0, 0);
    hosted_simple(&f.h, WIRE_PROBE, 0, 5);
    hosted_expect(&f.h, WIRE_PROBED);
    assert_int_equal(f.h.m.outcome.result, HG_OPEN_OK);
    assert_int_equal(f.h.m.head.token, 5);
    char *text = hosted_written(&f.h);
    assert_string_equal(text, "reopened\n");
    free(text);
    hosted_touch(f.h.gate);
    hosted_simple(&f.h, WIRE_PROBE, 0, 6);
    hosted_expect(&f.h, WIRE_PROBED);
    assert_int_equal(f.h.m.outcome.result, HG_OPEN_NOT_NOW);
    assert_int_equal(f.h.m.outcome.reason, strlen("no answer to the probe"));
    end(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(some_rows_again),
    cmocka_unit_test(refused_and_skipped),
    cmocka_unit_test(the_first_verdict_counts),
    cmocka_unit_test(forgotten_rows_come_again),
    cmocka_unit_test(wild_verdicts_do_nothing),
    cmocka_unit_test(not_now_names_what_was_delivered),
    cmocka_unit_test(other_results_are_not_now),
    cmocka_unit_test(listed_in_the_order_of_the_range),
    cmocka_unit_test(many_verdicts),
    cmocka_unit_test(single_rows_in_the_order_of_the_list),
    cmocka_unit_test(a_list_without_its_file),
    cmocka_unit_test(a_list_sees_the_file_grow),
    cmocka_unit_test(rows_set_aside),
    cmocka_unit_test(state_goes_round),
    cmocka_unit_test(what_is_settled),
    cmocka_unit_test(a_stable_batch_waits_for_go),
    cmocka_unit_test(what_a_row_answers),
    cmocka_unit_test(logs_and_counters),
    cmocka_unit_test(a_full_log_holds_up_nothing),
    cmocka_unit_test(reopened_between_pushes),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
