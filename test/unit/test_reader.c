/* The segment reader on files made by hand: groups, damage, growth, stale bytes, reads that fail or come short. */
#include "base/sys.h"
#include "journal/files.h"
#include "journal/reader.h"
#include "journal/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BASE = 0x100000, SALT = 4711, RECORDS_MAX = 64 };

/* --- a segment being made --- */

struct made {
    char path[64];
    int fd;
    char *bytes;
    size_t cap, len;
    uint64_t group;                /* position of the open group */
    uint64_t records[RECORDS_MAX]; /* positions */
    uint64_t groups[RECORDS_MAX];
    uint32_t record_count, group_count, in_group;
    uint32_t prev_crc;
    uint64_t rows;
};

static void made_init(struct made *m, size_t cap)
{
    memset(m, 0, sizeof *m);
    snprintf(m->path, sizeof m->path, "/tmp/reader-test-XXXXXX");
    m->fd = mkstemp(m->path);
    assert_true(m->fd >= 0);
    m->bytes = calloc(1, cap);
    assert_non_null(m->bytes);
    m->cap = cap;
    m->len = SEGMENT_HEADER;
}

static void made_fini(struct made *m)
{
    close(m->fd);
    unlink(m->path);
    free(m->bytes);
}

static void group_begin(struct made *m)
{
    m->group = BASE + m->len;
    m->groups[m->group_count++] = m->group;
    m->len += GROUP_HEADER;
    m->in_group = 0;
}

static void record_add(struct made *m, size_t size)
{
    struct row_span span = {.offset = 0, .length = (uint32_t)size, .index = m->rows};
    char *data = malloc(size + 1);
    assert_non_null(data);
    memset(data, 'a' + (int)(m->rows % 26), size);
    struct record_parts parts = {.type = RECORD_ROWS, .rows = 1, .spans = &span, .data = slice_make(data, size)};
    parts.body_crc = record_body_crc(&parts);
    assert_true(m->len + record_length(&parts) <= m->cap);
    unsigned char *at = (unsigned char *)m->bytes + m->len;
    m->records[m->record_count++] = BASE + m->len;
    m->prev_crc = record_header_write(&parts, BASE + m->len, 1000, m->rows++, m->prev_crc, at);
    memcpy(at + RECORD_HEADER, &span, sizeof span);
    memcpy(at + RECORD_HEADER + sizeof span, data, size);
    m->len += record_length(&parts);
    m->in_group++;
    free(data);
}

static void group_end_salt(struct made *m, uint64_t salt)
{
    struct group_header g = {.position = m->group,
                             .salt = salt,
                             .length = (uint32_t)(BASE + m->len - m->group),
                             .records = m->in_group,
                             .last_crc = m->in_group > 0 ? m->prev_crc : 0};
    group_header_write(&g, (unsigned char *)m->bytes + (m->group - BASE));
}

static void group_end(struct made *m)
{
    group_end_salt(m, SALT);
}

static void made_write(struct made *m)
{
    assert_int_equal(ftruncate(m->fd, 0), 0);
    assert_int_equal(file_write(m->fd, m->bytes, m->len, 0), ERR_OK);
}

static uint64_t made_end(const struct made *m)
{
    return BASE + m->len;
}

/* Three groups of three records. */
static void made_usual(struct made *m)
{
    made_init(m, 1 << 20);
    for (int g = 0; g < 3; g++) {
        group_begin(m);
        for (int i = 0; i < 3; i++)
            record_add(m, 100 + (size_t)(g * 3 + i) * 333);
        group_end(m);
    }
    made_write(m);
}

/* --- reading all of it --- */

struct outcome {
    uint32_t records, damages;
    uint64_t positions[RECORDS_MAX];
    struct read_damage damage[RECORDS_MAX];
    enum read_result last;
    int code;
};

static struct outcome read_all(struct reader *r, uint64_t at, uint64_t limit)
{
    struct outcome o = {.records = 0};
    for (int steps = 0; steps < 1000; steps++) {
        struct record record;
        struct read_damage damage;
        o.last = reader_next(r, &at, limit, &record, &damage, &o.code);
        if (o.last == READ_RECORD) {
            o.positions[o.records++] = record.position;
            assert_int_equal(record_row(&record, 0).ptr[0], 'a' + (int)(record.first_row % 26));
        } else if (o.last == READ_DAMAGE) {
            o.damage[o.damages++] = damage;
            assert_true(damage.to > damage.from && damage.to <= limit);
        } else {
            break;
        }
    }
    return o;
}

