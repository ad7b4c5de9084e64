/* A journal whose files were hurt while it was closed: it opens, loses at most what was touched, says so by position
 * range, deletes nothing, and goes on at positions that were never used. */
#include "journal_bed.h"

#include <dirent.h>

/* fsync costs much and proves nothing here: nothing loses power. */
static struct sys quick;

static int no_sync(int fd)
{
    (void)fd;
    return 0;
}

static int quick_setup(void **state)
{
    (void)state;
    quick = sys_plain;
    quick.fsync = quick.fdatasync = no_sync;
    sys = &quick;
    return 0;
}

/* --- snapshots of a directory --- */

struct file {
    char name[64];
    char *bytes;
    size_t len;
};

struct snapshot {
    struct file files[64];
    int count;
};

static void file_load(const char *path, struct file *f)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    f->len = (size_t)st.st_size;
    f->bytes = malloc(f->len + 1);
    assert_non_null(f->bytes);
    assert_int_equal(file_read(fd, f->bytes, f->len, 0), ERR_OK);
    close(fd);
}

static void file_store(const char *dir, const char *name, const char *bytes, size_t len)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, bytes, len, 0), ERR_OK);
    close(fd);
}

static int name_order(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* Segments and the lock; files made ready (first page blank) only with `all`. */
static void snapshot_take(const struct bed *b, struct snapshot *s, bool all)
{
    DIR *dir = opendir(b->dir);
    struct dirent *entry;
    s->count = 0;
    while ((entry = readdir(dir)) != NULL) {
        char path[PATH_MAX];
        if (entry->d_type != DT_REG)
            continue;
        struct file *f = &s->files[s->count];
        snprintf(path, sizeof path, "%s/%s", b->dir, entry->d_name);
        file_load(path, f);
        snprintf(f->name, sizeof f->name, "%.60s", entry->d_name);
        bool blank = strstr(f->name, ".seg") != NULL && memcmp(f->bytes, "HGS1", 4) != 0;
        if (!all && (blank || strstr(f->name, ".idx") != NULL))
            free(f->bytes);
        else
            s->count++;
    }
    closedir(dir);
    qsort(s->files, (size_t)s->count, sizeof s->files[0], name_order);
}

static void snapshot_free(struct snapshot *s)
{
    for (int i = 0; i < s->count; i++)
        free(s->files[i].bytes);
    s->count = 0;
}

static void snapshot_put(const struct bed *b, const struct snapshot *s)
{
    tree_remove(b->dir);
    assert_int_equal(mkdir(b->dir, 0750), 0);
    for (int i = 0; i < s->count; i++)
        file_store(b->dir, s->files[i].name, s->files[i].bytes, s->files[i].len);
}

static struct file *snapshot_segment(struct snapshot *s, int number)
{
    for (int i = 0; i < s->count; i++)
        if (strstr(s->files[i].name, ".seg") != NULL && number-- == 0)
            return &s->files[i];
    return NULL;
}

static int snapshot_segments(struct snapshot *s)
{
    int n = 0;
    while (snapshot_segment(s, n) != NULL)
        n++;
    return n;
}

/* --- opening without threads, which is all that recovery is --- */

static void quiet_open(struct bed *b)
{
    struct err e = {.text = ""};
    int code = journal_open_quiet(&b->j, &b->options, &b->report, &e);
    if (code != ERR_OK)
        print_error("open: %s\n", e.text);
    assert_int_equal(code, ERR_OK);
}

static uint64_t highest_base(const struct snapshot *s)
{
    uint64_t highest = 0;
    for (int i = 0; i < s->count; i++)
        if (strstr(s->files[i].name, ".seg") != NULL && strtoull(s->files[i].name, NULL, 16) > highest)
            highest = strtoull(s->files[i].name, NULL, 16);
    return highest;
}

/* A small journal: `puts` groups of one to three records each. */
static void journal_fill(struct bed *b, int puts, size_t size)
{
    b->options.segment_bytes = 16 * 1024;
    b->options.max_bytes = 40 * b->options.segment_bytes;
    bed_open(b);
    for (int i = 0; i < puts; i++)
        assert_int_equal(bed_put(b, 1 + (uint32_t)i % 3, size), ERR_OK);
    journal_close(&b->j);
}

/* The records (of those acknowledged) that are gone; each must lie in what is reported. */
static size_t facts_lost(struct bed *b, size_t found)
{
    return b->fact_count - found;
}

/* --- flips and cuts in the only segment --- */

static void test_flip_every_byte(void **state)
{
    (void)state;
    struct bed b;
    struct snapshot s;
    bed_init(&b);
    journal_fill(&b, 8, 60);
    snapshot_take(&b, &s, false);
    assert_int_equal(snapshot_segments(&s), 1);
    struct file *seg = snapshot_segment(&s, 0);
    uint64_t end = 0;
    for (size_t i = 0; i < b.fact_count; i++)
        end = b.facts[i].position;
    for (size_t i = 0; i < end + 400 && i < seg->len; i += i < 4000 && i > 128 ? 97 : 1) {
        seg->bytes[i] = (char)(seg->bytes[i] ^ 0x20);
        snapshot_put(&b, &s);
        quiet_open(&b);
        struct bed_found found = bed_read_all(&b);
        size_t lost = facts_lost(&b, found.facts);
        assert_true(lost <= 3); /* one group */
        if (lost > 0)
            assert_true(b.report.torn_bytes > 0 || b.report.damages > 0);
        if (i < SEGMENT_HEADER) {
            assert_int_equal(lost, 0);
            assert_int_equal(b.report.damages, 1);
        }
        assert_true(b.j->next_base >= b.options.segment_bytes);
        journal_free(&b.j);
        seg->bytes[i] = (char)(seg->bytes[i] ^ 0x20);
    }
    snapshot_free(&s);
    bed_fini(&b);
}

static void test_cut_everywhere(void **state)
{
    (void)state;
    struct bed b;
    struct snapshot s;
    bed_init(&b);
    journal_fill(&b, 6, 60);
    snapshot_take(&b, &s, false);
    struct file *seg = snapshot_segment(&s, 0);
    size_t full = seg->len;
    uint64_t last = b.facts[b.fact_count - 1].position;
    for (size_t len = 0; len <= full; len += len < SEGMENT_HEADER - 8 ? 511 : len > last + 600 ? 509 : 1) {
        seg->len = len;
        snapshot_put(&b, &s);
        quiet_open(&b);
        struct bed_found found = bed_read_all(&b);
        size_t whole = 0; /* records of groups that end before the cut */
        for (size_t i = 0; i < b.fact_count; i++)
            whole += i + 1 < b.fact_count && b.facts[i + 1].position <= len;
        assert_true(found.facts + 3 >= whole && found.facts <= b.fact_count);
        if (len >= last + 400)
            assert_int_equal(found.facts, b.fact_count);
        if (len < full && found.facts < b.fact_count && len >= SEGMENT_HEADER + GROUP_HEADER)
            assert_true(b.report.torn_bytes + b.report.damages > 0 || found.facts + 3 >= whole);
        assert_true(b.j->next_base >= b.options.segment_bytes);
        journal_free(&b.j);
    }
    snapshot_free(&s);
    bed_fini(&b);
}

/* What was hurt can be written to again, twice over, and nothing old comes up. */
static void test_go_on_after_damage(void **state)
{
    (void)state;
    struct bed b;
    struct snapshot s;
    bed_init(&b);
    journal_fill(&b, 12, 60);
    snapshot_take(&b, &s, false);
    struct file *seg = snapshot_segment(&s, 0);
    uint64_t hurt = b.facts[8].position;
    seg->bytes[hurt + 80] = (char)(seg->bytes[hurt + 80] ^ 1);
    snapshot_put(&b, &s);
    for (int round = 0; round < 3; round++) {
        bed_open(&b);
        assert_int_equal(b.report.damages, round == 0 ? 1 : 0);
        struct read_damage damage;
        if (round == 0) {
            assert_true(journal_take_damage(b.j, &damage));
            assert_true(damage.from <= hurt && damage.to > hurt);
            assert_false(journal_take_damage(b.j, &damage));
            char path[PATH_MAX];
            struct stat st;
            snprintf(path, sizeof path, "%s/damaged/%016x-%llx.bad", b.dir, 0, (unsigned long long)damage.from);
            assert_int_equal(stat(path, &st), 0);
            assert_true((uint64_t)st.st_size == damage.to - damage.from);
        }
        struct bed_found found = bed_read_all(&b);
        assert_int_equal(found.damages, 1); /* its bytes stay, so readers meet it */
        assert_true(facts_lost(&b, found.facts) <= 3);
        struct journal_health h;
        journal_health(b.j, &h);
        assert_int_equal(h.damages, 1);
        for (int i = 0; i < 3; i++)
            assert_int_equal(bed_put(&b, 1, 100), ERR_OK);
        journal_close(&b.j);
    }
    snapshot_free(&s);
    bed_fini(&b);
}

/* --- several segments --- */

static void chain_make(struct bed *b, struct snapshot *s)
{
    bed_init(b);
    journal_fill(b, 60, 700);
    snapshot_take(b, s, false);
    assert_true(snapshot_segments(s) >= 5);
}

static size_t facts_in(const struct bed *b, uint64_t from, uint64_t to)
{
    size_t n = 0;
    for (size_t i = 0; i < b->fact_count; i++)
        n += b->facts[i].position >= from && b->facts[i].position < to;
    return n;
}

static bool damage_covers(struct bed *b, uint64_t position)
{
    for (uint32_t i = 0; i < b->j->damage_known; i++)
        if (b->j->damages[i].from <= position && position < b->j->damages[i].to)
            return true;
    return false;
}

/* After whatever happened: everything known that is not there is reported by position range or was torn. */
static void losses_reported(struct bed *b, uint64_t torn_from)
{
    bool *there = calloc(b->fact_count, 1);
    assert_non_null(there);
    uint64_t at = 0;
    struct journal_segment s;
    while (journal_segment_at(b->j, at, &s) == ERR_OK) {
        for (size_t i = 0; i < b->fact_count; i++) {
            struct buf copy;
            struct record record;
            buf_init(&copy, 1 << 20);
            if (b->facts[i].position >= s.first && b->facts[i].position < s.end)
                there[i] = journal_read(b->j, b->facts[i].position, &copy, &record) == ERR_OK;
            buf_free(&copy);
        }
        at = s.end;
    }
    (void)bed_read_all(b); /* readers report what they meet */
    for (size_t i = 0; i < b->fact_count; i++)
        if (!there[i] && b->facts[i].position < torn_from)
            assert_true(damage_covers(b, b->facts[i].position));
    free(there);
}

static void test_missing_segment(void **state)
{
    (void)state;
    struct bed b;
    struct snapshot s;
    chain_make(&b, &s);
    int n = snapshot_segments(&s);
    for (int gone = 0; gone < n; gone++) {
        snapshot_put(&b, &s);
        char path[PATH_MAX];
        struct file *f = snapshot_segment(&s, gone);
        uint64_t base = strtoull(f->name, NULL, 16);
        snprintf(path, sizeof path, "%s/%s", b.dir, f->name);
        assert_int_equal(unlink(path), 0);
        quiet_open(&b);
        struct bed_found found = bed_read_all(&b);
        assert_int_equal(facts_lost(&b, found.facts), facts_in(&b, base, base + b.options.segment_bytes));
        if (gone > 0 && gone < n - 1) { /* of the first and the last nothing can tell */
            assert_int_equal(b.report.damages, 1);
            losses_reported(&b, UINT64_MAX);
        }
        if (gone < n - 1)
            assert_true(b.j->next_base > highest_base(&s));
        journal_free(&b.j);
    }
    /* Two in a row. */
    snapshot_put(&b, &s);
    for (int gone = 1; gone < 3; gone++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", b.dir, snapshot_segment(&s, gone)->name);
        assert_int_equal(unlink(path), 0);
    }
    quiet_open(&b);
    losses_reported(&b, UINT64_MAX);
    journal_free(&b.j);
    snapshot_free(&s);
    bed_fini(&b);
}

/* Emptied, cut short, overwritten with zeros, with noise. */
static void test_ruined_segment(void **state)
{
    (void)state;
    struct bed b;
    struct snapshot s;
    chain_make(&b, &s);
    int n = snapshot_segments(&s);
    for (int which = 0; which < n; which++)
        for (int how = 0; how < 5; how++) {
            struct file *f = snapshot_segment(&s, which), old = *f;
            uint64_t base = strtoull(f->name, NULL, 16);
            f->bytes = malloc(old.len + 1);
            memcpy(f->bytes, old.bytes, old.len);
            switch (how) {
            case 0: f->len = 0; break;
            case 1: f->len = 5000; break;
            case 2: memset(f->bytes, 0, f->len); break;
            case 3:
                for (size_t i = 0; i < f->len; i++)
                    f->bytes[i] = (char)(i * 2654435761u >> 13);
                break;
            case 4: memset(f->bytes, 0, SEGMENT_HEADER); break; /* only the header: nothing is lost */
            }
            snapshot_put(&b, &s);
            quiet_open(&b);
            struct bed_found found = bed_read_all(&b);
            size_t lost = facts_lost(&b, found.facts);
            if (how == 4)
                assert_int_equal(lost, 0);
            else
                assert_true(lost <= facts_in(&b, base, base + b.options.segment_bytes));
            if (how != 2 || which != n - 1) /* the last one all zeros looks like one made ready */
                assert_true(b.report.damages > 0 || b.report.torn_bytes > 0 || found.damages > 0);
            losses_reported(&b, which == n - 1 ? base : UINT64_MAX);
            assert_true(b.j->next_base > highest_base(&s));
            /* It can be opened again, and written to. */
            journal_free(&b.j);
            bed_open(&b);
            size_t before = b.fact_count;
            assert_int_equal(bed_put(&b, 1, 10), ERR_OK);
            assert_true(b.facts[before].position > highest_base(&s));
            b.fact_count = before;
            journal_close(&b.j);
            free(f->bytes);
            *f = old;
        }
    snapshot_free(&s);
    bed_fini(&b);
}

static bool damaged_holds(const struct bed *b, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/damaged/%s", b->dir, name);
    return stat(path, &st) == 0;
}

static void test_doubled_and_foreign(void **state)
{
    (void)state;
    struct bed b, other;
    struct snapshot s, t;
    chain_make(&b, &s);
    chain_make(&other, &t);
    struct file *second = snapshot_segment(&s, 1);
    /* The same segment once more, under the name of a later one. */
    snapshot_put(&b, &s);
    file_store(b.dir, "0000000000fff000.seg", second->bytes, second->len);
    quiet_open(&b);
    assert_true(b.report.damages > 0);
    assert_true(damaged_holds(&b, "0000000000fff000.seg.0"));
    assert_true(b.j->next_base > 0xfff000);
    struct bed_found found = bed_read_all(&b);
    assert_int_equal(found.facts, b.fact_count);
    assert_int_equal(found.records, b.fact_count);
    journal_free(&b.j);
    quiet_open(&b); /* `damaged/` still keeps positions from being used */
    assert_true(b.j->next_base > 0xfff000);
    journal_free(&b.j);
    /* A segment of another journal, in one's place, and beyond all. */
    snapshot_put(&b, &s);
    file_store(b.dir, second->name, snapshot_segment(&t, 1)->bytes, snapshot_segment(&t, 1)->len);
    quiet_open(&b);
    found = bed_read_all(&b);
    assert_int_equal(found.records, found.facts);
    losses_reported(&b, UINT64_MAX);
    assert_true(damaged_holds(&b, "0000000000004000.seg.0"));
    journal_free(&b.j);
    snapshot_put(&b, &s);
    int last = snapshot_segments(&t) - 1;
    file_store(b.dir, "0000000000fff000.seg", snapshot_segment(&t, last)->bytes, snapshot_segment(&t, last)->len);
    file_store(b.dir, "ffffffffffff0000.seg", snapshot_segment(&t, last)->bytes, snapshot_segment(&t, last)->len);
    quiet_open(&b);
    found = bed_read_all(&b);
    assert_int_equal(found.records, b.fact_count);
    assert_true(b.j->next_base > 0xfff000 && b.j->next_base < UINT64_C(1) << 62);
    journal_free(&b.j);
    snapshot_free(&s);
    snapshot_free(&t);
    bed_fini(&b);
    bed_fini(&other);
}

/* The same journal, copied, went on elsewhere; one of its later segments got in here. */
static void test_clone(void **state)
{
    (void)state;
    struct bed b;
    struct snapshot s, here, there;
    bed_init(&b);
    journal_fill(&b, 30, 700);
    snapshot_take(&b, &s, true);
    size_t common = b.fact_count;
    bed_open(&b);
    for (int i = 0; i < 40; i++)
        assert_int_equal(bed_put(&b, 1, 700), ERR_OK);
    struct epoch first = b.j->epoch;
    journal_close(&b.j);
    snapshot_take(&b, &here, false);
    struct fact *facts = malloc(b.fact_count * sizeof *facts);
    size_t facts_here = b.fact_count;
    memcpy(facts, b.facts, facts_here * sizeof *facts);
    snapshot_put(&b, &s);
    b.fact_count = common;
    bed_open(&b);
    assert_memory_not_equal(&first, &b.j->epoch, sizeof first);
    for (int i = 0; i < 40; i++)
        assert_int_equal(bed_put(&b, 1, 650), ERR_OK);
    journal_close(&b.j);
    snapshot_take(&b, &there, false);
    memcpy(b.facts, facts, facts_here * sizeof *facts);
    b.fact_count = facts_here;
    int last = snapshot_segments(&here) - 1;
    for (int i = last; i > last - 2; i--) {
        struct file *f = snapshot_segment(&here, i);
        for (int k = 0; k < there.count; k++)
            if (strcmp(there.files[k].name, f->name) == 0) {
                snapshot_put(&b, &here);
                file_store(b.dir, f->name, there.files[k].bytes, there.files[k].len);
                quiet_open(&b);
                if (i < last)
                    assert_true(b.report.damages > 0);
                uint64_t base = strtoull(f->name, NULL, 16);
                assert_true(b.j->next_base > base);
                for (size_t n = 0; n < b.fact_count; n++) { /* nothing of the clone under an id of here */
                    struct journal_segment about;
                    if (b.facts[n].position >= base && b.facts[n].position < base + b.options.segment_bytes)
                        assert_int_equal(journal_find_batch(b.j, &b.facts[n].epoch, b.facts[n].position, &about),
                                         ERR_NOTFOUND);
                }
                journal_free(&b.j);
            }
    }
    free(facts);
    snapshot_free(&s);
    snapshot_free(&here);
    snapshot_free(&there);
    bed_fini(&b);
}

static void test_stream_mark_lost(void **state)
{
    (void)state;
    struct bed b;
    struct snapshot s;
    chain_make(&b, &s);
    static const char *const texts[] = {"", "nonsense that is long enough to be a mark, but is none",
                                        "00112233445566778899aabbccddeeff\n"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        snapshot_put(&b, &s);
        file_store(b.dir, "lock", texts[i], strlen(texts[i]));
        quiet_open(&b);
        bed_expect_all(&b);
        assert_int_equal(b.report.damages, 0);
        journal_free(&b.j);
    }
    snapshot_free(&s);
    bed_fini(&b);
}

/* --- a newer version, a full disk, no O_DIRECT --- */

static void test_newer_version(void **state)
{
    (void)state;
    struct bed b;
    struct snapshot s, after;
    chain_make(&b, &s);
    struct file *f = snapshot_segment(&s, 2);
    f->bytes[4] = 9;
    uint32_t crc = 0;
    extern uint32_t crc32c(uint32_t crc, const void *ptr, size_t len);
    crc = crc32c(0, f->bytes, SEGMENT_HEADER - 4);
    memcpy(f->bytes + SEGMENT_HEADER - 4, &crc, 4);
    snapshot_put(&b, &s);
    assert_int_equal(bed_try_open(&b), ERR_VERSION);
    snapshot_take(&b, &after, true);
    assert_int_equal(after.count, s.count);
    for (int i = 0; i < s.count; i++) {
        assert_string_equal(after.files[i].name, s.files[i].name);
        assert_int_equal(after.files[i].len, s.files[i].len);
        assert_memory_equal(after.files[i].bytes, s.files[i].bytes, s.files[i].len);
    }
    snapshot_free(&s);
    snapshot_free(&after);
    bed_fini(&b);
}

static int no_direct_open(const char *path, int flags, mode_t mode)
{
    if ((flags & O_DIRECT) != 0) {
        errno = EINVAL;
        return -1;
    }
    return sys_plain.open(path, flags, mode);
}

static void test_direct_refused(void **state)
{
    (void)state;
    struct bed b;
    bed_init(&b);
    journal_fill(&b, 10, 100);
    quick.open = no_direct_open;
    quiet_open(&b);
    assert_true(b.report.unverified_medium);
    bed_expect_all(&b);
    journal_free(&b.j);
    quick.open = sys_plain.open;
    quiet_open(&b);
    assert_false(b.report.unverified_medium);
    journal_free(&b.j);
    bed_fini(&b);
}

static ssize_t full_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    (void)fd, (void)parts, (void)count, (void)at;
    errno = ENOSPC;
    return -1;
}

