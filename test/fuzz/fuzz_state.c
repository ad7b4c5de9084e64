/* What a pusher keeps on disk, with anything in it: a good cursor, settle stream or aside file, patched as the input
 * says, with or without checksums set right again (so that impossible numbers get past them).
 *
 * Input: flags, then patches of u16 place, u8 length, bytes. Held: nothing outside the file is read; what can be read
 * is within its bounds; a cursor that can be read is the same after it was written again; an aside file's rows can be
 * read where its index says they are. */
#include "base/crc32c.h"
#include "base/sys.h"
#include "delivery/aside.h"
#include "delivery/cursor.h"
#include "delivery/settle.h"
#include "journal/bytes.h"
#include "scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLAG_SUMS = 4, HEAD = 32, SEGMENT_BASE = 0x51000, GOOD_MAX = 2 * CURSOR_SLOT };
enum kind { CURSOR, SETTLE, ASIDE, KINDS };

struct good {
    const char *name;
    unsigned char bytes[GOOD_MAX];
    size_t len;
};

static struct good goods[KINDS] = {{.name = "cursor"}, {.name = "settle/0000000000051000"}, {.name = "aside/00000001"}};
static unsigned char file[GOOD_MAX];
static struct sys table;

static int no_sync(int fd)
{
    (void)fd;
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[192];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    return path;
}

/* --- the good ones --- */

static void cursors_make(struct err *e)
{
    static struct cursor_waiting waiting[3];
    static struct cursor c = {.registered = 7, .paused = true, .lane_count = 3, .state_len = 5, .replay_count = 1};
    for (uint32_t i = 0; i < 3; i++) {
        c.lanes[i] = (struct place){SEGMENT_BASE + 64 * i, i};
        waiting[i] =
            (struct cursor_waiting){.place = {1000 + i, i}, .uuid_hash = i, .attempts = i, .kind = WAITING_RETRY};
    }
    c.plans[1] = (struct cursor_plan){.from = {1000, 0}, .to = {2000, 1}, .there = true};
    c.replays[0] = (struct cursor_replay){.id = 3, .to = 99, .rate = 5};
    c.waiting = waiting;
    c.waiting_count = 3;
    for (c.sequence = 1; c.sequence <= 2; c.sequence++)
        CHECK(cursor_write(scratch, &c, e) == ERR_OK);
}

static void settles_make(struct err *e)
{
    struct settle_entry entries[8];
    for (uint32_t i = 0; i < COUNT_OF(entries); i++)
        entries[i] = (struct settle_entry){.place = {SEGMENT_BASE + 128 * i, i},
                                           .rows = i,
                                           .attempts = i + 1,
                                           .outcome = (uint8_t)(i % OUTCOME_COUNT),
                                           .end = i == 0 ? SEGMENT_BASE + 64 : 0,
                                           .segment = SEGMENT_BASE};
    CHECK(settle_append(scratch, entries, COUNT_OF(entries), e) == ERR_OK);
}

/* The journal of the rows that are set aside: each position holds one row set of four rows. */
static int row_at(void *arg, void **session, uint64_t position, struct record *record)
{
    static struct buf context;
    static char data[64];
    (void)arg, (void)session;
    buf_free(&context);
    buf_init(&context, 1024);
    CHECK(context_add(&context, CONTEXT_UUID, SLICE_LIT("plate")) == ERR_OK && context_finish(&context) == ERR_OK);
    memset(data, 'd', sizeof data);
    static const struct row_span spans[4] = {{.offset = 0, .length = 9}, {.offset = 9, .length = 20}};
    *record = (struct record){.type = RECORD_ROWS,
                              .position = position,
                              .rows = COUNT_OF(spans),
                              .context = buf_slice(&context),
                              .spans = slice_make(spans, sizeof spans),
                              .data = slice_make(data, sizeof data)};
    return ERR_OK;
}

static void row_end(void *arg, void **session)
{
    (void)arg, (void)session;
}

static void asides_make(struct err *e)
{
    static struct aside_add adds[4];
    const struct row_source source = {.at = row_at, .end = row_end};
    struct aside_end end = {.file = 0};
    for (uint32_t i = 0; i < COUNT_OF(adds); i++) {
        adds[i] = (struct aside_add){.place = {4096 + 512 * i, i % 2}, .uuid_hash = i + 1, .state = ASIDE_DEAD};
        snprintf(adds[i].reason, sizeof adds[i].reason, "because of %u", i);
    }
    adds[3].state = ASIDE_PARKED;
    CHECK(aside_append(scratch, &end, adds, COUNT_OF(adds), NULL, 0, &source, e) == ERR_OK);
    struct aside_change change = {.file = adds[1].file, .offset = adds[1].offset, .state = ASIDE_GONE};
    CHECK(aside_append(scratch, &end, NULL, 0, &change, 1, &source, e) == ERR_OK);
}

