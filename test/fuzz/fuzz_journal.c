/* A journal's files with anything in them: two good segments and an index, patched as the input says, with or without
 * checksums set right again afterwards (so that impossible numbers get past them). The reader, the scan and the index
 * read them from memory; one input in eight is a whole directory that is opened, read, walked and repaired.
 *
 * Input: flags, then patches of u16 place / 8, u8 length, bytes. Held: every step moves on, what is told lies inside
 * the file and in order, and recovery never takes a position twice. */
#include "base/crc32c.h"
#include "base/sys.h"
#include "journal/bytes.h"
#include "journal/files.h"
#include "journal/scan.h"
#include "journal/state.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    SIZE = 16 * 1024,
    BASE = 5 * SIZE,
    SALT = 77,
    FAKE_FD = 1 << 20,
    FLAG_SUMS = 1,
    FLAG_SEGMENT_SUM = 2,
    INDEX_SIZE = 9 * 4096,
};

static const struct epoch epoch = {.bytes = {1, 2, 3}}, stream = {.bytes = {9, 9}};
static unsigned char good[2][SIZE], good_index[INDEX_SIZE], file[INDEX_SIZE];
static size_t file_size;
static uint64_t good_end[2];
static char dir[160], repaired[160];

/* --- files in memory --- */

static struct sys table;

static int memory_open(const char *path, int flags, mode_t mode)
{
    return strcmp(path, "memory") == 0 ? FAKE_FD : sys_plain.open(path, flags, mode);
}

static int memory_close(int fd)
{
    return fd == FAKE_FD ? 0 : close(fd);
}

static ssize_t memory_pread(int fd, void *to, size_t len, off_t at)
{
    if (fd != FAKE_FD)
        return pread(fd, to, len, at);
    if ((size_t)at >= file_size)
        return 0;
    len = len < file_size - (size_t)at ? len : file_size - (size_t)at;
    memcpy(to, file + at, len);
    return (ssize_t)len;
}

static int no_sync(int fd)
{
    (void)fd;
    return 0;
}

/* --- the good ones --- */

static uint32_t record_put(unsigned char *at, uint64_t position, uint32_t rows, uint32_t size, uint32_t prev_crc)
{
    struct buf context;
    struct row_span spans[4];
    char data[2048];
    memset(data, 'd', sizeof data);
    buf_init(&context, 1024);
    CHECK(context_add(&context, CONTEXT_UUID, SLICE_LIT("plate")) == ERR_OK);
    CHECK(context_add(&context, CONTEXT_KEY, SLICE_LIT("key")) == ERR_OK && context_finish(&context) == ERR_OK);
    for (uint32_t i = 0; i < rows; i++)
        spans[i] = (struct row_span){.offset = i, .length = size - i, .index = i};
    struct record_parts parts = {.type = RECORD_ROWS,
                                 .rows = rows,
                                 .context = buf_slice(&context),
                                 .spans = spans,
                                 .data = slice_make(data, size)};
    parts.body_crc = record_body_crc(&parts);
    uint32_t crc = record_header_write(&parts, position, 1000, position, prev_crc, at);
    memcpy(at + RECORD_HEADER, context.ptr, context.len);
    memcpy(at + RECORD_HEADER + context.len, spans, rows * sizeof spans[0]);
    memcpy(at + RECORD_HEADER + context.len + rows * sizeof spans[0], data, size);
    buf_free(&context);
    return crc;
}

static void segment_make(int number)
{
    unsigned char *out = good[number];
    struct segment_header h = {.base = BASE + (uint64_t)number * SIZE,
                               .size = SIZE,
                               .epoch = epoch,
                               .salt = SALT,
                               .prev_base = number == 0 ? UINT64_MAX : BASE,
                               .prev_end = number == 0 ? UINT64_MAX : good_end[0],
                               .prev_epoch = epoch,
                               .stream = stream};
    uint32_t crc = 0;
    size_t at = SEGMENT_HEADER;
    segment_header_write(&h, out);
    for (uint32_t g = 0; g < 5; g++) {
        size_t begin = at;
        at += GROUP_HEADER;
        for (uint32_t i = 0; i <= g % 3; i++) {
            crc = record_put(out + at, h.base + at, i, 30 + 300 * g, crc);
            at += get_u32(out + at + 32);
        }
        struct group_header group = {.position = h.base + begin,
                                     .epoch = epoch,
                                     .salt = SALT,
                                     .length = (uint32_t)(at - begin),
                                     .records = g % 3 + 1,
                                     .last_crc = crc};
        group_header_write(&group, out + begin);
    }
    good_end[number] = h.base + at;
}

