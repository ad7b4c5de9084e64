/* The cursor file: serialised by hand so that its bytes are the same on every machine, two slots written in turn.
 *
 * Called on a worker thread by a checkpoint, and at start. A torn write spoils only the slot that was being written. */
#include "delivery/cursor.h"

#include "base/crc32c.h"
#include "base/sys.h"
#include "journal/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT_MAGIC = 0x48474331, SLOT_VERSION = 3, SLOT_HEAD = 32, PAGE = 4096 }; /* "HGC1" */

/* One cursor of bytes for both directions: reading beyond the end, or writing beyond the slot, sets `bad`. */
struct bytes {
    unsigned char *ptr;
    size_t len, at;
    bool bad;
};

static void put(struct bytes *b, uint64_t value, size_t width)
{
    if (b->bad || b->len - b->at < width) {
        b->bad = true;
        return;
    }
    for (size_t i = 0; i < width; i++)
        b->ptr[b->at++] = (unsigned char)(value >> (8 * i));
}

static uint64_t get(struct bytes *b, size_t width)
{
    if (b->bad || b->len - b->at < width) {
        b->bad = true;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)b->ptr[b->at++] << (8 * i);
    return value;
}

static void put_bytes(struct bytes *b, const void *from, size_t len)
{
    if (b->bad || b->len - b->at < len) {
        b->bad = true;
        return;
    }
    memcpy(b->ptr + b->at, from, len);
    b->at += len;
}

static void get_bytes(struct bytes *b, void *to, size_t len)
{
    if (b->bad || b->len - b->at < len) {
        b->bad = true;
        return;
    }
    memcpy(to, b->ptr + b->at, len);
    b->at += len;
}

static void put_place(struct bytes *b, struct place p)
{
    put(b, p.position, 8);
    put(b, p.row, 4);
}

static struct place get_place(struct bytes *b)
{
    struct place p;
    p.position = get(b, 8);
    p.row = (uint32_t)get(b, 4);
    return p;
}

static void put_replay(struct bytes *b, const struct cursor_replay *r)
{
    put(b, r->id, 8);
    put_place(b, r->next);
    put(b, r->to, 8);
    put(b, r->row, 8);
    put(b, r->to_row, 8);
    put(b, r->only_uuid, 8);
    put_bytes(b, r->epoch.bytes, EPOCH_BYTES);
    put(b, r->sent, 8);
    put(b, r->duplicate, 8);
    put(b, r->gone, 8);
    put(b, r->rate, 4);
    put(b, r->new_ids, 1);
}

static void get_replay(struct bytes *b, uint32_t version, struct cursor_replay *r)
{
    r->id = get(b, 8);
    r->next = get_place(b);
    r->to = get(b, 8);
    r->row = version == 1 ? 0 : get(b, 8);
    r->to_row = version == 1 ? 0 : get(b, 8);
    r->only_uuid = get(b, 8);
    get_bytes(b, r->epoch.bytes, EPOCH_BYTES);
    r->sent = get(b, 8);
    r->duplicate = get(b, 8);
    r->gone = get(b, 8);
    r->rate = (uint32_t)get(b, 4);
    r->new_ids = get(b, 1) != 0;
}

static void put_ahead(struct bytes *b, const struct cursor_ahead *a)
{
    put(b, a->count, 1);
    put_place(b, a->from);
    for (size_t i = 0; i < CURSOR_ENDS; i++)
        put(b, a->ends[i], 8);
    put(b, a->rows, 4);
    put(b, a->bytes, 8);
}

static void get_ahead(struct bytes *b, struct cursor_ahead *a)
{
    a->count = (uint32_t)get(b, 1);
    a->from = get_place(b);
    for (size_t i = 0; i < CURSOR_ENDS; i++)
        a->ends[i] = get(b, 8);
    a->rows = (uint32_t)get(b, 4);
    a->bytes = get(b, 8);
    if (a->count > CURSOR_ENDS)
        b->bad = true;
}

static void put_waiting(struct bytes *b, const struct cursor_waiting *w)
{
    put_place(b, w->place);
    put(b, w->uuid_hash, 8);
    put(b, w->attempts, 4);
    put(b, w->plan, 4);
    put(b, w->waited_ms, 8);
    put(b, w->kind, 1);
}

