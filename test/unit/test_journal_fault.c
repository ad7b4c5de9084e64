/* System calls that fail while the journal runs: what was answered 0 survives, the rest is told, and intake comes back
 * by itself. */
#include "journal_bed.h"

#include <stdatomic.h>

/* OP(name, return type, parameters, arguments): the calls that the journal makes and that can fail. */
#define PLAIN_OPS(OP)                                                                                                  \
    OP(open, int, (const char *path, int flags, mode_t mode), (path, flags, mode))                                     \
    OP(fdatasync, int, (int fd), (fd))                                                                                 \
    OP(fsync, int, (int fd), (fd))                                                                                     \
    OP(ftruncate, int, (int fd, off_t len), (fd, len))                                                                 \
    OP(fstat, int, (int fd, struct stat *out), (fd, out))                                                              \
    OP(stat, int, (const char *path, struct stat *out), (path, out))                                                   \
    OP(statvfs, int, (const char *path, struct statvfs *out), (path, out))                                             \
    OP(rename, int, (const char *from, const char *to), (from, to))                                                    \
    OP(unlink, int, (const char *path), (path))                                                                        \
    OP(mkdir, int, (const char *path, mode_t mode), (path, mode))                                                      \
    OP(flock, int, (int fd, int operation), (fd, operation))                                                           \
    OP(random, ssize_t, (void *to, size_t len), (to, len))                                                             \
    OP(list, int, (const char *path, int (*each)(void *arg, const char *name), void *arg), (path, each, arg))

enum op {
#define OP(name, type, parameters, arguments) OP_##name,
    PLAIN_OPS(OP)
#undef OP
        OP_pread,
    OP_pwritev,
    OP_COUNT
};

enum { SHORT = -1 }; /* instead of an errno: half of it is done */

static atomic_int fault_op, fault_at, fault_errno, fault_times, calls[OP_COUNT];
static atomic_llong clock_shift_us;

static bool fault_now(enum op op)
{
    int n = atomic_fetch_add(&calls[op], 1) + 1, at = atomic_load(&fault_at);
    return atomic_load(&fault_op) == (int)op && n >= at && n - at < atomic_load(&fault_times);
}

#define OP(name, type, parameters, arguments)                                                                          \
    static type faulty_##name parameters                                                                               \
    {                                                                                                                  \
        if (fault_now(OP_##name)) {                                                                                    \
            errno = atomic_load(&fault_errno);                                                                         \
            return -1;                                                                                                 \
        }                                                                                                              \
        return sys_plain.name arguments;                                                                               \
    }
PLAIN_OPS(OP)
#undef OP

static ssize_t faulty_pread(int fd, void *to, size_t len, off_t at)
{
    if (!fault_now(OP_pread))
        return pread(fd, to, len, at);
    if (atomic_load(&fault_errno) == SHORT)
        return pread(fd, to, len > 4096 ? len / 2 / 4096 * 4096 : len, at);
    errno = atomic_load(&fault_errno);
    return -1;
}

static ssize_t faulty_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    if (!fault_now(OP_pwritev))
        return pwritev(fd, parts, count, at);
    if (atomic_load(&fault_errno) == SHORT)
        return pwrite(fd, parts[0].iov_base, (parts[0].iov_len + 1) / 2, at);
    if (count > 2) /* a part of it got there all the same */
        (void)!pwritev(fd, parts, count / 2, at);
    errno = atomic_load(&fault_errno);
    return -1;
}

static int shifted_clock(clockid_t which, struct timespec *out)
{
    int code = clock_gettime(which, out);
    if (which == CLOCK_REALTIME)
        out->tv_sec += (time_t)(atomic_load(&clock_shift_us) / 1000000);
    return code;
}

static struct sys faulty;

static int faulty_setup(void **state)
{
    (void)state;
    faulty = sys_plain;
#define OP(name, type, parameters, arguments) faulty.name = faulty_##name;
    PLAIN_OPS(OP)
#undef OP
    faulty.pread = faulty_pread;
    faulty.pwritev = faulty_pwritev;
    faulty.clock = shifted_clock;
    atomic_store(&fault_op, -1);
    sys = &faulty;
    return 0;
}