static void test_reads_all(void **state)
{
    (void)state;
    struct made m;
    struct reader r;
    made_usual(&m);
    reader_init(&r, m.fd, BASE, SALT);
    struct outcome o = read_all(&r, BASE, made_end(&m));
    assert_int_equal(o.records, 9);
    assert_int_equal(o.last, READ_END);
    assert_memory_equal(o.positions, m.records, 9 * sizeof m.records[0]);
    /* From any group or record on, also with a reader that has just been elsewhere. */
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(read_all(&r, m.records[i], made_end(&m)).records, 9 - i);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(read_all(&r, m.groups[i], made_end(&m)).records, 9 - 3 * i);
    for (uint32_t i = 0; i < 3; i++) /* up to a group's end only */
        assert_int_equal(read_all(&r, BASE, m.groups[i]).records, 3 * i);
    reader_trim(&r, 4096);
    assert_null(r.bytes);
    assert_int_equal(read_all(&r, BASE, made_end(&m)).records, 9);
    reader_fini(&r);
    made_fini(&m);
}

static void test_another_salt(void **state)
{
    (void)state;
    struct made m;
    struct reader r;
    made_usual(&m);
    reader_init(&r, m.fd, BASE, SALT + 1);
    struct outcome o = read_all(&r, BASE, made_end(&m));
    assert_int_equal(o.records, 0);
    assert_int_equal(o.damages, 1);
    reader_fini(&r);
    reader_init(&r, m.fd, BASE + 4096, SALT); /* the same bytes at another position: stale */
    o = read_all(&r, BASE + 4096, made_end(&m));
    assert_int_equal(o.records, 0);
    reader_fini(&r);
    made_fini(&m);
}

static void test_bad_record(void **state)
{
    (void)state;
    struct made m;
    struct reader r;
    made_usual(&m);
    m.bytes[m.records[4] - BASE + 70] ^= 1;
    made_write(&m);
    reader_init(&r, m.fd, BASE, SALT);
    struct outcome o = read_all(&r, BASE, made_end(&m));
    assert_int_equal(o.records, 3 + 1 + 3);
    assert_int_equal(o.damages, 1);
    assert_true(o.damage[0].from == m.records[4] && o.damage[0].to == m.groups[2]);
    /* Without its group the next good group is searched for. */
    struct reader fresh;
    reader_init(&fresh, m.fd, BASE, SALT);
    o = read_all(&fresh, m.records[4], made_end(&m));
    assert_int_equal(o.records, 3);
    assert_true(o.damage[0].from == m.records[4] && o.damage[0].to == m.groups[2]);
    reader_fini(&fresh);
    /* A seek back must not use the end of a later group. */
    m.bytes[m.records[1] - BASE + 70] ^= 1;
    made_write(&m);
    reader_trim(&r, 0);
    assert_int_equal(read_all(&r, m.groups[2], made_end(&m)).records, 3);
    o = read_all(&r, m.records[1], made_end(&m));
    assert_true(o.damage[0].from == m.records[1] && o.damage[0].to == m.groups[1]);
    reader_fini(&r);
    made_fini(&m);
}

static void test_bad_group_header(void **state)
{
    (void)state;
    struct made m;
    struct reader r;
    made_usual(&m);
    m.bytes[m.groups[1] - BASE + 50] ^= 1;
    made_write(&m);
    reader_init(&r, m.fd, BASE, SALT);
    struct outcome o = read_all(&r, BASE, made_end(&m));
    assert_int_equal(o.records, 6);
    assert_int_equal(o.damages, 1);
    assert_true(o.damage[0].from == m.groups[1] && o.damage[0].to == m.groups[2]);
    m.bytes[m.groups[2] - BASE] ^= 1;
    made_write(&m);
    reader_trim(&r, 0);
    o = read_all(&r, BASE, made_end(&m));
    assert_int_equal(o.records, 3);
    assert_true(o.damage[0].from == m.groups[1] && o.damage[0].to == made_end(&m));
    reader_fini(&r);
    made_fini(&m);
}