static void get_waiting(struct bytes *b, struct cursor_waiting *w)
{
    w->place = get_place(b);
    w->uuid_hash = get(b, 8);
    w->attempts = (uint32_t)get(b, 4);
    w->plan = (uint32_t)get(b, 4);
    w->waited_ms = get(b, 8);
    w->kind = (uint8_t)get(b, 1);
    if (w->kind < WAITING_RETRY || w->kind > WAITING_SUSPECT)
        b->bad = true;
}

static void cursor_encode(const struct cursor *c, struct bytes *b)
{
    put(b, c->registered, 8);
    put(b, c->give_up_to, 8);
    put(b, (c->paused ? 1u : 0u) | (c->forgotten ? 2u : 0u) | (c->spread ? 4u : 0u), 4);
    put(b, c->lane_count, 4);
    for (uint32_t i = 0; i < c->lane_count; i++) {
        put_place(b, c->lanes[i]);
        put(b, c->lane_rows[i], 8);
        put(b, c->plans[i].there, 1);
        put_place(b, c->plans[i].from);
        put_place(b, c->plans[i].to);
        put_ahead(b, &c->aheads[i]);
    }
    put(b, c->waiting_count, 4);
    for (uint32_t i = 0; i < c->waiting_count; i++)
        put_waiting(b, &c->waiting[i]);
    put(b, c->replay_count, 4);
    for (uint32_t i = 0; i < c->replay_count; i++)
        put_replay(b, &c->replays[i]);
    for (size_t i = 0; i < TOTAL_BY_HAND; i++)
        put(b, c->totals[i], 8);
    put(b, c->state_len, 4);
    put_bytes(b, c->state, c->state_len);
    put(b, c->totals[TOTAL_BY_HAND], 8);
    put(b, c->ruling_count, 4);
    for (uint32_t i = 0; i < c->ruling_count; i++) {
        put(b, c->rulings[i].position, 8);
        put(b, c->rulings[i].uuid_hash, 8);
        put(b, c->rulings[i].kind, 1);
    }
}

static void get_rulings(struct bytes *b, struct cursor *c)
{
    c->totals[TOTAL_BY_HAND] = get(b, 8);
    c->ruling_count = (uint32_t)get(b, 4);
    b->bad = b->bad || c->ruling_count > CURSOR_RULINGS;
    for (uint32_t i = 0; !b->bad && i < c->ruling_count; i++) {
        struct cursor_ruling *r = &c->rulings[i];
        r->position = get(b, 8);
        r->uuid_hash = get(b, 8);
        r->kind = (uint8_t)get(b, 1);
        b->bad = b->bad || (r->kind != RULING_DELIVERED && r->kind != RULING_GIVEN_UP);
    }
}

static int cursor_decode(struct bytes *b, uint32_t version, struct cursor *c)
{
    c->registered = get(b, 8);
    c->give_up_to = get(b, 8);
    uint64_t flags = get(b, 4);
    c->paused = (flags & 1) != 0;
    c->forgotten = (flags & 2) != 0;
    c->spread = (flags & 4) != 0;
    c->lane_count = (uint32_t)get(b, 4);
    if (b->bad || c->lane_count == 0 || c->lane_count > CURSOR_LANES)
        return ERR_DAMAGED;
    for (uint32_t i = 0; i < c->lane_count; i++) {
        c->lanes[i] = get_place(b);
        c->lane_rows[i] = get(b, 8);
        c->plans[i].there = get(b, 1) != 0;
        c->plans[i].from = get_place(b);
        c->plans[i].to = get_place(b);
        if (version > 2)
            get_ahead(b, &c->aheads[i]);
    }
    c->waiting_count = (uint32_t)get(b, 4);
    if (b->bad || c->waiting_count > CURSOR_WAITING)
        return ERR_DAMAGED;
    c->waiting = calloc(c->waiting_count + 1, sizeof *c->waiting);
    if (c->waiting == NULL)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < c->waiting_count; i++)
        get_waiting(b, &c->waiting[i]);
    c->replay_count = (uint32_t)get(b, 4);
    if (b->bad || c->replay_count > CURSOR_REPLAYS)
        goto damaged;
    for (uint32_t i = 0; i < c->replay_count; i++)
        get_replay(b, version, &c->replays[i]);
    for (size_t i = 0; i < TOTAL_BY_HAND; i++)
        c->totals[i] = get(b, 8);
    c->state_len = (size_t)get(b, 4);
    if (b->bad || c->state_len > CURSOR_STATE)
        goto damaged;
    get_bytes(b, c->state, c->state_len);
    if (version >= 3)
        get_rulings(b, c);
    if (!b->bad)
        return ERR_OK;