/* From the `at`-th call from now on, `times` calls fail. */
static void fault_arm(enum op op, int number, int at, int times)
{
    atomic_store(&fault_op, -1);
    atomic_store(&fault_errno, number);
    atomic_store(&fault_times, times);
    atomic_store(&fault_at, at);
    for (int i = 0; i < OP_COUNT; i++)
        atomic_store(&calls[i], 0);
    atomic_store(&fault_op, (int)op);
}

static void fault_disarm(void)
{
    atomic_store(&fault_op, -1);
}

/* --- waiting --- */

static bool intake_is(struct bed *b, void *arg)
{
    struct journal_health h;
    journal_health(b->j, &h);
    return h.intake == *(int *)arg;
}

static void wait_intake(struct bed *b, int code)
{
    bed_wait(b, intake_is, &code);
}

static int settle_key(const struct fact *a, const struct fact *b)
{
    return a->position < b->position ? -1 : a->position > b->position;
}

static int fact_order(const void *a, const void *b)
{
    return settle_key(a, b);
}

/* What was settled may have gone, the oldest first. */
static void facts_drop_gone(struct bed *b)
{
    struct journal_segment oldest;
    size_t kept = 0;
    if (journal_oldest(b->j, &oldest) != ERR_OK)
        return;
    for (size_t i = 0; i < b->fact_count; i++)
        if (b->facts[i].position >= oldest.base || b->facts[i].position >= b->settled)
            b->facts[kept++] = b->facts[i];
    b->fact_count = kept;
}

/* After a clean reopen: everything acknowledged is there, as it was. */
static void survives(struct bed *b)
{
    fault_disarm();
    journal_close(&b->j);
    bed_open(b);
    qsort(b->facts, b->fact_count, sizeof *b->facts, fact_order);
    for (size_t i = 1; i < b->fact_count; i++)
        assert_true(b->facts[i].position > b->facts[i - 1].position);
    facts_drop_gone(b);
    bed_expect_all(b);
    assert_int_equal(b->report.damages, 0);
}

/* --- a failed sync, at each n --- */

static void test_sync_fails(void **state)
{
    (void)state;
    for (int n = 1; n <= 24; n++) {
        struct bed b;
        int failed = 0;
        bed_init(&b);
        bed_open(&b);
        fault_arm(OP_fdatasync, EIO, n, 1 + n % 3);
        for (int i = 0; i < 30; i++) {
            int code = bed_put(&b, 1 + (uint32_t)i % 3, 2000);
            assert_true(code == ERR_OK || code == ERR_IO);
            failed += code != ERR_OK;
            if (code != ERR_OK)
                wait_intake(&b, ERR_OK);
        }
        assert_int_equal(failed, 1 + n % 3);
        struct journal_health h;
        journal_health(b.j, &h);
        assert_int_equal(h.voided, 1 + n % 3);
        bed_expect_all(&b); /* what was durable before is readable, at once */
        survives(&b);
        bed_fini(&b);
    }
}

/* A voided segment is never written or synced again. */
static _Atomic(dev_t) void_dev;
static _Atomic(ino_t) void_ino;
static atomic_int touched_void, void_fd;

static bool is_void(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && atomic_load(&void_ino) == st.st_ino && atomic_load(&void_dev) == st.st_dev;
}

static int void_fdatasync(int fd)
{
    struct stat st;
    if (is_void(fd))
        atomic_fetch_add(&touched_void, 1);
    if (!fault_now(OP_fdatasync))
        return fdatasync(fd);
    if (fstat(fd, &st) == 0) {
        atomic_store(&void_dev, st.st_dev);
        atomic_store(&void_ino, st.st_ino);
        atomic_store(&void_fd, dup(fd)); /* so that the number is not given again */
    }
    errno = EIO;
    return -1;
}

