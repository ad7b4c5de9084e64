/* The index as a file: a header page, a filter of keys, then blocks of sorted entries, each with its own checksum.
 *
 * Written once by the helper thread when a segment is sealed. A lookup reads a handful of blocks: hashes are evenly
 * spread, so the place of one is guessed first and then narrowed. A block that does not fit its checksum is an error
 * for the caller, who builds the index again from the segment. docs/format.md draws it. */
#include "base/crc32c.h"
#include "base/sys.h"
#include "journal/bytes.h"
#include "journal/files.h"
#include "journal/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define INDEX_MAGIC 0x31494748u /* "HGI1" */

enum {
    INDEX_VERSION = 2, /* 1 had no list of row sets */
    BLOCK = 4096,
    BLOCK_ENTRY = 12,
    BLOCK_ENTRIES = (BLOCK - 4) / BLOCK_ENTRY,
    FILTER_MAX = 64 * 1024, /* a segment of 64 MiB: a megabyte for each gigabyte of journal */
    FILTER_BITS = 10,       /* for each key, while there is room */
    FILTER_PROBES = 4,
};

enum header_offset {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_BASE = 8,
    AT_SALT = 16,
    AT_END = 24,
    AT_UUIDS = 32,
    AT_KEYS = 36,
    AT_FILTER = 40,
    AT_FILTER_CRC = 44,
    AT_SETS = 48,
    AT_CLIENTS = 52,
    AT_FIRST = 56,
    AT_LAST = 64,
    AT_CRC = BLOCK - 4,
};

struct header {
    uint32_t uuids, keys, filter, filter_crc, sets, clients;
    int64_t first_us, last_us;
};

/* --- the filter --- */

static void filter_bit(const struct index_filter *f, uint64_t hash, int probe, uint32_t *byte, uint8_t *mask)
{
    uint64_t bit = (hash + (uint64_t)probe * (hash >> 32 | 1)) % ((uint64_t)f->bytes * 8);
    *byte = (uint32_t)(bit / 8);
    *mask = (uint8_t)(1u << (bit % 8));
}

bool filter_has(const struct index_filter *f, uint64_t hash)
{
    uint32_t byte;
    uint8_t mask;
    bool all = f->bytes > 0;
    for (int probe = 0; all && probe < FILTER_PROBES; probe++) {
        filter_bit(f, hash, probe, &byte, &mask);
        all = (f->bits[byte] & mask) != 0;
    }
    return all;
}

void filter_free(struct index_filter *f)
{
    free(f->bits);
    *f = (struct index_filter){NULL, 0};
}

static int filter_make(const struct index_list *keys, struct index_filter *out)
{
    uint64_t bytes = ((uint64_t)keys->count * FILTER_BITS / 8 + BLOCK - 1) / BLOCK * BLOCK;
    struct index_filter f = {.bytes = keys->count == 0 ? 0 : bytes > FILTER_MAX ? FILTER_MAX : (uint32_t)bytes};
    if (keys->count > 0 && f.bytes == 0)
        f.bytes = BLOCK;
    if (f.bytes > 0 && (f.bits = calloc(1, f.bytes)) == NULL)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < keys->count; i++)
        for (int probe = 0; probe < FILTER_PROBES; probe++) {
            uint32_t byte;
            uint8_t mask;
            filter_bit(&f, keys->entries[i].hash, probe, &byte, &mask);
            f.bits[byte] |= mask;
        }
    *out = f;
    return ERR_OK;
}

/* --- writing --- */

