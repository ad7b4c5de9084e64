/* Reading one segment through a private window: recovery, hosts, receipts and `headgate journal` all come through here.
 *
 * The window always begins at a multiple of a page of the file and has aligned memory, so the same code reads past the
 * page cache (O_DIRECT). Bytes at or beyond the caller's `limit` are never kept: they may change as the head grows.
 *
 * What stands at a place is told by the place itself: a group's header and a record's header have different magics, and
 * both hold their own position. So a stale byte of an earlier life of the file, or data that looks like a header, is
 * never taken, and a record is found without its group. Owned by one thread; borrows the descriptor. */
#include "journal/reader.h"

#include "base/sys.h"

#include <errno.h>
#include <stdlib.h>

enum {
    PAGE = 4096,
    WINDOW = 1024 * 1024, /* read in one go when reading on, unless the reader says less */
    POINT = 32 * 1024,    /* when one record is looked up */
    RETRIES = 1000,       /* of interrupted reads in a row: a bound, not a figure that matters */
    HEAD = RECORD_HEADER, /* either header's size */
};

_Static_assert(GROUP_HEADER == RECORD_HEADER, "one read serves either header");

void reader_init(struct reader *r, int fd, uint64_t base, uint64_t salt)
{
    *r = (struct reader){.fd = fd, .base = base, .salt = salt, .ahead = WINDOW};
}

void reader_fini(struct reader *r)
{
    free(r->bytes);
    reader_init(r, -1, 0, 0);
}

void reader_trim(struct reader *r, size_t keep)
{
    if (r->cap <= keep)
        return;
    free(r->bytes);
    r->bytes = NULL;
    r->cap = r->filled = 0;
}

/* --- the window --- */

static uint64_t page_down(uint64_t v)
{
    return v / PAGE * PAGE;
}

static uint64_t page_up(uint64_t v)
{
    return page_down(v + PAGE - 1);
}

/* What is there already from `offset` of the file on comes to the front, in whole pages: it is not read twice. */
static size_t window_keep(struct reader *r, uint64_t offset, char *to)
{
    uint64_t from = r->base + offset - r->window; /* below the window: beyond everything */
    size_t kept = from < r->filled ? (size_t)page_down(r->filled - from) : 0;
    if (kept > 0)
        memmove(to, r->bytes + from, kept);
    return kept;
}

/* The window is about to begin at `offset`, with room for `want` bytes, of which `*kept` are there. */
static int window_move(struct reader *r, uint64_t offset, size_t want, size_t *kept)
{
    if (want <= r->cap) {
        *kept = window_keep(r, offset, r->bytes);
        return ERR_OK;
    }
    char *bytes = aligned_alloc(PAGE, want);
    if (bytes == NULL)
        return ERR_NOMEM;
    *kept = window_keep(r, offset, bytes);
    free(r->bytes);
    r->bytes = bytes;
    r->cap = want;
    return ERR_OK;
}

/* One page that may be unreadable. */
static ssize_t page_read(struct reader *r, char *to, off_t at)
{
    ssize_t n = sys->pread(r->fd, to, PAGE, at);
    if (n >= 0 || errno != EIO)
        return n;
    memset(to, 0, PAGE);
    r->unreadable += PAGE;
    return PAGE;
}

/* Until `need` bytes are there, `have` of them already, or the file ends. O_DIRECT reads begin at a page, so after a
 * short count the page is read again there; no more than before means the end of the file. */
static int window_load(struct reader *r, uint64_t offset, size_t have, size_t want, size_t need)
{
    size_t from = have;
    bool by_page = false;
    for (int tries = 0; have < need && tries < RETRIES;) {
        off_t at = (off_t)(offset + from);
        ssize_t n = by_page ? page_read(r, r->bytes + from, at) : sys->pread(r->fd, r->bytes + from, want - from, at);
        if (n < 0 && errno == EINTR) {
            tries++;
        } else if (n < 0 && errno == EINVAL && from % PAGE != 0) {
            from = (size_t)page_down(from);
        } else if (n < 0 && errno == EIO && !by_page && want > need) {
            want = need; /* perhaps only what would have been read ahead is bad */
        } else if (n < 0 && errno == EIO && !by_page && r->blank) {
            by_page = true;
            from = (size_t)page_down(from);
        } else if (n < 0) {
            return errno == ENOMEM ? ERR_NOMEM : ERR_IO;
        } else if (from + (size_t)n <= have) {
            break;
        } else {
            have = from = from + (size_t)n;
        }
    }
    r->filled = have;
    return ERR_OK;
}

static bool window_has(const struct reader *r, uint64_t position, size_t length)
{
    return r->filled > 0 && position >= r->window && position + length <= r->window + r->filled;
}

static int window_fill(struct reader *r, uint64_t position, size_t length, uint64_t limit, size_t ahead)
{
    CHECK(position >= r->base && position + length <= limit);
    if (window_has(r, position, length))
        return ERR_OK;
    uint64_t offset = page_down(position - r->base);
    uint64_t need = page_up(position + length - r->base) - offset;
    uint64_t most = page_up(limit - r->base) - offset;
    uint64_t want = need < ahead ? page_up(ahead) : need;
    if (want > most)
        want = most;
    size_t kept;
    int code = window_move(r, offset, (size_t)want, &kept);
    if (code != ERR_OK)
        return code;
    r->filled = 0;
    r->window = r->base + offset;
    code = window_load(r, offset, kept, (size_t)want, (size_t)need);
    if (code != ERR_OK)
        return code;
    if (r->filled > limit - r->window)
        r->filled = (size_t)(limit - r->window);
    return window_has(r, position, length) ? ERR_OK : ERR_NOTFOUND;
}