static int void_fsync(int fd)
{
    if (is_void(fd))
        atomic_fetch_add(&touched_void, 1);
    return fsync(fd);
}

static ssize_t void_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    if (is_void(fd))
        atomic_fetch_add(&touched_void, 1);
    return pwritev(fd, parts, count, at);
}

static void test_void_is_left_alone(void **state)
{
    (void)state;
    struct bed b;
    bed_init(&b);
    b.options.keep_ms = 0;
    faulty.fdatasync = void_fdatasync; /* the table changes only while no thread is there */
    faulty.fsync = void_fsync;
    faulty.pwritev = void_pwritev;
    bed_open(&b);
    fault_arm(OP_fdatasync, EIO, 5, 1);
    int failed = 0;
    for (int i = 0; i < 200; i++) {
        failed += bed_put(&b, 1, 3000) != ERR_OK;
        journal_release(b.j, journal_durable(b.j).position); /* all may go: the void one too */
    }
    assert_int_equal(failed, 1);
    assert_true(atomic_load(&void_ino) != 0);
    assert_int_equal(atomic_load(&touched_void), 0);
    close(atomic_load(&void_fd));
    bed_fini(&b);
    faulty.fdatasync = faulty_fdatasync;
    faulty.fsync = faulty_fsync;
    faulty.pwritev = faulty_pwritev;
}

/* The page cache says that the group is there, the medium does not have it: it must not come up after a restart. */
static char medium[BED_SEGMENT];

static ssize_t medium_pread(int fd, void *to, size_t len, off_t at)
{
    if ((fcntl(fd, F_GETFL) & O_DIRECT) == 0)
        return pread(fd, to, len, at);
    size_t left = at >= BED_SEGMENT ? 0 : BED_SEGMENT - (size_t)at;
    len = len < left ? len : left;
    memcpy(to, medium + at, len);
    return (ssize_t)len;
}

static void test_lying_cache(void **state)
{
    (void)state;
    struct bed b;
    char path[PATH_MAX];
    struct journal_segment s;
    bed_init(&b);
    bed_open(&b);
    for (int i = 0; i < 5; i++)
        assert_int_equal(bed_put(&b, 1, 500), ERR_OK);
    assert_int_equal(journal_segment_at(b.j, 0, &s), ERR_OK);
    assert_int_equal(file_path(b.dir, s.base, FILE_SEGMENT, path), ERR_OK);
    int fd = open(path, O_RDONLY);
    assert_int_equal(file_read(fd, medium, sizeof medium, 0), ERR_OK);
    close(fd);
    uint64_t lost;
    fault_arm(OP_fdatasync, EIO, 1, 1);
    assert_int_equal(bed_put_key(&b, 1, 500, NULL, &lost), ERR_IO);
    journal_close(&b.j);
    fault_disarm();
    faulty.pread = medium_pread;
    bed_open(&b);
    struct journal_segment copied;
    assert_int_equal(journal_segment_at(b.j, 0, &copied), ERR_OK);
    assert_true(copied.base == s.base && copied.salt != s.salt); /* not the file that the cache lies about */
    struct bed_found found = bed_read_all(&b);                   /* through the cache, as hosts read */
    assert_int_equal(found.records, 5);
    assert_int_equal(found.facts, 5);
    struct buf copy;
    struct record record;
    buf_init(&copy, 1 << 20);
    assert_int_equal(journal_read(b.j, lost, &copy, &record), ERR_NOTFOUND);
    buf_free(&copy);
    bed_fini(&b);
    faulty.pread = faulty_pread;
}

/* --- every call at every n, with several errors --- */