/* Every single byte: never more than the group around it, and what is left is right. */
static void test_every_byte(void **state)
{
    (void)state;
    struct made m;
    made_usual(&m);
    for (size_t i = SEGMENT_HEADER; i < m.len; i++) {
        struct reader r;
        char flipped = (char)(m.bytes[i] ^ 0x10);
        assert_int_equal(pwrite(m.fd, &flipped, 1, (off_t)i), 1);
        reader_init(&r, m.fd, BASE, SALT);
        struct outcome o = read_all(&r, BASE, made_end(&m));
        assert_int_equal(o.last, READ_END);
        assert_int_equal(o.damages, 1);
        assert_true(o.records >= 6 && o.records < 9);
        assert_true(o.damage[0].from <= BASE + i && o.damage[0].to > BASE + i);
        reader_fini(&r);
        assert_int_equal(pwrite(m.fd, m.bytes + i, 1, (off_t)i), 1);
    }
    made_fini(&m);
}

static void test_cut_file(void **state)
{
    (void)state;
    struct made m;
    made_usual(&m);
    for (size_t len = 0; len < m.len; len += 13) {
        struct reader r;
        made_write(&m);
        assert_int_equal(ftruncate(m.fd, (off_t)len), 0);
        reader_init(&r, m.fd, BASE, SALT);
        struct outcome o = read_all(&r, BASE, made_end(&m));
        assert_int_equal(o.last, READ_END);
        uint64_t whole = 0; /* records entirely before the cut */
        for (uint32_t i = 0; i < 9; i++)
            whole += (i < 8 ? (i % 3 == 2 ? m.groups[i / 3 + 1] : m.records[i + 1]) : made_end(&m)) <= BASE + len;
        assert_int_equal(o.records, whole);
        assert_true(o.damages >= 1 && o.damage[o.damages - 1].to == made_end(&m));
        for (uint32_t i = 1; i < o.damages; i++)
            assert_true(o.damage[i].from == o.damage[i - 1].to);
        reader_fini(&r);
    }
    made_fini(&m);
}

static void test_large_record(void **state)
{
    (void)state;
    struct made m;
    struct reader r;
    struct record record;
    made_init(&m, 8 << 20);
    group_begin(&m);
    record_add(&m, 10);
    record_add(&m, 5 << 20);
    record_add(&m, 10);
    group_end(&m);
    made_write(&m);
    reader_init(&r, m.fd, BASE, SALT);
    assert_int_equal(read_all(&r, BASE, made_end(&m)).records, 3);
    assert_true(r.cap >= 5 << 20);
    assert_int_equal(reader_at(&r, m.records[1], made_end(&m), &record), ERR_OK);
    assert_int_equal(record.data.len, 5 << 20);
    reader_fini(&r);
    made_fini(&m);
}

/* The head grows: what stood beyond the limit before is read again. */
static void test_growth(void **state)
{
    (void)state;
    struct made m;
    struct reader r;
    struct record record;
    struct read_damage damage;
    int code;
    made_init(&m, 1 << 20);
    group_begin(&m);
    record_add(&m, 100);
    group_end(&m);
    uint64_t first_end = made_end(&m), at = BASE;
    made_write(&m);
    assert_int_equal(ftruncate(m.fd, 1 << 20), 0);
    reader_init(&r, m.fd, BASE, SALT);
    assert_int_equal(reader_next(&r, &at, first_end, &record, &damage, &code), READ_RECORD);
    assert_int_equal(reader_next(&r, &at, first_end, &record, &damage, &code), READ_END);
    group_begin(&m);
    record_add(&m, 100);
    record_add(&m, 10000);
    group_end(&m);
    made_write(&m);
    assert_int_equal(reader_next(&r, &at, made_end(&m), &record, &damage, &code), READ_RECORD);
    assert_true(record.position == m.records[1]);
    assert_int_equal(reader_next(&r, &at, made_end(&m), &record, &damage, &code), READ_RECORD);
    assert_int_equal(reader_next(&r, &at, made_end(&m), &record, &damage, &code), READ_END);
    reader_fini(&r);
    made_fini(&m);
}