damaged:
    cursor_fini(c);
    return ERR_DAMAGED;
}

/* Head of a slot: magic, version, sequence, payload length, CRC of the payload, CRC of the head. A sequence that this
 * slot is never written with is no cursor of ours, and the next one would be written over it. */
static bool slot_head_read(const unsigned char *slot, size_t number, uint64_t *sequence, uint32_t *length,
                           uint32_t *version)
{
    struct bytes b = {.ptr = (unsigned char *)(uintptr_t)slot, .len = SLOT_HEAD};
    uint64_t magic = get(&b, 4);
    *version = (uint32_t)get(&b, 4);
    *sequence = get(&b, 8);
    *length = (uint32_t)get(&b, 4);
    uint32_t payload_crc = (uint32_t)get(&b, 4);
    (void)get(&b, 4);
    uint32_t head_crc = (uint32_t)get(&b, 4);
    return magic == SLOT_MAGIC && *sequence % 2 == number && head_crc == crc32c(0, slot, SLOT_HEAD - 4) &&
           *length <= CURSOR_SLOT - SLOT_HEAD && payload_crc == crc32c(0, slot + SLOT_HEAD, *length);
}

static void slot_head_write(unsigned char *slot, uint64_t sequence, uint32_t length)
{
    struct bytes b = {.ptr = slot, .len = SLOT_HEAD};
    put(&b, SLOT_MAGIC, 4);
    put(&b, SLOT_VERSION, 4);
    put(&b, sequence, 8);
    put(&b, length, 4);
    put(&b, crc32c(0, slot + SLOT_HEAD, length), 4);
    put(&b, 0, 4);
    put(&b, crc32c(0, slot, SLOT_HEAD - 4), 4);
}