static int script(struct bed *b)
{
    b->options.max_bytes = 6 * BED_SEGMENT;
    b->options.keep_ms = 0;
    int code = bed_try_open(b);
    if (code != ERR_OK)
        return code;
    for (int i = 0; i < 24; i++) {
        code = bed_put_key(b, 1 + (uint32_t)i % 2, 9000, i % 5 == 0 ? "key" : NULL, NULL);
        assert_true(code == ERR_OK || code == ERR_IO || code == ERR_FULL || code == ERR_NOMEM);
        if (b->fact_count > 8)
            journal_release(b->j, b->settled = b->facts[b->fact_count - 8].position);
        if (code != ERR_OK)
            wait_intake(b, ERR_OK); /* it comes back by itself */
    }
    uint64_t places[4];
    uint32_t count;
    (void)!journal_find_uuid(b->j, SLICE_LIT("u3"), UINT64_MAX, places, 4, &count);
    return ERR_OK;
}

static void fault_everywhere(enum op op, const int *numbers, size_t count, int limit)
{
    for (size_t k = 0; k < count; k++)
        for (int n = 1, step = 1; n <= limit; n += step) {
            struct bed b;
            bed_init(&b);
            fault_arm(op, numbers[k], n, 1);
            (void)script(&b);
            int made = atomic_load(&calls[op]);
            if (b.j != NULL)
                survives(&b);
            /* And the same while it opens again with something in it. */
            journal_close(&b.j);
            fault_arm(op, numbers[k], n, 1);
            if (bed_try_open(&b) == ERR_OK)
                journal_close(&b.j);
            fault_disarm();
            bed_open(&b);
            facts_drop_gone(&b);
            struct bed_found found = bed_read_all(&b);
            assert_int_equal(found.facts, b.fact_count);
            bed_fini(&b);
            if (n > made)
                break;
            step = n < 20 ? 1 : n / 5;
        }
}

static void test_every_call(void **state)
{
    (void)state;
    static const int usual[] = {EIO, ENOSPC, EMFILE, ENOMEM, EINTR};
    for (int op = 0; op < OP_pread; op++)
        fault_everywhere((enum op)op, usual, op == OP_list || op == OP_flock ? 1 : COUNT_OF(usual), 60);
}

static void test_every_read(void **state)
{
    (void)state;
    static const int numbers[] = {EIO, ENOMEM, EINTR, SHORT};
    fault_everywhere(OP_pread, numbers, COUNT_OF(numbers), 60);
}

static void test_every_write(void **state)
{
    (void)state;
    static const int numbers[] = {EIO, ENOSPC, EDQUOT, EINTR, SHORT};
    fault_everywhere(OP_pwritev, numbers, COUNT_OF(numbers), 80);
}

/* --- a disk that fails for a while --- */

static void test_disk_gone_and_back(void **state)
{
    (void)state;
    static const int numbers[] = {EIO, ENOSPC, EROFS};
    for (size_t k = 0; k < COUNT_OF(numbers); k++) {
        struct bed b;
        bed_init(&b);
        bed_open(&b);
        for (int i = 0; i < 10; i++)
            assert_int_equal(bed_put(&b, 1, 3000), ERR_OK);
        fault_arm(OP_pwritev, numbers[k], 1, INT32_MAX / 2);
        int code = ERR_OK;
        for (int i = 0; i < 10 && !intake_is(&b, &(int){numbers[k] == ENOSPC ? ERR_FULL : ERR_IO}); i++) {
            code = bed_put(&b, 1, 3000);
            assert_int_not_equal(code, ERR_OK);
        }
        wait_intake(&b, numbers[k] == ENOSPC ? ERR_FULL : ERR_IO);
        struct put p; /* now it is refused at once, and not queued */
        put_init(&p, 1, 1, 10, NULL);
        p.entry.queue = &b.queue;
        assert_int_equal(journal_append(b.j, &p.entry), numbers[k] == ENOSPC ? ERR_FULL : ERR_IO);
        put_fini(&p);
        struct journal_health h;
        journal_health(b.j, &h);
        assert_true(h.text[0] != '\0');
        bed_expect_all(&b); /* reading goes on */
        fault_disarm();
        wait_intake(&b, ERR_OK);
        for (int i = 0; i < 10; i++)
            assert_int_equal(bed_put(&b, 1, 3000), ERR_OK);
        survives(&b);
        bed_fini(&b);
    }
}