static void test_at(void **state)
{
    (void)state;
    struct made m;
    struct reader r;
    struct record record;
    made_usual(&m);
    reader_init(&r, m.fd, BASE, SALT);
    for (uint32_t i = 0; i < 9; i++) {
        assert_int_equal(reader_at(&r, m.records[i], made_end(&m), &record), ERR_OK);
        assert_true(record.position == m.records[i]);
    }
    assert_int_equal(reader_at(&r, m.groups[0], made_end(&m), &record), ERR_NOTFOUND);
    assert_int_equal(reader_at(&r, m.records[0] + 8, made_end(&m), &record), ERR_NOTFOUND);
    assert_int_equal(reader_at(&r, 0, made_end(&m), &record), ERR_NOTFOUND);
    assert_int_equal(reader_at(&r, made_end(&m), made_end(&m), &record), ERR_NOTFOUND);
    assert_int_equal(reader_at(&r, made_end(&m) + 64, made_end(&m), &record), ERR_NOTFOUND);
    assert_int_equal(reader_at(&r, m.records[8], made_end(&m) - 8, &record), ERR_DAMAGED); /* leads beyond */
    m.bytes[m.records[4] - BASE + 70] ^= 1;
    made_write(&m);
    reader_trim(&r, 0);
    assert_int_equal(reader_at(&r, m.records[4], made_end(&m), &record), ERR_DAMAGED);
    assert_int_equal(ftruncate(m.fd, (off_t)(m.records[4] - BASE + 100)), 0);
    reader_trim(&r, 0);
    assert_int_equal(reader_at(&r, m.records[4], made_end(&m), &record), ERR_DAMAGED);
    reader_fini(&r);
    made_fini(&m);
}

/* Room that a repair left: no record, no damage. */
static void test_empty_group(void **state)
{
    (void)state;
    struct made m;
    struct reader r;
    made_init(&m, 1 << 20);
    group_begin(&m);
    record_add(&m, 100);
    group_end(&m);
    group_begin(&m);
    memset(m.bytes + m.len, 0xEE, 512);
    m.len += 512;
    group_end(&m);
    group_begin(&m);
    record_add(&m, 100);
    group_end(&m);
    made_write(&m);
    reader_init(&r, m.fd, BASE, SALT);
    struct outcome o = read_all(&r, BASE, made_end(&m));
    assert_int_equal(o.records, 2);
    assert_int_equal(o.damages, 0);
    reader_fini(&r);
    made_fini(&m);
}

/* --- reads that do not go well --- */

static struct sys faulty;
static int reads, fail_errno;
static size_t bytes_read;
static off_t bad_from, bad_to; /* a place of the medium that cannot be read */
static size_t most;            /* bytes of one read */
static int interrupt_every;

static ssize_t faulty_pread(int fd, void *to, size_t len, off_t at)
{
    reads++;
    if (interrupt_every > 0 && reads % interrupt_every == 0) {
        errno = EINTR;
        return -1;
    }
    if (most > 0 && len > most)
        len = most;
    if (fail_errno != 0 && at < bad_to && at + (off_t)len > bad_from) {
        errno = fail_errno;
        return -1;
    }
    ssize_t n = pread(fd, to, len, at);
    bytes_read += n > 0 ? (size_t)n : 0;
    return n;
}

static void faults_begin(void)
{
    faulty = sys_plain;
    faulty.pread = faulty_pread;
    reads = fail_errno = interrupt_every = 0;
    bad_from = bad_to = 0;
    most = bytes_read = 0;
    sys = &faulty;
}

static void faults_end(void)
{
    sys = &sys_plain;
}

static void test_short_and_interrupted(void **state)
{
    (void)state;
    struct made m;
    struct reader r;
    made_usual(&m);
    faults_begin();
    most = 100;
    interrupt_every = 3;
    reader_init(&r, m.fd, BASE, SALT);
    assert_int_equal(read_all(&r, BASE, made_end(&m)).records, 9);
    reader_fini(&r);
    faults_end();
    made_fini(&m);
}

/* Reading on in steps of any size gives the same records, and no page is read twice; also not when a record is larger
 * than a step, or when every other read comes short. */
static void test_steps(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 4096, 20000, 64 * 1024, 1 << 20};
    struct made m;
    made_init(&m, 8 << 20);
    for (int g = 0; g < 20; g++) {
        group_begin(&m);
        for (int i = 0; i < 3; i++)
            record_add(&m, 10 + (size_t)(g * 3 + i) * 37 % 61 * 1500 + (g == 7 ? 300000 : 0));
        group_end(&m);
    }
    made_write(&m);
    for (size_t i = 0; i < COUNT_OF(steps) * 2; i++) {
        struct reader r;
        faults_begin();
        most = i % 2 == 0 ? 0 : 8192;
        reader_init(&r, m.fd, BASE, SALT);
        r.ahead = steps[i / 2];
        struct outcome o = read_all(&r, BASE, made_end(&m));
        assert_int_equal(o.records, 60);
        assert_int_equal(o.damages, 0);
        assert_memory_equal(o.positions, m.records, 60 * sizeof m.records[0]);
        assert_true(bytes_read == m.len - SEGMENT_HEADER);
        reader_fini(&r);
        faults_end();
    }
    made_fini(&m);
}