/* No room for a copy of the tail: it is announced where it is, and nothing of it changes. */
static void test_full_disk_at_start(void **state)
{
    (void)state;
    struct bed b;
    struct snapshot s, after;
    bed_init(&b);
    journal_fill(&b, 10, 100);
    snapshot_take(&b, &s, false);
    struct file *seg = snapshot_segment(&s, 0);
    uint64_t last = b.facts[b.fact_count - 1].position;
    seg->bytes[last + 80] = (char)(seg->bytes[last + 80] ^ 1); /* a torn end that cannot be kept aside */
    snapshot_put(&b, &s);
    quick.pwritev = full_pwritev;
    quiet_open(&b);
    struct bed_found found = bed_read_all(&b);
    assert_true(facts_lost(&b, found.facts) >= 1 && facts_lost(&b, found.facts) <= 3);
    assert_int_equal(found.damages, 0);
    journal_free(&b.j);
    quick.pwritev = sys_plain.pwritev;
    snapshot_take(&b, &after, false);
    assert_memory_equal(snapshot_segment(&after, 0)->bytes, seg->bytes, seg->len);
    quiet_open(&b);
    assert_true(b.report.torn_bytes > 0);
    found = bed_read_all(&b);
    assert_true(facts_lost(&b, found.facts) <= 3);
    journal_free(&b.j);
    snapshot_free(&s);
    snapshot_free(&after);
    bed_fini(&b);
}