static int read_all(int fd, unsigned char *to, size_t len, off_t at, size_t *got)
{
    for (*got = 0; *got < len;) {
        ssize_t n = sys->pread(fd, to + *got, len - *got, at + (off_t)*got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EINVAL && *got % PAGE != 0)
            break; /* past the page cache nothing can be asked for behind the end of the file */
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return ERR_OK;
}

static bool blank(const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* Both slots as they are on the medium. What a process that was killed, or whose sync failed, left in the page cache is
 * no cursor: segments would be released by it that the one on the medium still names after a power cut. */
static int slots_read(const char *path, unsigned char *slots, size_t *got)
{
    bool direct;
    int fd = medium_open(path, &direct);
    if (fd < 0)
        return err_from_errno(errno);
    int code = sys->fdatasync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    if (code == ERR_OK)
        code = read_all(fd, slots, 2 * (size_t)CURSOR_SLOT, 0, got);
    sys->close(fd);
    return code;
}

int cursor_read(const char *dir, struct cursor *out, struct err *e)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/cursor", dir);
    unsigned char *slots = aligned_alloc(PAGE, 2 * (size_t)CURSOR_SLOT);
    int code = slots == NULL ? ERR_NOMEM : ERR_OK;
    size_t got = 0;
    if (code == ERR_OK) {
        memset(slots, 0, 2 * (size_t)CURSOR_SLOT);
        code = slots_read(path, slots, &got);
    }
    if (code != ERR_OK)
        err_set(e, code, "%s cannot be read: %s", path, err_text(code));
    int best = -1;
    uint64_t best_sequence = 0;
    uint32_t best_length = 0, best_version = 0;
    for (int i = 0; code == ERR_OK && i < 2; i++) {
        uint64_t sequence;
        uint32_t length, version;
        if (!slot_head_read(slots + (size_t)i * CURSOR_SLOT, (size_t)i, &sequence, &length, &version))
            continue;
        if (version > SLOT_VERSION)
            code = err_set(e, ERR_VERSION, "%s was written by a newer headgate (version %u, this one reads up to %d)",
                           path, version, SLOT_VERSION);
        if (best < 0 || (int64_t)(sequence - best_sequence) > 0) { /* also where the numbers begin anew */
            best = i;
            best_sequence = sequence;
            best_length = length;
            best_version = version;
        }
    }
    if (code == ERR_OK && best < 0 && blank(slots, got))
        code = ERR_NOTFOUND; /* its making did not come to its end: nothing was ever written */
    else if (code == ERR_OK && best < 0)
        code = err_set(e, ERR_DAMAGED, "neither slot of %s is whole", path);
    if (code == ERR_OK) {
        struct cursor *c = calloc(1, sizeof *c);
        struct bytes b = {.ptr = slots + (size_t)best * CURSOR_SLOT + SLOT_HEAD, .len = best_length};
        code = c == NULL ? ERR_NOMEM : cursor_decode(&b, best_version, c);
        if (code == ERR_OK) {
            *out = *c;
            out->sequence = best_sequence;
        } else {
            code = err_set(e, code, "%s cannot be read: %s", path, err_text(code));
        }
        free(c);
    }
    free(slots);
    return code;
}

void cursor_fini(struct cursor *c)
{
    free(c->waiting);
    c->waiting = NULL;
    c->waiting_count = 0;
}

static int dir_sync(const char *dir)
{
    int fd = sys->open(dir, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return err_from_errno(errno);
    int code = sys->fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    sys->close(fd);
    return code;
}

static int zero_fill(int fd, off_t from, off_t to)
{
    static const unsigned char zeros[4096];
    while (from < to) {
        size_t left = (size_t)(to - from);
        ssize_t n = sys->pwrite(fd, zeros, left < sizeof zeros ? left : sizeof zeros, from);
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        from += n > 0 ? n : 0;
    }
    return ERR_OK;
}

/* Both slots are allocated at birth, so that later writes never need space; and the pusher's folder is in its parent
 * for good, or a power loss would let a pusher begin anew. The last page comes after all that: a file of full size is
 * one whose making came to its end. */
static int file_make(const char *dir, int fd, off_t from)
{
    const off_t end = 2 * CURSOR_SLOT, last = end - PAGE;
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s/..", dir);
    int code = from < last ? zero_fill(fd, from, last) : ERR_OK;
    if (code == ERR_OK && sys->fsync(fd) != 0)
        code = err_from_errno(errno);
    if (code == ERR_OK)
        code = dir_sync(dir);
    if (code == ERR_OK)
        code = dir_sync(parent);
    return code == ERR_OK ? zero_fill(fd, last, end) : code;
}

int cursor_write(const char *dir, const struct cursor *c, struct err *e)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/cursor", dir);
    CHECK(c->waiting_count <= CURSOR_WAITING && c->lane_count <= CURSOR_LANES && c->state_len <= CURSOR_STATE &&
          c->ruling_count <= CURSOR_RULINGS);
    unsigned char *slot = malloc(CURSOR_SLOT);
    if (slot == NULL)
        return err_set(e, ERR_NOMEM, "no memory for a cursor");
    struct bytes b = {.ptr = slot + SLOT_HEAD, .len = CURSOR_SLOT - SLOT_HEAD};
    cursor_encode(c, &b);
    CHECK(!b.bad);
    slot_head_write(slot, c->sequence, (uint32_t)b.at);
    size_t len = SLOT_HEAD + b.at;
    int code = ERR_OK;
    int fd = sys->open(path, O_RDWR, 0);
    if (fd < 0 && errno == ENOENT)
        fd = sys->open(path, O_RDWR | O_CREAT, 0640);
    struct stat st;
    if (fd >= 0 && sys->fstat(fd, &st) != 0)
        code = err_from_errno(errno);
    else if (fd >= 0 && st.st_size < 2 * CURSOR_SLOT) /* new, or its making did not come to its end */
        code = file_make(dir, fd, st.st_size);
    if (fd < 0) {
        code = err_errno(e, errno, "cannot open %s", path);
        goto out_slot;
    }
    off_t at = (off_t)(c->sequence % 2) * CURSOR_SLOT;
    for (size_t done = 0; code == ERR_OK && done < len;) {
        ssize_t n = sys->pwrite(fd, slot + done, len - done, at + (off_t)done);
        if (n < 0 && errno != EINTR)
            code = err_from_errno(errno);
        else if (n > 0)
            done += (size_t)n;
    }
    if (code == ERR_OK && sys->fdatasync(fd) != 0)
        code = err_from_errno(errno);
    if (code != ERR_OK)
        err_set(e, code, "cannot write %s: %s", path, err_text(code));
    sys->close(fd);
out_slot:
    free(slot);
    return code;
}