static void index_make(void)
{
    struct index *x = index_new();
    struct index_filter filter = {NULL, 0};
    char path[192], temporary[192];
    snprintf(path, sizeof path, "%s.idx", dir);
    snprintf(temporary, sizeof temporary, "%s.tmp", dir);
    CHECK(x != NULL);
    for (uint64_t i = 1; i < 500; i++)
        index_add(x, i * UINT64_C(0x9E3779B97F4A7C15), i % 3 == 0 ? i * 7919 : 0, BASE, BASE + i * 8);
    for (uint64_t i = 1; i < 500; i++)
        index_add_set(x, i % 4 == 0 ? slice_of("") : SLICE_LIT("a client"), 64, (int64_t)i, BASE, BASE + i * 8);
    struct index_place place = {.path = path, .base = BASE, .salt = SALT, .end = BASE + SIZE};
    CHECK(index_write(&place, temporary, x, &filter) == ERR_OK);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && file_read(fd, good_index, INDEX_SIZE, 0) == ERR_OK);
    close(fd);
    unlink(path);
    index_free(&x);
    filter_free(&filter);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    scratch_make();
    snprintf(dir, sizeof dir, "%s/journal", scratch);
    snprintf(repaired, sizeof repaired, "%s/repaired", scratch);
    segment_make(0);
    segment_make(1);
    index_make();
    table = sys_plain;
    table.open = memory_open;
    table.close = memory_close;
    table.pread = memory_pread;
    table.fsync = table.fdatasync = no_sync;
    sys = &table;
    return 0;
}

/* --- patching --- */

static void patch(unsigned char *bytes, size_t size, const uint8_t *data, size_t len)
{
    while (len > 3) {
        size_t place = (size_t)(get_u16(data) % (size / 8)) * 8, count = data[2];
        data += 3;
        len -= 3;
        count = count < len ? count : len;
        if (count > size - place)
            count = size - place;
        memcpy(bytes + place, data, count);
        data += count;
        len -= count;
    }
}

/* Where a group or a record seems to begin its checksums become right, whatever its fields say now. */
static void sums_mend(unsigned char *bytes, uint64_t base)
{
    for (size_t at = SIZE - RECORD_HEADER; at >= SEGMENT_HEADER; at -= 8) {
        if (record_mark(bytes + at, base + at)) {
            uint32_t length = get_u32(bytes + at + 32);
            if (length >= RECORD_HEADER && length <= SIZE - at)
                put_u32(bytes + at + 52, crc32c(0, bytes + at + RECORD_HEADER, length - RECORD_HEADER));
            put_u32(bytes + at + 60, crc32c(0, bytes + at, 60));
        } else if (group_header_mark(bytes + at, base + at)) {
            put_u32(bytes + at + 60, crc32c(0, bytes + at, 60));
        }
    }
}

static void segment_patch(unsigned char *bytes, uint64_t base, uint8_t flags, const uint8_t *data, size_t len)
{
    patch(bytes, SIZE, data, len);
    if ((flags & FLAG_SUMS) != 0)
        sums_mend(bytes, base);
    if ((flags & FLAG_SEGMENT_SUM) != 0)
        put_u32(bytes + SEGMENT_HEADER - 4, crc32c(0, bytes, SEGMENT_HEADER - 4));
}

/* --- what must hold --- */

static void record_use(const struct record *r)
{
    size_t at = 0;
    uint16_t tag;
    struct slice value;
    volatile char sum = 0;
    for (uint32_t i = 0; i < r->rows; i++) {
        struct slice row = record_row(r, i);
        for (size_t k = 0; k < row.len; k += 97)
            sum = (char)(sum ^ row.ptr[k]);
    }
    while (context_next(r->context, &at, &tag, &value))
        for (size_t k = 0; k < value.len; k++)
            sum = (char)(sum ^ value.ptr[k]);
}