static void good_load(struct good *g)
{
    int fd = open(path_of(g->name), O_RDONLY);
    CHECK(fd >= 0);
    ssize_t n = read(fd, g->bytes, sizeof g->bytes);
    CHECK(n > 0);
    g->len = (size_t)n;
    close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e;
    (void)argc, (void)argv;
    scratch_make();
    table = sys_plain;
    table.fsync = table.fdatasync = no_sync;
    sys = &table;
    cursors_make(&e);
    settles_make(&e);
    asides_make(&e);
    for (int i = 0; i < KINDS; i++)
        good_load(&goods[i]);
    return 0;
}

/* --- patching --- */

static void patch(size_t size, const uint8_t *data, size_t len)
{
    while (len > 3) {
        size_t place = get_u16(data) % size, count = data[2];
        data += 3;
        len -= 3;
        count = count < len ? count : len;
        count = count < size - place ? count : size - place;
        memcpy(file + place, data, count);
        data += count;
        len -= count;
    }
}

static void slots_mend(void)
{
    for (unsigned char *slot = file; slot < file + sizeof file; slot += CURSOR_SLOT) {
        uint32_t length = get_u32(slot + 16);
        if (length <= CURSOR_SLOT - HEAD)
            put_u32(slot + 20, crc32c(0, slot + HEAD, length));
        put_u32(slot + 28, crc32c(0, slot, HEAD - 4));
    }
}

static void entries_mend(size_t size)
{
    for (size_t at = 0; at + SETTLE_ENTRY_BYTES <= size; at += SETTLE_ENTRY_BYTES)
        put_u32(file + at + 36, crc32c(0, file + at, 36));
}

static void records_mend(size_t size)
{
    put_u32(file + SEGMENT_HEADER - 4, crc32c(0, file, SEGMENT_HEADER - 4));
    for (size_t at = SEGMENT_HEADER; at + RECORD_HEADER <= size; at += RECORD_ALIGN) {
        if (!record_mark(file + at, at))
            continue;
        uint32_t length = get_u32(file + at + 32);
        if (length >= RECORD_HEADER && length <= size - at)
            put_u32(file + at + 52, crc32c(0, file + at + RECORD_HEADER, length - RECORD_HEADER));
        put_u32(file + at + 60, crc32c(0, file + at, 60));
    }
}

/* --- what must hold --- */

static void cursor_run(void)
{
    static struct cursor c, again;
    struct err e;
    if (cursor_read(scratch, &c, &e) != ERR_OK)
        return;
    CHECK(c.lane_count >= 1 && c.lane_count <= CURSOR_LANES && c.waiting_count <= CURSOR_WAITING);
    CHECK(c.replay_count <= CURSOR_REPLAYS && c.state_len <= CURSOR_STATE);
    c.sequence++;
    CHECK(cursor_write(scratch, &c, &e) == ERR_OK && cursor_read(scratch, &again, &e) == ERR_OK);
    CHECK(again.sequence == c.sequence && again.waiting_count == c.waiting_count && again.paused == c.paused);
    CHECK(memcmp(again.lanes, c.lanes, c.lane_count * sizeof c.lanes[0]) == 0);
    CHECK(again.state_len == c.state_len && memcmp(again.state, c.state, c.state_len) == 0);
    cursor_fini(&c);
    cursor_fini(&again);
}

static void settle_seen(void *arg, const struct settle_entry *entry)
{
    size_t *left = arg;
    CHECK(entry->outcome < OUTCOME_COUNT && (*left)-- > 0);
}

static void settle_run(size_t len)
{
    size_t left = len / SETTLE_ENTRY_BYTES;
    CHECK(settle_read(scratch, SEGMENT_BASE, settle_seen, &left) == ERR_OK);
}

static void aside_run(void)
{
    struct aside a;
    struct err e;
    uint32_t damaged = 0;
    if (aside_open(&a, scratch, &damaged, &e) != ERR_OK)
        return;
    size_t dead = 0, parked = 0;
    for (size_t i = 0; i < a.count; i++) {
        const struct aside_entry *entry = &a.entries[i];
        struct buf copy;
        struct record record;
        buf_init(&copy, 1 << 20);
        CHECK(aside_read(scratch, entry->file, entry->offset, &copy, &record) == ERR_OK);
        CHECK(record.position == entry->offset && record.length == entry->length);
        buf_free(&copy);
        dead += entry->state == ASIDE_DEAD;
        parked += entry->state == ASIDE_PARKED || entry->state == ASIDE_RETRYING ? entry->rows : 0;
    }
    CHECK(a.dead_count == dead && a.parked_count == parked);
    aside_close(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct good *g = &goods[(data[0] & 3) % KINDS];
    size_t len = (data[0] & 128) != 0 ? g->len * data[1] / 255 : g->len;
    memcpy(file, g->bytes, g->len);
    patch(g->len, data + 2, size - 2);
    if ((data[0] & FLAG_SUMS) != 0)
        g == &goods[CURSOR] ? slots_mend() : g == &goods[SETTLE] ? entries_mend(g->len) : records_mend(g->len);
    int fd = open(path_of(g->name), O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, file, len) == (ssize_t)len);
    close(fd);
    g == &goods[CURSOR] ? cursor_run() : g == &goods[SETTLE] ? settle_run(len) : aside_run();
    return 0;
}