static void test_read_error(void **state)
{
    (void)state;
    struct made m;
    struct reader r;
    made_usual(&m);
    faults_begin();
    fail_errno = EIO;
    bad_from = (off_t)(m.records[4] - BASE) / 4096 * 4096;
    bad_to = bad_from + 4096;
    reader_init(&r, m.fd, BASE, SALT);
    struct outcome o = read_all(&r, BASE, made_end(&m));
    assert_int_equal(o.last, READ_ERROR);
    assert_int_equal(o.code, ERR_IO);
    struct record record;
    assert_int_equal(reader_at(&r, m.records[4], made_end(&m), &record), ERR_IO);
    fail_errno = ENOMEM;
    assert_int_equal(read_all(&r, BASE, made_end(&m)).code, ERR_NOMEM);
    fail_errno = 0; /* the same call again */
    assert_int_equal(read_all(&r, BASE, made_end(&m)).records, 9);
    reader_fini(&r);
    /* For recovery an unreadable page is damage. */
    fail_errno = EIO;
    reader_init(&r, m.fd, BASE, SALT);
    r.blank = true;
    o = read_all(&r, BASE, made_end(&m));
    assert_int_equal(o.last, READ_END);
    assert_true(o.damages >= 1 && o.records < 9);
    assert_true(r.unreadable >= 4096);
    reader_fini(&r);
    faults_end();
    made_fini(&m);
}

static void test_direct(void **state)
{
    (void)state;
    struct made m;
    struct reader r;
    made_usual(&m);
    int fd = open(m.path, O_RDONLY | O_DIRECT);
    if (fd < 0) { /* a file system without it: nothing to test here */
        made_fini(&m);
        skip();
    }
    reader_init(&r, fd, BASE, SALT);
    assert_int_equal(read_all(&r, BASE, made_end(&m)).records, 9);
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(read_all(&r, m.records[8 - i], made_end(&m)).records, i + 1);
    reader_fini(&r);
    close(fd);
    made_fini(&m);
}

/* --- scanning for the end --- */

struct seen {
    uint32_t records, damages;
    struct read_damage damage[8];
};

static int seen_record(void *arg, const struct record *record)
{
    struct seen *s = arg;
    (void)record;
    s->records++;
    return 0;
}

static int seen_damage(void *arg, struct read_damage damage)
{
    struct seen *s = arg;
    s->damage[s->damages++ % 8] = damage;
    return 0;
}

static struct seen scan(const struct made *m, bool known, struct scan_result *result)
{
    struct seen seen = {.records = 0};
    struct scan_visitor visitor = {.record = seen_record, .damage = seen_damage, .arg = &seen};
    struct reader r;
    reader_init(&r, m->fd, BASE, SALT);
    assert_int_equal(scan_segment(&r, BASE + m->cap, known, 5, &visitor, result), ERR_OK);
    reader_fini(&r);
    return seen;
}

static void test_scan(void **state)
{
    (void)state;
    struct made m;
    struct scan_result result;
    made_usual(&m);
    assert_int_equal(ftruncate(m.fd, (off_t)m.cap), 0);
    struct seen seen = scan(&m, false, &result);
    assert_int_equal(seen.records, 9);
    assert_true(result.end == made_end(&m) && result.torn_end == result.end && result.rows == 9);
    assert_int_equal(result.groups, 3);
    seen = scan(&m, true, &result); /* the rest was durable once, they say */
    assert_int_equal(seen.damages, 1);
    assert_true(seen.damage[0].from == made_end(&m) && result.end == BASE + m.cap);
    /* The last group is not whole: torn, also when only its first header byte is. */
    for (size_t i = m.groups[2] - BASE; i < m.len; i += 7) {
        char flipped = (char)(m.bytes[i] ^ 4);
        assert_int_equal(pwrite(m.fd, &flipped, 1, (off_t)i), 1);
        seen = scan(&m, false, &result);
        assert_int_equal(seen.records, 6);
        assert_int_equal(seen.damages, 0);
        assert_true(result.end == m.groups[2] && result.rows == 6);
        assert_true(result.torn_end > result.end);
        assert_int_equal(pwrite(m.fd, m.bytes + i, 1, (off_t)i), 1);
    }
    /* One in the middle is not: damage. */
    for (size_t i = m.groups[1] - BASE; i < m.groups[2] - BASE; i += 7) {
        char flipped = (char)(m.bytes[i] ^ 4);
        assert_int_equal(pwrite(m.fd, &flipped, 1, (off_t)i), 1);
        seen = scan(&m, false, &result);
        assert_int_equal(seen.records, 6);
        assert_int_equal(seen.damages, 1);
        assert_true(seen.damage[0].from <= BASE + i && seen.damage[0].to > BASE + i);
        assert_true(result.end == made_end(&m));
        assert_int_equal(pwrite(m.fd, m.bytes + i, 1, (off_t)i), 1);
    }
    made_fini(&m);
}