static const unsigned char *window_at(const struct reader *r, uint64_t position)
{
    return (const unsigned char *)r->bytes + (position - r->window);
}

int reader_bytes(struct reader *r, uint64_t position, size_t length, uint64_t limit, const unsigned char **out)
{
    if (position < r->base || position > limit || limit - position < length)
        return ERR_NOTFOUND;
    int code = window_fill(r, position, length, limit, r->ahead);
    if (code == ERR_OK)
        *out = window_at(r, position);
    return code;
}

/* --- searching --- */

static bool group_fits(const struct group_header *g, uint64_t limit)
{
    return g->length <= limit - g->position;
}

static bool group_here(struct reader *r, uint64_t at, uint64_t limit, bool any_salt, struct group_header *out)
{
    const unsigned char *bytes = window_at(r, at);
    if (!group_header_mark(bytes, at))
        return false;
    int code = any_salt ? group_header_peek(bytes, at, out) : group_header_read(bytes, at, r->salt, out);
    return code == ERR_OK && group_fits(out, limit);
}

int reader_seek_group(struct reader *r, uint64_t *at, uint64_t limit, bool any_salt, struct group_header *out)
{
    for (uint64_t p = *at; p <= limit && limit - p >= GROUP_HEADER; p += RECORD_ALIGN) {
        int code = window_fill(r, p, GROUP_HEADER, limit, r->ahead);
        if (code != ERR_OK)
            return code;
        if (group_here(r, p, limit, any_salt, out)) {
            *at = p;
            return ERR_OK;
        }
    }
    return ERR_NOTFOUND;
}

/* --- reading on --- */

static bool inside_group(const struct reader *r, uint64_t at)
{
    return r->group_end > at && r->group_at < at;
}

/* What cannot be used ends where something valid is known or found to begin. */
static enum read_result damage_step(struct reader *r, uint64_t *at, uint64_t limit, struct read_damage *damage,
                                    int *code)
{
    uint64_t to = r->group_end;
    struct group_header g;
    if (!inside_group(r, *at) || to > limit) {
        to = *at + RECORD_ALIGN;
        int found = reader_seek_group(r, &to, limit, false, &g);
        if (found == ERR_IO || found == ERR_NOMEM) {
            *code = found;
            return READ_ERROR;
        }
        if (found != ERR_OK)
            to = limit;
    }
    *damage = (struct read_damage){.from = *at, .to = to};
    *at = to;
    return READ_DAMAGE;
}

/* ERR_OK, or why there is no whole record: ERR_DAMAGED, ERR_NOTFOUND (the file ends), ERR_VERSION, ERR_IO, ERR_NOMEM.
 */
static int record_here(struct reader *r, uint64_t at, uint64_t limit, size_t ahead, struct record *out)
{
    struct record head;
    int code = record_peek(window_at(r, at), at, &head);
    if (code != ERR_OK)
        return code;
    if (head.length > limit - at)
        return ERR_DAMAGED;
    code = window_fill(r, at, head.length, limit, ahead);
    if (code != ERR_OK)
        return code;
    return record_parse(slice_make(window_at(r, at), head.length), at, out);
}

static enum read_result record_step(struct reader *r, uint64_t *at, uint64_t limit, struct record *out,
                                    struct read_damage *damage, int *code)
{
    struct record found;
    uint64_t end = inside_group(r, *at) && r->group_end < limit ? r->group_end : limit;
    int failed = record_here(r, *at, limit, r->ahead, &found);
    if (failed == ERR_OK && found.length <= end - *at) {
        *out = found;
        *at += found.length;
        return READ_RECORD;
    }
    if (failed == ERR_IO || failed == ERR_NOMEM || failed == ERR_VERSION) {
        *code = failed;
        return READ_ERROR;
    }
    return damage_step(r, at, limit, damage, code);
}

enum read_result reader_next(struct reader *r, uint64_t *at, uint64_t limit, struct record *out,
                             struct read_damage *damage, int *code)
{
    if (*at < r->base + SEGMENT_HEADER)
        *at = r->base + SEGMENT_HEADER;
    while (*at < limit) {
        if (limit - *at < HEAD)
            return damage_step(r, at, limit, damage, code);
        int failed = window_fill(r, *at, HEAD, limit, r->ahead);
        if (failed == ERR_NOTFOUND)
            return damage_step(r, at, limit, damage, code);
        if (failed != ERR_OK) {
            *code = failed;
            return READ_ERROR;
        }
        struct group_header g;
        if (!group_here(r, *at, limit, false, &g))
            return record_step(r, at, limit, out, damage, code);
        r->group_at = *at;
        r->group_end = *at + g.length;
        *at = g.records == 0 ? r->group_end : *at + GROUP_HEADER;
    }
    return READ_END;
}

int reader_at(struct reader *r, uint64_t position, uint64_t limit, struct record *out)
{
    if (position < r->base || position > limit || limit - position < HEAD)
        return ERR_NOTFOUND;
    int code = window_fill(r, position, HEAD, limit, POINT);
    if (code != ERR_OK)
        return code;
    if (!record_mark(window_at(r, position), position))
        return ERR_NOTFOUND;
    code = record_here(r, position, limit, POINT, out);
    return code == ERR_NOTFOUND ? ERR_DAMAGED : code;
}
