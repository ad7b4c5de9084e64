/* The journal without threads: its steps in any order, left at any moment, and with memory that runs out at each
 * allocation. What was answered 0 is there afterwards; nothing leaks. malloc is replaced here, which the sanitizers do
 * themselves in their builds: there only the order of steps is tested. */
#include "journal_bed.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REPLACED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REPLACED 0
#endif
#endif
#ifndef REPLACED
#define REPLACED 1
#endif

static bool counting;        /* allocations are counted and may fail */
static long fail_after = -1; /* so many still succeed, then one fails; negative: none fails */
static long live;

#if REPLACED
#define SHOWN __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *ptr);

static bool fails(void)
{
    return counting && fail_after >= 0 && fail_after-- == 0;
}

static void *given(void *ptr)
{
    live += counting && ptr != NULL;
    return ptr;
}

SHOWN void *malloc(size_t size)
{
    return fails() ? NULL : given(__libc_malloc(size));
}

SHOWN void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : given(__libc_calloc(count, size));
}

SHOWN void *realloc(void *ptr, size_t size)
{
    if (fails())
        return NULL;
    return ptr == NULL ? given(__libc_realloc(ptr, size)) : __libc_realloc(ptr, size);
}

SHOWN void *aligned_alloc(size_t align, size_t size)
{
    return fails() ? NULL : given(__libc_memalign(align, size));
}

SHOWN void free(void *ptr)
{
    live -= counting && ptr != NULL;
    __libc_free(ptr);
}
#endif

/* A clock that moves when it is asked, and a disk that is quick. */
static struct sys stepping;
static int64_t now_ns;

static int step_clock(clockid_t which, struct timespec *out)
{
    now_ns += 1000000;
    int64_t ns = now_ns + (which == CLOCK_REALTIME ? INT64_C(1700000000) * 1000000000 : 0);
    *out = (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    return 0;
}

static int no_sync(int fd)
{
    (void)fd;
    return 0;
}

static int step_setup(void **state)
{
    (void)state;
    stepping = sys_plain;
    stepping.clock = step_clock;
    stepping.fsync = stepping.fdatasync = no_sync;
    sys = &stepping;
    return 0;
}

/* --- requests that are queued, not waited for --- */

enum { QUEUED_MAX = 8 };

struct steps {
    struct bed b;
    struct put puts[QUEUED_MAX];
    bool busy[QUEUED_MAX];
    uint64_t failed;
};

static int steps_open(struct steps *s)
{
    struct err e;
    counting = true;
    int code = journal_open_quiet(&s->b.j, &s->b.options, &s->b.report, &e);
    counting = false;
    return code;
}

static void steps_append(struct steps *s, size_t size, const char *key)
{
    int i = 0;
    while (i < QUEUED_MAX && s->busy[i])
        i++;
    if (i == QUEUED_MAX)
        return;
    s->b.serial++;
    put_init(&s->puts[i], 1 + (uint32_t)s->b.serial % 3, s->b.serial, size, key);
    s->puts[i].entry.queue = &s->b.queue;
    counting = true;
    int code = journal_append(s->b.j, &s->puts[i].entry);
    counting = false;
    s->busy[i] = code == ERR_OK;
    if (code != ERR_OK) {
        assert_true(code == ERR_FULL || code == ERR_IO);
        put_fini(&s->puts[i]);
    }
}

static void steps_take(struct steps *s)
{
    struct journal_entry *e = commit_take(&s->b.queue), *next;
    for (; e != NULL; e = next) {
        struct put *p = container_of(e, struct put, entry);
        next = e->next;
        s->busy[p - s->puts] = false;
        s->failed += e->status != ERR_OK;
        assert_true(e->status == ERR_OK || e->status == ERR_IO || e->status == ERR_FULL);
        if (e->status == ERR_OK)
            bed_remember(&s->b, p);
        put_fini(p);
    }
}

static void steps_commit(struct steps *s)
{
    counting = true;
    (void)commit_step(s->b.j);
    counting = false;
    steps_take(s);
}

static bool steps_help(struct steps *s)
{
    int64_t wait;
    counting = true;
    bool more = helper_step(s->b.j, &wait);
    counting = false;
    return more;
}

/* As a process that is killed: what was queued is simply gone. */
static void steps_crash(struct steps *s)
{
    counting = true;
    journal_free(&s->b.j);
    counting = false;
    for (int i = 0; i < QUEUED_MAX; i++)
        if (s->busy[i]) {
            put_fini(&s->puts[i]);
            s->busy[i] = false;
        }
}

static int fact_order(const void *a, const void *b)
{
    const struct fact *x = a, *y = b;
    return x->position < y->position ? -1 : x->position > y->position;
}

static void steps_expect(struct steps *s)
{
    struct bed *b = &s->b;
    struct journal_segment oldest;
    size_t kept = 0;
    if (b->fact_count > 0)
        qsort(b->facts, b->fact_count, sizeof *b->facts, fact_order);
    for (size_t i = 1; i < b->fact_count; i++)
        assert_true(b->facts[i].position > b->facts[i - 1].position);
    bool any = journal_oldest(b->j, &oldest) == ERR_OK;
    for (size_t i = 0; i < b->fact_count; i++)
        if (b->facts[i].position >= b->settled || (any && b->facts[i].position >= oldest.base))
            b->facts[kept++] = b->facts[i];
    b->fact_count = kept;
    bed_expect_all(b);
    assert_int_equal(b->report.damages, 0);
}

/* --- any order --- */

static void run_seed(unsigned seed)
{
    struct steps s;
    memset(&s, 0, sizeof s);
    bed_init(&s.b);
    s.b.options.segment_bytes = 32 * 1024;
    s.b.options.max_bytes = (4 + seed % 9) * 32 * 1024;
    s.b.options.keep_bytes = seed % 3 * 32 * 1024;
    s.b.options.retry_ms = 1;
    s.b.options.durability = seed % 5 == 0 ? DURABILITY_NONE : seed % 5 == 1 ? DURABILITY_INTERVAL : DURABILITY_FSYNC;
    srand(seed);
    assert_int_equal(steps_open(&s), ERR_OK);
    for (int n = 0; n < 250; n++) {
        switch (rand() % 12) {
        case 0:
        case 1:
        case 2: steps_append(&s, (size_t)(rand() % 7000), rand() % 2 ? "key" : NULL); break;
        case 3:
        case 4:
        case 5: steps_commit(&s); break;
        case 6:
        case 7:
        case 8: (void)steps_help(&s); break;
        case 9:
            s.b.settled = journal_durable(s.b.j).position;
            journal_release(s.b.j, s.b.settled);
            break;
        case 10:
            if (s.b.fact_count > 0) {
                uint64_t found;
                struct fact *last = &s.b.facts[s.b.fact_count - 1];
                if (last->key != 0 && last->position >= s.b.settled)
                    assert_int_equal(journal_find_key(s.b.j, last->key, &found), ERR_OK);
            }
            break;
        default:
            if (rand() % 4 != 0)
                break;
            steps_crash(&s);
            assert_int_equal(steps_open(&s), ERR_OK);
            steps_expect(&s);
            break;
        }
    }
    steps_crash(&s);
    assert_int_equal(steps_open(&s), ERR_OK);
    steps_expect(&s);
    steps_crash(&s);
    bed_fini(&s.b);
}

static void test_any_order(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++)
        run_seed(seed);
}