static int little_statvfs(const char *path, struct statvfs *out)
{
    int code = statvfs(path, out);
    if (fault_now(OP_statvfs))
        out->f_bavail = 10;
    return code;
}

static void test_min_free(void **state)
{
    (void)state;
    struct bed b;
    bed_init(&b);
    b.options.min_free = 1 << 20;
    faulty.statvfs = little_statvfs;
    bed_open(&b);
    assert_int_equal(bed_put(&b, 1, 3000), ERR_OK);
    fault_arm(OP_statvfs, 0, 1, INT32_MAX / 2);
    int code = ERR_OK;
    for (int i = 0; i < 1000 && code == ERR_OK; i++)
        code = bed_put(&b, 1, 3000);
    assert_int_equal(code, ERR_FULL);
    struct journal_health h;
    journal_health(b.j, &h);
    assert_int_equal(h.intake, ERR_FULL);
    assert_non_null(strstr(h.text, "min_free"));
    fault_disarm();
    wait_intake(&b, ERR_OK);
    assert_int_equal(bed_put(&b, 1, 3000), ERR_OK);
    survives(&b);
    bed_fini(&b);
    faulty.statvfs = faulty_statvfs;
}

/* --- the budget --- */

static void test_budget(void **state)
{
    (void)state;
    struct bed b;
    bed_init(&b);
    b.options.max_bytes = 5 * BED_SEGMENT;
    bed_open(&b);
    int code = ERR_OK, done = 0;
    for (int round = 0; round < 5; round++) {
        for (code = ERR_OK; code == ERR_OK; done++)
            code = bed_put(&b, 1, 5000);
        assert_int_equal(code, ERR_FULL);
        struct journal_health h;
        journal_health(b.j, &h);
        assert_true(h.bytes <= h.limit);
        assert_int_equal(h.intake, ERR_FULL);
        assert_non_null(strstr(h.text, "budget"));
        assert_true(done >= 30);
        /* What is settled gives way before its time; nothing else does. */
        struct journal_segment oldest, second;
        assert_int_equal(journal_oldest(b.j, &oldest), ERR_OK);
        assert_int_equal(journal_segment_at(b.j, oldest.end, &second), ERR_OK);
        journal_release(b.j, second.first + 1);
        wait_intake(&b, ERR_OK);
        assert_int_equal(bed_put(&b, 1, 100), ERR_OK);
        assert_int_equal(journal_oldest(b.j, &oldest), ERR_OK);
        assert_true(oldest.base == second.base);
        struct journal_segment gone;
        assert_int_equal(journal_find_batch(b.j, &b.facts[0].epoch, b.facts[0].position, &gone), ERR_GONE);
    }
    struct bed_found found = bed_read_all(&b);
    assert_int_equal(found.records, found.facts);
    bed_fini(&b);
}

/* One segment is the whole budget: it gives way to its successor when all of it is settled. */
static void test_smallest_budget(void **state)
{
    (void)state;
    struct bed b;
    bed_init(&b);
    b.options.max_bytes = BED_SEGMENT;
    bed_open(&b);
    for (int round = 0; round < 3; round++) {
        int code = ERR_OK;
        while (code == ERR_OK)
            code = bed_put(&b, 1, 5000);
        assert_int_equal(code, ERR_FULL);
        journal_release(b.j, journal_durable(b.j).position);
        wait_intake(&b, ERR_OK);
    }
    assert_int_equal(bed_put(&b, 1, 5000), ERR_OK);
    assert_int_equal(bed_read_all(&b).records, 1);
    bed_fini(&b);
}

