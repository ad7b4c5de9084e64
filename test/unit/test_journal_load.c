/* Many appenders at once, and processes killed in the middle: what was acknowledged is there, whole and once. */
#include "journal_bed.h"

#include <signal.h>
#include <sys/wait.h>

/* --- four appenders --- */

enum { APPENDERS = 4, EACH = 5000, IN_FLIGHT = 8 };

struct appender {
    struct bed *b;
    struct commit_queue queue;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken;
    pthread_t thread;
    uint32_t number, sent, finished;
    struct fact *facts; /* EACH x 3 */
    uint32_t fact_count;
    uint32_t *sizes; /* records of each entry, in the order they finished */
};

static void appender_wake(void *arg)
{
    struct appender *a = arg;
    pthread_mutex_lock(&a->lock);
    a->woken = true;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
}

static void appender_send(struct appender *a)
{
    struct put *p = malloc(sizeof *p);
    uint32_t n = a->sent++;
    size_t size = n % 97 == 0 ? 9000 : n % 50;
    CHECK(p != NULL);
    put_init(p, 1 + n % 3, (uint64_t)a->number * EACH + n, size, n % 10 == 0 ? "k" : NULL);
    p->entry.queue = &a->queue;
    CHECK(journal_append(a->b->j, &p->entry) == ERR_OK);
}

static void appender_finish(struct appender *a, struct put *p)
{
    CHECK(p->entry.status == ERR_OK);
    for (uint32_t i = 0; i < p->entry.count; i++) {
        const struct record_parts *r = &p->records[i];
        a->facts[a->fact_count++] =
            (struct fact){.position = p->positions[i],
                          .epoch = p->entry.epoch,
                          .content = content_hash(r->context, r->spans, r->rows * sizeof *r->spans, r->data)};
    }
    a->sizes[a->finished++] = p->entry.count;
    put_fini(p);
    free(p);
}

static void *appender_run(void *arg)
{
    struct appender *a = arg;
    while (a->sent < IN_FLIGHT)
        appender_send(a);
    while (a->finished < EACH) {
        pthread_mutex_lock(&a->lock);
        while (!a->woken)
            pthread_cond_wait(&a->wake, &a->lock);
        a->woken = false;
        pthread_mutex_unlock(&a->lock);
        struct journal_entry *next;
        for (struct journal_entry *e = commit_take(&a->queue); e != NULL; e = next) {
            next = e->next;
            appender_finish(a, container_of(e, struct put, entry));
            if (a->sent < EACH)
                appender_send(a);
        }
    }
    return NULL;
}

static int fact_order(const void *a, const void *b)
{
    const struct fact *x = a, *y = b;
    return x->position < y->position ? -1 : x->position > y->position;
}

/* The group of each record, in order of positions. */
static uint64_t *groups_read(struct bed *b, const struct fact *facts, size_t count)
{
    uint64_t *groups = calloc(count, sizeof *groups), at = 0;
    size_t n = 0;
    struct journal_segment s;
    assert_non_null(groups);
    while (journal_segment_at(b->j, at, &s) == ERR_OK) {
        struct reader r;
        struct record record;
        struct read_damage damage;
        int fd, code;
        assert_int_equal(journal_hold(b->j, s.base, &fd, NULL), ERR_OK);
        reader_init(&r, fd, s.base, s.salt);
        at = s.first;
        while (reader_next(&r, &at, s.end, &record, &damage, &code) == READ_RECORD) {
            assert_true(n < count && facts[n].position == record.position);
            groups[n++] = r.group_at;
        }
        at = s.end;
        reader_fini(&r);
        close(fd);
        journal_unhold(b->j, s.base);
    }
    assert_int_equal(n, count);
    return groups;
}

static uint64_t group_of(const struct fact *facts, const uint64_t *groups, size_t count, uint64_t position)
{
    const struct fact key = {.position = position}, *found = bsearch(&key, facts, count, sizeof *facts, fact_order);
    assert_non_null(found);
    return groups[found - facts];
}