static void reader_run(int fd, uint64_t base, uint64_t salt, uint64_t limit, size_t ahead)
{
    struct reader r;
    struct record record;
    struct read_damage damage;
    uint64_t at = base;
    int code;
    reader_init(&r, fd, base, salt);
    r.ahead = ahead;
    for (;;) {
        uint64_t before = at;
        enum read_result result = reader_next(&r, &at, limit, &record, &damage, &code);
        if (result == READ_END)
            break;
        if (result == READ_ERROR) {
            CHECK(code == ERR_VERSION);
            break;
        }
        CHECK(at > before && at <= limit);
        if (result == READ_DAMAGE)
            CHECK(damage.from < damage.to && damage.to == at && damage.from >= before);
        else
            record_use(&record);
        CHECK(result != READ_RECORD || (record.position >= before && record.position + record.length == at));
    }
    reader_fini(&r);
}

/* A header may promise more than there is. */
static void points_run(int fd, uint64_t base, uint64_t salt, uint64_t limit)
{
    struct reader r;
    struct record record;
    reader_init(&r, fd, base, salt);
    for (uint64_t at = base; at < limit; at += 8)
        if (reader_at(&r, at, limit, &record) == ERR_OK)
            CHECK(record.position == at && record.position + record.length <= limit);
    reader_fini(&r);
}

struct order {
    uint64_t last;
};

static int order_record(void *arg, const struct record *r)
{
    struct order *o = arg;
    CHECK(r->position >= o->last);
    o->last = r->position + r->length;
    return 0;
}

static int order_damage(void *arg, struct read_damage d)
{
    struct order *o = arg;
    CHECK(d.from >= o->last && d.to > d.from);
    o->last = d.to;
    return 0;
}

static void scan_run(uint64_t limit, bool known)
{
    struct reader r;
    struct scan_result result;
    struct order order = {.last = BASE};
    struct scan_visitor visitor = {.record = order_record, .damage = order_damage, .arg = &order};
    reader_init(&r, FAKE_FD, BASE, SALT);
    int code = scan_segment(&r, limit, known, 0, &visitor, &result);
    reader_fini(&r);
    CHECK(code == ERR_OK);
    CHECK(result.end >= BASE + SEGMENT_HEADER && result.end <= limit && order.last <= result.end);
    CHECK(result.torn_end >= result.end && result.torn_end <= limit);
}

static void segment_run(uint8_t flags, const uint8_t *data, size_t len)
{
    file_size = SIZE;
    memcpy(file, good[0], SIZE);
    segment_patch(file, BASE, flags, data, len);
    struct segment_header h;
    struct err e;
    (void)!segment_header_read(file, &h, &e);
    reader_run(FAKE_FD, BASE, SALT, BASE + SIZE, SIZE);
    reader_run(FAKE_FD, BASE, SALT, good_end[0], 1);        /* page by page */
    reader_run(FAKE_FD, BASE, SALT, BASE + 2 * SIZE, SIZE); /* the file ends before */
    points_run(FAKE_FD, BASE, SALT, good_end[0]);
    points_run(FAKE_FD, BASE, SALT, BASE + 2 * SIZE);
    scan_run(BASE + SIZE, false);
    scan_run(good_end[0], true);
}

static void sets_run(const struct index_place *place)
{
    struct sets_file sets;
    struct index_set set;
    uint32_t at;
    if (index_open_sets(place, &sets) != ERR_OK)
        return;
    (void)!sets_file_bound(&sets, 100, &at);
    for (uint64_t i = 0; i < sets.count; i += 1 + sets.count / 64) /* a count may say anything up to UINT32_MAX */
        if (sets_file_get(&sets, (uint32_t)i, &set) == ERR_OK)
            CHECK(set.client < sets.clients);
    sys->close(sets.fd);
}