static void test_held_stays(void **state)
{
    (void)state;
    struct bed b;
    int fd;
    bed_init(&b);
    b.options.max_bytes = 4 * BED_SEGMENT;
    bed_open(&b);
    assert_int_equal(bed_put(&b, 1, 5000), ERR_OK);
    struct journal_segment oldest;
    assert_int_equal(journal_oldest(b.j, &oldest), ERR_OK);
    assert_int_equal(journal_hold(b.j, oldest.base, &fd, NULL), ERR_OK);
    int code = ERR_OK;
    while (code == ERR_OK)
        code = bed_put(&b, 1, 5000);
    journal_release(b.j, UINT64_MAX);
    assert_int_equal(code, ERR_FULL);
    struct reader r;
    struct record record;
    reader_init(&r, fd, oldest.base, oldest.salt);
    assert_int_equal(reader_at(&r, b.facts[0].position, oldest.end, &record), ERR_OK);
    reader_fini(&r);
    close(fd);
    journal_unhold(b.j, oldest.base);
    wait_intake(&b, ERR_OK);
    assert_int_equal(bed_put(&b, 1, 5000), ERR_OK);
    assert_int_equal(journal_hold(b.j, oldest.base, &fd, NULL), ERR_NOTFOUND);
    bed_fini(&b);
}

/* --- steady state: files are used again --- */

static ino_t inodes[4096];
static int inode_count;

static void inodes_note(struct bed *b)
{
    struct journal_segment s;
    char path[PATH_MAX];
    struct stat st;
    uint64_t at = 0;
    for (; journal_segment_at(b->j, at, &s) == ERR_OK; at = s.end)
        if (file_path(b->dir, s.base, FILE_SEGMENT, path) == ERR_OK && stat(path, &st) == 0) {
            int i = 0;
            while (i < inode_count && inodes[i] != st.st_ino)
                i++;
            if (i == inode_count && inode_count < 4096)
                inodes[inode_count++] = st.st_ino;
        }
}

static void test_recycling(void **state)
{
    (void)state;
    struct bed b;
    bed_init(&b);
    b.options.keep_bytes = 2 * BED_SEGMENT;
    b.options.max_bytes = 20 * BED_SEGMENT;
    bed_open(&b);
    struct journal_health h;
    inode_count = 0;
    for (int i = 0; i < 600; i++) {
        assert_int_equal(bed_put(&b, 1 + (uint32_t)i % 2, 4000), ERR_OK);
        journal_release(b.j, journal_durable(b.j).position);
        inodes_note(&b);
        if (i % 50 == 0) { /* nothing but what was written in this life of the file */
            struct bed_found found = bed_read_all(&b);
            assert_int_equal(found.records, found.facts);
            assert_int_equal(found.damages, 0);
        }
    }
    journal_health(b.j, &h);
    assert_true(h.bytes <= 12 * BED_SEGMENT);
    assert_true(inode_count < 30); /* of about 60 segments */
    struct bed_found before = bed_read_all(&b);
    bed_reopen(&b);
    struct bed_found after = bed_read_all(&b);
    assert_int_equal(after.records, before.records);
    assert_int_equal(after.records, after.facts);
    assert_int_equal(b.report.damages, 0);
    assert_int_equal(b.report.torn_bytes, 0);
    bed_fini(&b);
}

static bool oldest_above(struct bed *b, void *arg)
{
    struct journal_segment s;
    return journal_oldest(b->j, &s) == ERR_OK && s.base > *(uint64_t *)arg;
}

/* Settled segments stay for keep_ms, by the wall clock. */
static void test_linger(void **state)
{
    (void)state;
    struct bed b;
    bed_init(&b);
    b.options.keep_ms = 1000 * 1000;
    bed_open(&b);
    for (int i = 0; i < 80; i++)
        assert_int_equal(bed_put(&b, 1, 4000), ERR_OK);
    journal_release(b.j, journal_durable(b.j).position);
    bed_expect_all(&b);
    uint64_t zero = 0;
    assert_false(oldest_above(&b, &zero));
    atomic_store(&clock_shift_us, INT64_C(-2000) * 1000000); /* back: they stay */
    journal_reconfigure(b.j, &b.options);
    bed_expect_all(&b);
    atomic_store(&clock_shift_us, INT64_C(2000) * 1000000);
    journal_reconfigure(b.j, &b.options); /* wakes the helper, which looks at the clock */
    bed_wait(&b, oldest_above, &zero);
    atomic_store(&clock_shift_us, 0);
    bed_fini(&b);
}