static int entry_order(const void *a, const void *b)
{
    const struct index_entry *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static uint32_t blocks_of(uint32_t count)
{
    return count / BLOCK_ENTRIES + (count % BLOCK_ENTRIES != 0);
}

static void block_encode(const struct index_entry *entries, uint32_t count, unsigned char out[BLOCK])
{
    memset(out, 0, BLOCK);
    for (uint32_t i = 0; i < count; i++) {
        put_u64(out + (size_t)i * BLOCK_ENTRY, entries[i].hash);
        put_u32(out + (size_t)i * BLOCK_ENTRY + 8, entries[i].place);
    }
    put_u32(out + BLOCK - 4, crc32c(0, out, BLOCK - 4));
}

/* A sorted copy: lookups go on in the list meanwhile. */
static int list_write(int fd, const struct index_list *l, uint64_t *at)
{
    if (l->count == 0)
        return ERR_OK;
    struct index_entry *sorted = malloc(l->count * sizeof *sorted);
    if (sorted == NULL)
        return ERR_NOMEM;
    memcpy(sorted, l->entries, l->count * sizeof *sorted);
    qsort(sorted, l->count, sizeof *sorted, entry_order);
    int code = ERR_OK;
    for (uint32_t i = 0; code == ERR_OK && i < l->count; i += BLOCK_ENTRIES) {
        unsigned char block[BLOCK];
        block_encode(sorted + i, l->count - i < BLOCK_ENTRIES ? l->count - i : BLOCK_ENTRIES, block);
        code = file_write(fd, block, BLOCK, *at);
        *at += BLOCK;
    }
    free(sorted);
    return code;
}

static void header_encode(const struct index_place *place, const struct header *h, unsigned char out[BLOCK])
{
    memset(out, 0, BLOCK);
    put_u32(out + AT_MAGIC, INDEX_MAGIC);
    put_u32(out + AT_VERSION, INDEX_VERSION);
    put_u64(out + AT_BASE, place->base);
    put_u64(out + AT_SALT, place->salt);
    put_u64(out + AT_END, place->end);
    put_u32(out + AT_UUIDS, h->uuids);
    put_u32(out + AT_KEYS, h->keys);
    put_u32(out + AT_FILTER, h->filter);
    put_u32(out + AT_FILTER_CRC, h->filter_crc);
    put_u32(out + AT_SETS, h->sets);
    put_u32(out + AT_CLIENTS, h->clients);
    put_u64(out + AT_FIRST, (uint64_t)h->first_us);
    put_u64(out + AT_LAST, (uint64_t)h->last_us);
    put_u32(out + AT_CRC, crc32c(0, out, AT_CRC));
}

static int content_write(int fd, const struct index_place *place, const struct index *x, const struct index_filter *f)
{
    unsigned char page[BLOCK];
    const struct index_clients *clients = &x->sets.clients;
    struct header h = {.uuids = x->uuids.count,
                       .keys = x->keys.count,
                       .filter = f->bytes,
                       .filter_crc = crc32c(0, f->bits, f->bytes),
                       .sets = x->sets.count,
                       .clients = clients->count,
                       .first_us = clients->first_us,
                       .last_us = clients->last_us};
    uint64_t at = BLOCK;
    header_encode(place, &h, page);
    int code = file_write(fd, page, BLOCK, 0);
    if (code == ERR_OK && f->bytes > 0)
        code = file_write(fd, f->bits, f->bytes, at);
    at += f->bytes;
    if (code == ERR_OK)
        code = list_write(fd, &x->uuids, &at);
    if (code == ERR_OK)
        code = list_write(fd, &x->keys, &at);
    if (code == ERR_OK)
        code = sets_write(fd, &x->sets, &at);
    return code == ERR_OK ? file_sync(fd) : code;
}

int index_write(const struct index_place *place, const char *temporary, const struct index *x,
                struct index_filter *filter)
{
    struct index_filter f;
    int code = filter_make(&x->keys, &f);
    if (code != ERR_OK)
        return code;
    int fd = file_open(temporary, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0) {
        code = err_from_errno(errno);
        goto no_file;
    }
    code = content_write(fd, place, x, &f);
    sys->close(fd);
    if (code == ERR_OK && sys->rename(temporary, place->path) != 0)
        code = err_from_errno(errno);
    if (code == ERR_OK) {
        filter_free(filter);
        *filter = f;
        return ERR_OK;
    }
    file_remove(temporary);
no_file:
    filter_free(&f);
    return code;
}

/* --- reading --- */

static int header_read(int fd, const struct index_place *place, struct header *out)
{
    unsigned char page[BLOCK];
    int code = file_read(fd, page, BLOCK, 0);
    if (code != ERR_OK)
        return code == ERR_NOTFOUND ? ERR_DAMAGED : code;
    if (get_u32(page + AT_MAGIC) != INDEX_MAGIC || get_u32(page + AT_CRC) != crc32c(0, page, AT_CRC) ||
        get_u32(page + AT_VERSION) != INDEX_VERSION || get_u64(page + AT_BASE) != place->base ||
        get_u64(page + AT_SALT) != place->salt || get_u64(page + AT_END) != place->end)
        return ERR_DAMAGED;
    struct header h = {.uuids = get_u32(page + AT_UUIDS),
                       .keys = get_u32(page + AT_KEYS),
                       .filter = get_u32(page + AT_FILTER),
                       .filter_crc = get_u32(page + AT_FILTER_CRC),
                       .sets = get_u32(page + AT_SETS),
                       .clients = get_u32(page + AT_CLIENTS),
                       .first_us = (int64_t)get_u64(page + AT_FIRST),
                       .last_us = (int64_t)get_u64(page + AT_LAST)};
    if (h.filter > FILTER_MAX || h.filter % BLOCK != 0 || (h.filter == 0) != (h.keys == 0) ||
        h.clients > INDEX_CLIENTS + 1 || (h.sets == 0) != (h.clients == 0))
        return ERR_DAMAGED;
    *out = h;
    return ERR_OK;
}

static int place_open(const struct index_place *place, int *fd, struct header *h)
{
    *fd = file_open(place->path, O_RDONLY);
    if (*fd < 0)
        return err_from_errno(errno);
    int code = header_read(*fd, place, h);
    if (code != ERR_OK)
        sys->close(*fd);
    return code;
}

static void sets_place(const struct header *h, struct sets_file *out)
{
    out->at = BLOCK + (uint64_t)h->filter + ((uint64_t)blocks_of(h->uuids) + blocks_of(h->keys)) * BLOCK;
    out->count = h->sets;
    out->clients = h->clients;
    out->loaded = 0;
}

int index_open_sets(const struct index_place *place, struct sets_file *out)
{
    struct header h;
    int code = place_open(place, &out->fd, &h);
    if (code == ERR_OK)
        sets_place(&h, out);
    return code;
}

int index_open(const struct index_place *place, struct index_filter *filter, struct index_clients *clients)
{
    struct header h;
    struct sets_file sets;
    struct index_clients c = {.all = NULL};
    struct index_filter f = {NULL, 0};
    int fd, code = place_open(place, &fd, &h);
    if (code != ERR_OK)
        return code;
    f.bytes = h.filter;
    if (f.bytes > 0 && (f.bits = malloc(f.bytes)) == NULL)
        code = ERR_NOMEM;
    if (code == ERR_OK && f.bytes > 0)
        code = file_read(fd, f.bits, f.bytes, BLOCK);
    if (code == ERR_NOTFOUND || (code == ERR_OK && crc32c(0, f.bits, f.bytes) != h.filter_crc))
        code = ERR_DAMAGED;
    if (code == ERR_OK) {
        sets.fd = fd;
        sets_place(&h, &sets);
        code = sets_file_clients(&sets, &c);
    }
    sys->close(fd);
    if (code != ERR_OK) {
        filter_free(&f);
        return code;
    }
    filter_free(filter);
    *filter = f;
    c.first_us = h.first_us;
    c.last_us = h.last_us;
    clients_table_fini(clients);
    *clients = c;
    return ERR_OK;
}

/* One sorted list in the file, with the block read last. */
struct sorted {
    int fd;
    uint64_t at; /* of its first block in the file */
    uint32_t count;
    uint32_t loaded; /* number + 1 of the block in `block` */
    unsigned char block[BLOCK];
};

static int sorted_get(struct sorted *s, uint32_t number, uint64_t *hash, uint32_t *place)
{
    uint32_t block = number / BLOCK_ENTRIES;
    if (s->loaded != block + 1) {
        s->loaded = 0;
        int code = file_read(s->fd, s->block, BLOCK, s->at + (uint64_t)block * BLOCK);
        if (code != ERR_OK)
            return code == ERR_NOTFOUND ? ERR_DAMAGED : code;
        if (get_u32(s->block + BLOCK - 4) != crc32c(0, s->block, BLOCK - 4))
            return ERR_DAMAGED;
        s->loaded = block + 1;
    }
    const unsigned char *entry = s->block + (size_t)(number % BLOCK_ENTRIES) * BLOCK_ENTRY;
    *hash = get_u64(entry);
    *place = get_u32(entry + 8);
    return ERR_OK;
}

static uint32_t guess(uint64_t hash, uint32_t lo, uint32_t hi, uint64_t lo_hash, uint64_t hi_hash, int step)
{
    if (step >= 8 || hi_hash <= lo_hash || hash <= lo_hash || hash >= hi_hash)
        return lo + (hi - lo) / 2;
    double part = (double)(hash - lo_hash) / (double)(hi_hash - lo_hash);
    uint32_t at = lo + (uint32_t)(part * (double)(hi - lo));
    return at >= hi ? hi - 1 : at;
}

/* The number of the first entry that is not before (hash, place). */
static int sorted_bound(struct sorted *s, uint64_t hash, uint64_t place, uint32_t *out)
{
    uint32_t lo = 0, hi = s->count;
    uint64_t lo_hash = 0, hi_hash = UINT64_MAX;
    for (int step = 0; lo < hi; step++) {
        uint32_t mid = guess(hash, lo, hi, lo_hash, hi_hash, step), mid_place;
        uint64_t mid_hash;
        int code = sorted_get(s, mid, &mid_hash, &mid_place);
        if (code != ERR_OK)
            return code;
        if (mid_hash < hash || (mid_hash == hash && mid_place < place)) {
            lo = mid + 1;
            lo_hash = mid_hash;
        } else {
            hi = mid;
            hi_hash = mid_hash;
        }
    }
    *out = lo;
    return ERR_OK;
}

static int sorted_find(struct sorted *s, uint64_t hash, uint64_t base, uint64_t before, uint64_t *positions,
                       uint32_t max, uint32_t *found)
{
    uint64_t past = before <= base ? 0 : before - base, place = past / RECORD_ALIGN + (past % RECORD_ALIGN != 0);
    uint32_t at = 0, n = 0;
    int code = sorted_bound(s, hash, place, &at);
    while (code == ERR_OK && at > 0 && n < max) {
        uint64_t h;
        uint32_t p;
        code = sorted_get(s, --at, &h, &p);
        if (code != ERR_OK || h != hash)
            break;
        positions[n++] = base + (uint64_t)p * RECORD_ALIGN;
    }
    if (code == ERR_OK)
        *found = n;
    return code;
}

int index_lookup(const struct index_place *place, enum index_kind kind, uint64_t hash, uint64_t before,
                 uint64_t *positions, uint32_t max, uint32_t *found)
{
    struct header h;
    struct sorted s = {.loaded = 0};
    int code = place_open(place, &s.fd, &h);
    if (code != ERR_OK)
        return code;
    s.at = BLOCK + (uint64_t)h.filter;
    s.count = h.uuids;
    if (kind == INDEX_KEYS) {
        s.at += (uint64_t)blocks_of(h.uuids) * BLOCK;
        s.count = h.keys;
    }
    code = sorted_find(&s, hash, place->base, before, positions, max, found);
    sys->close(s.fd);
    return code;
}