/* A page that the medium cannot give any more. */
static off_t unreadable;

static ssize_t sick_pread(int fd, void *to, size_t len, off_t at)
{
    if (at <= unreadable && at + (off_t)len > unreadable) {
        errno = EIO;
        return -1;
    }
    return pread(fd, to, len, at);
}

static void test_unreadable_page(void **state)
{
    (void)state;
    struct bed b;
    struct snapshot s;
    bed_init(&b);
    journal_fill(&b, 20, 300);
    snapshot_take(&b, &s, false);
    for (unreadable = 0; unreadable < BED_SEGMENT / 4; unreadable += 4096) {
        snapshot_put(&b, &s);
        quick.pread = sick_pread;
        quiet_open(&b);
        quick.pread = sys_plain.pread;
        struct bed_found found = bed_read_all(&b);
        assert_true(facts_lost(&b, found.facts) <=
                    facts_in(&b, (uint64_t)unreadable - 2048, (uint64_t)unreadable + 6144) + 6);
        if (facts_lost(&b, found.facts) > 0)
            assert_true(b.report.damages > 0 || b.report.torn_bytes > 0);
        journal_free(&b.j);
    }
    snapshot_free(&s);
    bed_fini(&b);
}

/* --- verify and repair --- */

struct walked {
    size_t segments, records, damages;
    uint64_t damaged;
    struct bed *b;
    int stop_after;
};