/* --- weaker durability --- */

static bool synced_more(struct bed *b, void *arg)
{
    struct journal_health h;
    journal_health(b->j, &h);
    return h.syncs > *(uint64_t *)arg;
}

static void test_interval(void **state)
{
    (void)state;
    struct bed b;
    uint64_t none = 0;
    struct journal_health h;
    bed_init(&b);
    b.options.durability = DURABILITY_INTERVAL;
    b.options.interval_ms = 5;
    bed_open(&b);
    assert_int_equal(journal_durability(b.j), DURABILITY_INTERVAL);
    for (int i = 0; i < 60; i++)
        assert_int_equal(bed_put(&b, 1, 3000), ERR_OK);
    bed_wait(&b, synced_more, &none);
    bed_expect_all(&b);
    /* The sync fails: what was answered stays readable, the segment is left. */
    fault_arm(OP_fdatasync, EIO, 1, 1);
    assert_int_equal(bed_put(&b, 1, 100), ERR_OK);
    for (h.voided = 0; h.voided == 0;) {
        journal_health(b.j, &h);
        usleep(1000);
    }
    fault_disarm();
    assert_int_equal(bed_put(&b, 1, 100), ERR_OK);
    survives(&b);
    bed_fini(&b);
}

static void test_none(void **state)
{
    (void)state;
    struct bed b;
    bed_init(&b);
    b.options.durability = DURABILITY_NONE;
    bed_open(&b);
    fault_arm(OP_fdatasync, EIO, 1000000, 1);
    for (int i = 0; i < 8; i++)
        assert_int_equal(bed_put(&b, 1, 3000), ERR_OK);
    assert_int_equal(atomic_load(&calls[OP_fdatasync]), 0);
    for (int i = 0; i < 60; i++)
        assert_int_equal(bed_put(&b, 1, 3000), ERR_OK);
    assert_true(atomic_load(&calls[OP_fdatasync]) <= 8); /* one for each segment left */
    b.options.durability = DURABILITY_FSYNC;
    journal_reconfigure(b.j, &b.options);
    struct journal_health h, after;
    journal_health(b.j, &h);
    for (int i = 0; i < 8; i++)
        assert_int_equal(bed_put(&b, 1, 3000), ERR_OK);
    journal_health(b.j, &after);
    assert_true(after.syncs >= h.syncs + 7);
    uint64_t counts[SYNC_BUCKETS + 1], sum = 0;
    double seconds;
    journal_sync_histogram(b.j, counts, &seconds);
    for (int i = 0; i <= SYNC_BUCKETS; i++)
        sum += counts[i];
    assert_true(sum == after.syncs && seconds > 0);
    survives(&b);
    /* Full at once, with a sync that fails where a segment is left. */
    b.options.durability = DURABILITY_NONE;
    journal_reconfigure(b.j, &b.options);
    fault_arm(OP_fdatasync, EIO, 1, 1);
    for (int i = 0; i < 60; i++)
        assert_int_equal(bed_put(&b, 1, 3000), ERR_OK);
    journal_health(b.j, &h);
    assert_int_equal(h.voided, 1);
    survives(&b);
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sync_fails),
        cmocka_unit_test(test_void_is_left_alone),
        cmocka_unit_test(test_lying_cache),
        cmocka_unit_test(test_every_call),
        cmocka_unit_test(test_every_read),
        cmocka_unit_test(test_every_write),
        cmocka_unit_test(test_disk_gone_and_back),
        cmocka_unit_test(test_min_free),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_smallest_budget),
        cmocka_unit_test(test_held_stays),
        cmocka_unit_test(test_recycling),
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, faulty_setup, NULL);
}
