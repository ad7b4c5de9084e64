/* The row scanner against an independent reading of the same bodies.
 *
 *     test_scan_differential [DOCUMENTS [SEED]]
 *
 * Compared are the result, where a syntax fault is (byte, line, column), every schema fault with its pointer, and of
 * what is accepted: documents, uuid, spans, indexes, tags, ignored keys. Bodies end right before a page that cannot be
 * read, so that reading beyond the end is a crash. One scan is used for all of them, as in the daemon. */
#include "../fuzz/rows_judge.h"
#include "../fuzz/rows_maker.h"

#include <sys/mman.h>
#include <unistd.h>

enum { DOCUMENTS = 2000000, SHOWN = 10 };

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

int main(int argc, char **argv)
{
    static struct maker maker;
    static uint64_t results[ERR_COUNT];
    uint64_t documents = argc > 1 ? strtoull(argv[1], NULL, 10) : DOCUMENTS, jansson = 0, disagreements = 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 20261123;
    struct scan *s = scan_new();
    char *end = guarded_end(MAKER_MAX);
    if (s == NULL)
        return 1;
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
    /* A generator that makes only one kind of body would prove nothing. */
    bool varied = documents < 1000 || (results[ERR_OK] > documents / 10 && results[ERR_SYNTAX] > documents / 10 &&
                                       results[ERR_RANGE] > documents / 10 && results[ERR_LIMIT] > 0);
    return disagreements == 0 && varied ? 0 : 1;
}