static int walk_segment(void *arg, const struct segment_header *header, const char *file)
{
    struct walked *w = arg;
    assert_true(strtoull(file, NULL, 16) == header->base);
    w->segments++;
    return 0;
}

static int walk_record(void *arg, const struct record *record, const struct epoch *epoch)
{
    struct walked *w = arg;
    const struct fact *fact = bed_fact(w->b, record->position);
    w->records++;
    assert_non_null(fact);
    assert_memory_equal(&fact->epoch, epoch, sizeof *epoch);
    assert_true(fact->content == content_hash(record->context, record->spans.ptr, record->spans.len, record->data));
    return w->stop_after > 0 && w->records == (size_t)w->stop_after ? 99 : 0;
}

static int walk_damage(void *arg, struct read_damage damage, const char *what)
{
    struct walked *w = arg;
    assert_non_null(what);
    w->damages++;
    w->damaged += damage.to - damage.from;
    return 0;
}

static struct walked walk(struct bed *b, const char *dir)
{
    struct walked w = {.b = b};
    struct journal_visitor visitor = {.segment = walk_segment, .record = walk_record, .damage = walk_damage, .arg = &w};
    struct err e = {.text = ""};
    assert_int_equal(journal_walk(dir, &visitor, &e), ERR_OK);
    return w;
}