static void index_run(uint8_t flags, const uint8_t *data, size_t len)
{
    struct index_place place = {.path = "memory", .base = BASE, .salt = SALT, .end = BASE + SIZE};
    struct index_filter filter = {NULL, 0};
    uint64_t positions[16];
    uint32_t found;
    file_size = INDEX_SIZE;
    memcpy(file, good_index, INDEX_SIZE);
    patch(file, INDEX_SIZE, data, len);
    if ((flags & FLAG_SUMS) != 0)
        for (size_t at = 0; at < INDEX_SIZE; at += 4096)
            put_u32(file + at + 4092, crc32c(0, file + at, 4092));
    if ((flags & FLAG_SEGMENT_SUM) != 0)
        put_u32(file + 44, crc32c(0, file + 4096, 4096)), put_u32(file + 4092, crc32c(0, file, 4092));
    struct index_clients clients = {.all = NULL};
    if (index_open(&place, &filter, &clients) == ERR_OK) {
        (void)filter_has(&filter, 7919 * 3);
        (void)clients_table_holds(&clients, SLICE_LIT("a client"), 0, 10);
    }
    filter_free(&filter);
    clients_table_fini(&clients);
    sets_run(&place);
    for (uint64_t i = 1; i < 500; i += 50)
        for (int kind = INDEX_UUIDS; kind <= INDEX_KEYS; kind++)
            if (index_lookup(&place, (enum index_kind)kind,
                             kind == INDEX_KEYS ? i * 7919 : i * UINT64_C(0x9E3779B97F4A7C15), UINT64_MAX, positions,
                             16, &found) == ERR_OK)
                CHECK(found <= 16);
}

/* --- a whole directory --- */

static void store(uint64_t base, const unsigned char *bytes, size_t len)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%016llx.seg", dir, (unsigned long long)base);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && file_write(fd, bytes, len, 0) == ERR_OK);
    close(fd);
}

static void journal_use(struct journal *j)
{
    struct journal_segment s;
    uint64_t at = 0;
    while (journal_segment_at(j, at, &s) == ERR_OK) {
        int fd;
        CHECK(s.end > at && s.first < s.end);
        CHECK(journal_hold(j, s.base, &fd, NULL) == ERR_OK);
        reader_run(fd, s.base, s.salt, s.end, SIZE / 2);
        points_run(fd, s.base, s.salt, s.end < s.base + 4 * SIZE ? s.end : s.base + 4 * SIZE);
        close(fd);
        journal_unhold(j, s.base);
        at = s.end;
    }
    CHECK(j->next_base >= BASE + 2 * SIZE && j->mark.position <= j->next_base);
}

static void directory_run(uint8_t flags, const uint8_t *data, size_t len)
{
    static unsigned char bytes[2][SIZE];
    memcpy(bytes, good, sizeof good);
    size_t half = len / 2;
    segment_patch(bytes[0], BASE, flags, data, half);
    segment_patch(bytes[1], BASE + SIZE, flags, data + half, len - half);
    scratch_remove(dir);
    scratch_remove(repaired);
    CHECK(mkdir(dir, 0700) == 0);
    store(BASE, bytes[0], (flags & 64) != 0 ? SIZE - (size_t)(flags & 7) * 1500 : SIZE);
    store(BASE + SIZE, bytes[1], (flags & 128) != 0 ? (size_t)(flags & 15) * 1000 : SIZE);
    struct journal_visitor nobody = {.arg = NULL};
    struct err e;
    int walked = journal_walk(dir, &nobody, &e);
    CHECK(walked == ERR_OK || walked == ERR_VERSION);
    if (journal_repair(dir, repaired, &e) == ERR_OK)
        CHECK(journal_walk(repaired, &nobody, &e) == ERR_OK);
    struct journal_options options = {.dir = dir, .segment_bytes = SIZE, .max_bytes = 100 * SIZE};
    for (int round = 0; round < 2; round++) {
        struct journal *j;
        struct journal_report report;
        int code = journal_open_quiet(&j, &options, &report, &e);
        CHECK(code == walked);
        if (code != ERR_OK)
            break;
        journal_use(j);
        journal_free(&j);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t flags = data[0];
    switch (flags >> 2 & 7) {
    case 0: directory_run(flags, data + 1, size - 1); break;
    case 1: index_run(flags, data + 1, size - 1); break;
    default: segment_run(flags, data + 1, size - 1); break;
    }
    return 0;
}
