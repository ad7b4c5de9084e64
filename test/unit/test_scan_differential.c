/* The row scanner against an independent reading of the same bodies.
 *
 *     test_scan_differential [DOCUMENTS [SEED]]
 *
 * Compared are the result, where a syntax fault is (byte, line, column), every schema fault with its pointer, and of
 * what is accepted: documents, uuid, spans, indexes, tags, ignored keys. Bodies end right before a page that cannot be
 * read, so that reading beyond the end is a crash. One scan is used for all of them, as in the daemon. */
#include "../fuzz/rows_judge.h"
#include "../fuzz/rows_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* Sanitizers make it five times slower; they are there for what is read and written, not for the count. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { DOCUMENTS = 200000, SHOWN = 10 };
#else
enum { DOCUMENTS = 2000000, SHOWN = 10 };
#endif

static uint64_t documents = DOCUMENTS, seed = 20261123;

static char *guarded_end(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size = (size + page - 1) / page * page;
    char *area = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED || mprotect(area + size, page, PROT_NONE) != 0) {
        perror("test_scan_differential");
        exit(1);
    }
    return area + size;
}

static void show(uint64_t number, const char *what, const struct scan_rules *rules, struct slice body,
                 const struct judge *j, struct scan *s)
{
    uint32_t count;
    const struct fault *faults = scan_faults(s, &count);
    printf("document %llu: %s (rows %u depth %u%s%s%s%s)\n", (unsigned long long)number, what, rules->max_rows,
           rules->max_depth, rules->any_keys ? " any" : "", rules->ndjson ? " ndjson" : "",
           rules->single ? " single" : "", rules->batch ? " batch" : "");
    struct buf text;
    buf_init(&text, 1u << 20);
    if (buf_add_json(&text, body) == ERR_OK)
        printf("  %.3000s\n  judge: %s at %zu\n", buf_str(&text), err_text(j->code), j->error_at);
    for (size_t i = 0; i < j->fault_count && i < 5; i++)
        printf("  judge: %s %.*s\n", j->faults[i].word, SLICE_ARG(j->faults[i].pointer));
    for (uint32_t i = 0; i < count && i < 5; i++)
        printf("  scan: %s %.*s at %llu\n", faults[i].type, SLICE_ARG(faults[i].pointer),
               (unsigned long long)faults[i].byte);
    buf_free(&text);
}

static void test_differential(void **state)
{
    (void)state;
    static struct maker maker;
    static uint64_t results[ERR_COUNT];
    uint64_t jansson = 0, disagreements = 0;
    struct scan *s = scan_new();
    char *end = guarded_end(MAKER_MAX);
    assert_non_null(s);
    maker.state = seed;
    for (uint64_t i = 0; i < documents; i++) {
        struct scan_rules rules;
        struct judge j;
        maker_body(&maker, &rules);
        struct slice body = slice_make(end - maker.len, maker.len);
        memcpy(end - maker.len, maker.text, maker.len);
        const char *what = judge_disagreement(&j, s, &rules, body);
        jansson += j.jansson_read;
        results[j.code]++;
        if (what != NULL && disagreements++ < SHOWN)
            show(i, what, &rules, body, &j, s);
    }
    scan_free(&s);
    free(judge_heap.ptr);
    printf("accepted %llu, syntax %llu, schema %llu, limit %llu; read by jansson too %llu\n",
           (unsigned long long)results[ERR_OK], (unsigned long long)results[ERR_SYNTAX],
           (unsigned long long)results[ERR_RANGE], (unsigned long long)results[ERR_LIMIT], (unsigned long long)jansson);
    printf("documents %llu, disagreements %llu, seed %llu\n", (unsigned long long)documents,
           (unsigned long long)disagreements, (unsigned long long)seed);
    fflush(stdout);
    assert_int_equal(disagreements, 0);
    /* A generator that makes only one kind of body would prove nothing. */
    if (documents >= 1000) {
        assert_true(results[ERR_OK] > documents / 10 && results[ERR_SYNTAX] > documents / 10);
        assert_true(results[ERR_RANGE] > documents / 10 && results[ERR_LIMIT] > documents / 100);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_differential)};
    if (argc > 1)
        documents = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