static void test_appenders(void **state)
{
    (void)state;
    struct bed b;
    static struct appender appenders[APPENDERS];
    bed_init(&b);
    b.options.segment_bytes = 1 << 20;
    b.options.max_bytes = 256 << 20;
    bed_open(&b);
    memset(appenders, 0, sizeof appenders);
    for (uint32_t i = 0; i < APPENDERS; i++) {
        struct appender *a = &appenders[i];
        *a = (struct appender){.b = &b, .number = i, .queue = {.wake = appender_wake, .arg = a}};
        a->facts = calloc(EACH * 3, sizeof *a->facts);
        a->sizes = calloc(EACH, sizeof *a->sizes);
        assert_true(a->facts != NULL && a->sizes != NULL);
        pthread_mutex_init(&a->lock, NULL);
        pthread_cond_init(&a->wake, NULL);
        assert_int_equal(pthread_create(&a->thread, NULL, appender_run, a), 0);
    }
    for (int i = 0; i < APPENDERS; i++)
        pthread_join(appenders[i].thread, NULL);
    struct journal_health h;
    journal_health(b.j, &h);
    assert_true(h.commits < APPENDERS * EACH); /* they shared their syncs */
    size_t total = 0;
    for (int i = 0; i < APPENDERS; i++)
        total += appenders[i].fact_count;
    b.facts = malloc(total * sizeof *b.facts);
    assert_non_null(b.facts);
    for (int i = 0; i < APPENDERS; i++) {
        for (uint32_t n = 1; n < appenders[i].fact_count; n++) /* one appender's entries stay in order */
            assert_true(appenders[i].facts[n].position > appenders[i].facts[n - 1].position);
        memcpy(b.facts + b.fact_count, appenders[i].facts, appenders[i].fact_count * sizeof *b.facts);
        b.fact_count += appenders[i].fact_count;
    }
    qsort(b.facts, b.fact_count, sizeof *b.facts, fact_order);
    bed_expect_all(&b);
    uint64_t *groups = groups_read(&b, b.facts, b.fact_count);
    for (int i = 0; i < APPENDERS; i++) { /* no entry was split */
        const struct appender *a = &appenders[i];
        uint32_t at = 0;
        for (uint32_t n = 0; n < EACH; at += a->sizes[n++])
            for (uint32_t k = 1; k < a->sizes[n]; k++)
                assert_true(group_of(b.facts, groups, b.fact_count, a->facts[at].position) ==
                            group_of(b.facts, groups, b.fact_count, a->facts[at + k].position));
    }
    free(groups);
    bed_reopen(&b);
    bed_expect_all(&b);
    for (int i = 0; i < APPENDERS; i++) {
        free(appenders[i].facts);
        free(appenders[i].sizes);
    }
    bed_fini(&b);
}

/* One entry with very many records is one group of many writes. */
static void test_large_entry(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    struct bed b;
    struct put p;
    struct journal_entry *done = NULL;
    bed_init(&b);
    b.options.segment_bytes = 8 << 20;
    b.options.max_bytes = 256 << 20;
    bed_open(&b);
    assert_int_equal(bed_put(&b, 1, 10), ERR_OK);
    put_init(&p, 1, 7, 10, NULL);
    struct record_parts *records = calloc(MANY, sizeof *records);
    uint64_t *positions = calloc(MANY, sizeof *positions);
    for (int i = 0; i < MANY; i++)
        records[i] = p.records[0];
    p.entry.records = records;
    p.entry.count = MANY;
    p.entry.positions = positions;
    p.entry.queue = &b.queue;
    assert_int_equal(journal_append(b.j, &p.entry), ERR_OK);
    bed_wait(&b, queue_filled, &done);
    assert_int_equal(done->status, ERR_OK);
    for (int i = 1; i < MANY; i++)
        assert_true(positions[i] == positions[i - 1] + record_length(&records[0]));
    assert_int_equal(bed_read_all(&b).records, MANY + 1);
    assert_int_equal(journal_durable(b.j).rows, MANY + 1);
    bed_reopen(&b);
    assert_int_equal(bed_read_all(&b).records, MANY + 1);
    assert_int_equal(b.report.damages + b.report.torn_bytes, 0);
    /* What no segment takes is refused at once. */
    struct record_parts huge = p.records[0];
    huge.data = slice_make(records, 0);
    huge.rows = 0;
    huge.data.len = 9 << 20;
    char *data = calloc(1, huge.data.len);
    huge.data.ptr = data;
    p.entry.records = &huge;
    p.entry.count = 1;
    assert_int_equal(journal_append(b.j, &p.entry), ERR_LIMIT);
    huge.data.len = (8 << 20) - SEGMENT_HEADER - GROUP_HEADER - RECORD_HEADER - huge.context.len; /* just fits */
    done = NULL;
    assert_int_equal(journal_append(b.j, &p.entry), ERR_OK);
    bed_wait(&b, queue_filled, &done);
    assert_int_equal(done->status, ERR_OK);
    huge.data.len++;
    assert_int_equal(journal_append(b.j, &p.entry), ERR_LIMIT);
    assert_int_equal(bed_read_all(&b).records, MANY + 2);
    p.entry.count = 1;
    put_fini(&p);
    free(data);
    free(records);
    free(positions);
    bed_fini(&b);
}

/* What is queued at close is committed first. */
static void test_close_commits(void **state)
{
    (void)state;
    struct bed b;
    static struct put puts[200];
    bed_init(&b);
    bed_open(&b);
    for (int i = 0; i < 200; i++) {
        put_init(&puts[i], 1, (uint64_t)i, 2000, NULL);
        puts[i].entry.queue = &b.queue;
        assert_int_equal(journal_append(b.j, &puts[i].entry), ERR_OK);
    }
    journal_close(&b.j);
    int finished = 0;
    for (struct journal_entry *e = commit_take(&b.queue); e != NULL; e = e->next, finished++) {
        assert_int_equal(e->status, ERR_OK);
        bed_remember(&b, container_of(e, struct put, entry));
    }
    assert_int_equal(finished, 200);
    for (int i = 0; i < 200; i++)
        put_fini(&puts[i]);
    bed_open(&b);
    bed_expect_all(&b);
    bed_fini(&b);
}