static void test_walk_and_repair(void **state)
{
    (void)state;
    struct bed b;
    struct snapshot s;
    struct err e;
    char to[PATH_MAX];
    chain_make(&b, &s);
    snprintf(to, sizeof to, "%s-repaired", b.dir);
    struct walked w = walk(&b, b.dir);
    assert_int_equal(w.records, b.fact_count);
    assert_int_equal(w.damages, 0);
    assert_int_equal(w.segments, snapshot_segments(&s));
    /* Damage of each kind at once. */
    struct file *first = snapshot_segment(&s, 0), *third = snapshot_segment(&s, 2);
    first->bytes[6000] = (char)(first->bytes[6000] ^ 1);
    first->bytes[10] = (char)(first->bytes[10] ^ 1);
    third->len = 9000;
    int last = snapshot_segments(&s) - 1;
    struct file *tail = snapshot_segment(&s, last);
    tail->bytes[4096 + 300] = (char)(tail->bytes[4096 + 300] ^ 1);
    snapshot_put(&b, &s);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", b.dir, snapshot_segment(&s, 3)->name);
    assert_int_equal(unlink(path), 0);
    struct walked hurt = walk(&b, b.dir);
    assert_true(hurt.damages >= 4);
    assert_true(hurt.records < b.fact_count && hurt.records > 0);
    assert_int_equal(journal_repair(b.dir, to, &e), ERR_OK);
    struct walked mended = walk(&b, to);
    assert_int_equal(mended.damages, 0);
    assert_int_equal(mended.records, hurt.records);
    assert_int_equal(journal_repair(b.dir, to, &e), ERR_EXISTS);
    /* The old one is as it was, the new one opens like any journal. */
    assert_int_equal(walk(&b, b.dir).damages, hurt.damages);
    const char *old = b.options.dir;
    b.options.dir = to;
    bed_open(&b);
    struct bed_found found = bed_read_all(&b);
    assert_int_equal(found.records, mended.records);
    assert_int_equal(found.damages, 0);
    assert_int_equal(b.report.damages, 0);
    struct journal_visitor nobody = {.arg = NULL};
    assert_int_equal(journal_walk(to, &nobody, &e), ERR_BUSY);
    journal_close(&b.j);
    b.options.dir = old;
    struct walked stopped = {.b = &b, .stop_after = 3};
    struct journal_visitor visitor = {.record = walk_record, .arg = &stopped};
    assert_int_equal(journal_walk(b.dir, &visitor, &e), 99);
    assert_int_equal(journal_walk("/nonexistent/journal", &nobody, &e), ERR_NOTFOUND);
    tree_remove(to);
    snapshot_free(&s);
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flip_every_byte),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_go_on_after_damage),
        cmocka_unit_test(test_missing_segment),
        cmocka_unit_test(test_ruined_segment),
        cmocka_unit_test(test_doubled_and_foreign),
        cmocka_unit_test(test_clone),
        cmocka_unit_test(test_stream_mark_lost),
        cmocka_unit_test(test_newer_version),
        cmocka_unit_test(test_direct_refused),
        cmocka_unit_test(test_full_disk_at_start),
        cmocka_unit_test(test_unreadable_page),
        cmocka_unit_test(test_walk_and_repair),
    };
    return cmocka_run_group_tests(tests, quick_setup, NULL);
}