/* --- memory that runs out --- */

static void nomem_run(struct steps *s, long n)
{
    fail_after = n;
    if (steps_open(s) == ERR_OK) {
        for (int i = 0; i < 14; i++) {
            steps_append(s, 3500, i % 3 == 0 ? "key" : NULL);
            for (int k = 0; k < 6; k++) {
                (void)steps_help(s);
                steps_commit(s);
            }
        }
        uint64_t places[2];
        uint32_t count;
        struct buf copy;
        struct record record;
        buf_init(&copy, 1 << 20);
        counting = true;
        (void)!journal_find_uuid(s->b.j, SLICE_LIT("u3"), UINT64_MAX, places, 2, &count);
        (void)!journal_read(s->b.j, s->b.fact_count > 0 ? s->b.facts[0].position : 0, &copy, &record);
        buf_free(&copy);
        struct journal_visitor nobody = {.arg = NULL};
        struct err e;
        (void)!journal_walk(s->b.dir, &nobody, &e); /* it is open: only as far as the lock */
        commit_finish(s->b.j);
        counting = false;
        steps_crash(s);
        counting = true;
        (void)!journal_walk(s->b.dir, &nobody, &e);
        char to[PATH_MAX];
        snprintf(to, sizeof to, "%s/repaired", s->b.dir);
        (void)!journal_repair(s->b.dir, to, &e);
        counting = false;
        tree_remove(to);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    if (!REPLACED)
        skip();
    long made = 0;
    for (long n = 0; n < 4000; n++) {
        struct steps s;
        memset(&s, 0, sizeof s);
        bed_init(&s.b);
        s.b.options.segment_bytes = 16 * 1024;
        s.b.options.retry_ms = 1;
        live = 0;
        nomem_run(&s, n);
        assert_int_equal(live, 0);
        bool done = fail_after >= 0;
        nomem_run(&s, -1);
        nomem_run(&s, n); /* once more, with something there to be recovered */
        assert_int_equal(live, 0);
        done = done && fail_after >= 0;
        fail_after = -1;
        assert_int_equal(steps_open(&s), ERR_OK);
        steps_expect(&s);
        assert_true(s.b.fact_count > 0);
        steps_crash(&s);
        assert_int_equal(live, 0);
        bed_fini(&s.b);
        made = n;
        if (done)
            break;
    }
    print_message("%ld allocations, each failed once\n", made);
    assert_true(made > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, step_setup, NULL);
}