/* --- killed in the middle --- */

struct told { /* through the pipe, before anyone else could know */
    uint64_t position;
    struct epoch epoch;
    uint64_t content;
};

static _Noreturn void victim_run(struct bed *b, int pipe_fd, unsigned seed)
{
    struct journal_report report;
    struct err e;
    static struct put puts[16];
    srand(seed);
    if (journal_open(&b->j, &b->options, &report, &e) != ERR_OK)
        _exit(3);
    for (uint64_t n = 0;; n++) {
        int batch = 1 + rand() % 16;
        for (int i = 0; i < batch; i++) {
            put_init(&puts[i], 1 + (uint32_t)rand() % 3, n * 16 + (uint64_t)i, (size_t)(rand() % 3000), "key");
            puts[i].entry.queue = &b->queue;
            if (journal_append(b->j, &puts[i].entry) != ERR_OK)
                _exit(4);
        }
        for (int finished = 0; finished < batch;) {
            struct journal_entry *list = NULL, *next;
            bed_wait(b, queue_filled, &list);
            for (; list != NULL; list = next, finished++) {
                struct put *p = container_of(list, struct put, entry);
                next = list->next;
                if (list->status != ERR_OK)
                    _exit(5);
                for (uint32_t i = 0; i < p->entry.count; i++) {
                    const struct record_parts *r = &p->records[i];
                    struct told told = {.position = p->positions[i],
                                        .epoch = p->entry.epoch,
                                        .content =
                                            content_hash(r->context, r->spans, r->rows * sizeof *r->spans, r->data)};
                    if (write(pipe_fd, &told, sizeof told) != sizeof told)
                        _exit(6);
                }
                put_fini(p);
            }
        }
        if (n % 7 == 0)
            journal_release(b->j, journal_durable(b->j).position - 300000 < UINT64_MAX / 2
                                      ? journal_durable(b->j).position - 300000
                                      : 0);
    }
}

/* What it has acknowledged, `most` at the most; waits for them, or for its end. */
static void told_take(struct bed *b, int fd, unsigned most)
{
    struct told told;
    while (most-- > 0 && read(fd, &told, sizeof told) == sizeof told) {
        if (b->fact_count == b->fact_cap) {
            b->fact_cap = b->fact_cap == 0 ? 4096 : b->fact_cap * 2;
            b->facts = realloc(b->facts, b->fact_cap * sizeof *b->facts);
            assert_non_null(b->facts);
        }
        b->facts[b->fact_count++] =
            (struct fact){.position = told.position, .epoch = told.epoch, .content = told.content};
    }
}

static void facts_drop_settled(struct bed *b)
{
    struct journal_segment oldest;
    size_t kept = 0;
    uint64_t newest = b->fact_count > 0 ? b->facts[b->fact_count - 1].position : 0;
    if (journal_oldest(b->j, &oldest) != ERR_OK)
        return;
    for (size_t i = 0; i < b->fact_count; i++)
        if (b->facts[i].position >= oldest.base || b->facts[i].position + 300000 >= newest)
            b->facts[kept++] = b->facts[i];
    b->fact_count = kept;
}

static void test_killed(void **state)
{
    (void)state;
    struct bed b;
    unsigned torn = 0, cycles = 40, acknowledged = 0;
    bed_init(&b);
    b.options.keep_bytes = 4 * BED_SEGMENT;
    srand(20260131);
    for (unsigned cycle = 0; cycle < cycles; cycle++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close(ends[0]);
            victim_run(&b, ends[1], cycle + 1);
        }
        close(ends[1]);
        size_t before = b.fact_count;
        if (cycle % 4 != 0) /* else: killed somewhere in opening */
            told_take(&b, ends[0], 1 + (unsigned)rand() % 200);
        struct timespec pause = {.tv_nsec = (rand() % (cycle % 4 != 0 ? 5000 : 30000)) * 1000L};
        nanosleep(&pause, NULL);
        kill(pid, SIGKILL);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        told_take(&b, ends[0], UINT32_MAX);
        close(ends[0]);
        acknowledged += (unsigned)(b.fact_count - before);
        bed_open(&b);
        torn += b.report.torn_bytes > 0;
        assert_int_equal(b.report.damages, 0);
        for (size_t i = before + 1; i < b.fact_count; i++)
            assert_true(b.facts[i].position > b.facts[i - 1].position);
        if (b.fact_count > 0)
            qsort(b.facts, b.fact_count, sizeof *b.facts, fact_order);
        for (size_t i = 1; i < b.fact_count; i++) /* no position twice, over all lives */
            assert_true(b.facts[i].position > b.facts[i - 1].position);
        facts_drop_settled(&b);
        bed_expect_all(&b);
        journal_close(&b.j);
    }
    print_message("killed %u times, %u records acknowledged, %u torn tails\n", cycles, acknowledged, torn);
    assert_true(acknowledged > 500);
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appenders),
        cmocka_unit_test(test_large_entry),
        cmocka_unit_test(test_close_commits),
        cmocka_unit_test(test_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