/* Records whole, but not the ones the header speaks of, or not one after the other. */
static void test_scan_chain(void **state)
{
    (void)state;
    struct made m;
    struct scan_result result;
    made_init(&m, 1 << 20);
    group_begin(&m);
    record_add(&m, 10);
    m.prev_crc ^= 1; /* the chain breaks inside */
    record_add(&m, 10);
    group_end(&m);
    group_begin(&m);
    record_add(&m, 10);
    m.in_group = 2; /* one too many is promised */
    group_end(&m);
    group_begin(&m);
    record_add(&m, 10);
    group_end(&m);
    group_begin(&m);
    m.prev_crc ^= 1; /* the chain breaks between groups */
    record_add(&m, 10);
    group_end(&m);
    group_begin(&m);
    record_add(&m, 10);
    group_end(&m);
    made_write(&m);
    assert_int_equal(ftruncate(m.fd, (off_t)m.cap), 0);
    struct seen seen = scan(&m, false, &result);
    assert_int_equal(result.groups, 2);
    assert_int_equal(seen.records, 2);
    assert_int_equal(result.damages, 3);
    assert_true(seen.damage[0].from == m.records[1]);
    made_fini(&m);
}

static void test_scan_stale(void **state)
{
    (void)state;
    struct made m;
    struct scan_result result;
    made_usual(&m); /* whole, but of another life of the file */
    for (int g = 0; g < 3; g++) {
        struct group_header h;
        unsigned char *at = (unsigned char *)m.bytes + (m.groups[g] - BASE);
        assert_int_equal(group_header_read(at, m.groups[g], SALT, &h), ERR_OK);
        h.salt = SALT + 1;
        group_header_write(&h, at);
    }
    made_write(&m);
    struct reader r;
    struct group_header g;
    struct scan_visitor nobody = {.arg = NULL};
    reader_init(&r, m.fd, BASE, SALT);
    assert_int_equal(scan_segment(&r, made_end(&m), false, 0, &nobody, &result), ERR_OK);
    assert_true(result.end == BASE + SEGMENT_HEADER && result.groups == 0);
    assert_int_equal(scan_first_group(&r, made_end(&m), &g), ERR_OK);
    assert_true(g.salt == SALT + 1 && g.position == m.groups[0]);
    reader_fini(&r);
    made_fini(&m);
}

/* More bad groups in a row than are remembered one by one. */
static void test_scan_many_bad(void **state)
{
    (void)state;
    struct made m;
    struct scan_result result;
    made_init(&m, 1 << 20);
    for (int i = 0; i < 300; i++) {
        group_begin(&m);
        m.group_count = 0;
        record_add(&m, 10);
        record_add(&m, 10);
        m.record_count = 0;
        group_end(&m);
        if (i < 299)
            m.bytes[m.len - 100] ^= 1; /* the second record of each but the last */
    }
    made_write(&m);
    assert_int_equal(ftruncate(m.fd, (off_t)m.cap), 0);
    struct seen seen = scan(&m, false, &result);
    assert_int_equal(seen.records, 2);
    assert_int_equal(result.damages, 64);
    assert_true(result.end == made_end(&m));
    made_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_all),
        cmocka_unit_test(test_another_salt),
        cmocka_unit_test(test_bad_record),
        cmocka_unit_test(test_bad_group_header),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_cut_file),
        cmocka_unit_test(test_large_record),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_at),
        cmocka_unit_test(test_empty_group),
        cmocka_unit_test(test_short_and_interrupted),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_read_error),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_scan_chain),
        cmocka_unit_test(test_scan_stale),
        cmocka_unit_test(test_scan_many_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
