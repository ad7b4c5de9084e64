/* Row sets and clients as blocks of a file, each block with its own checksum.
 *
 * Entries stand in the order of the journal, so a page of them is read backwards from one place found by halving. What
 * does not fit its checksum, or names a client that is not there, is an error for the caller, who builds the index
 * again from the segment. */
#include "journal/index_sets_file.h"

#include "base/crc32c.h"
#include "journal/bytes.h"
#include "journal/files.h"

#include <stdlib.h>

enum {
    SET_SIZE = 20,
    SET_COUNT = (SETS_BLOCK - 4) / SET_SIZE,
    CLIENT_SIZE = CLIENT_MAX + 12,
    CLIENT_COUNT = (SETS_BLOCK - 4) / CLIENT_SIZE,
};

static uint32_t blocks_of(uint32_t count, uint32_t each)
{
    return count / each + (count % each != 0);
}

/* --- writing --- */

static void set_encode(const struct index_set *set, unsigned char *out)
{
    put_u32(out, set->place);
    put_u32(out + 4, set->client);
    put_u32(out + 8, set->length);
    put_u64(out + 12, (uint64_t)set->received_us);
}

static void client_encode(const struct index_client *client, unsigned char *out)
{
    memcpy(out, client->name, strlen(client->name));
    put_u64(out + CLIENT_MAX, client->bytes);
    put_u32(out + CLIENT_MAX + 8, client->sets);
}

static int block_write(int fd, unsigned char block[SETS_BLOCK], uint64_t *at)
{
    put_u32(block + SETS_BLOCK - 4, crc32c(0, block, SETS_BLOCK - 4));
    int code = file_write(fd, block, SETS_BLOCK, *at);
    *at += SETS_BLOCK;
    return code;
}

int sets_write(int fd, const struct index_sets *s, uint64_t *at)
{
    int code = ERR_OK;
    for (uint32_t i = 0; code == ERR_OK && i < s->count; i += SET_COUNT) {
        unsigned char block[SETS_BLOCK] = {0};
        for (uint32_t k = 0; k < SET_COUNT && i + k < s->count; k++)
            set_encode(&s->entries[i + k], block + (size_t)k * SET_SIZE);
        code = block_write(fd, block, at);
    }
    for (uint32_t i = 0; code == ERR_OK && i < s->clients.count; i += CLIENT_COUNT) {
        unsigned char block[SETS_BLOCK] = {0};
        for (uint32_t k = 0; k < CLIENT_COUNT && i + k < s->clients.count; k++)
            client_encode(&s->clients.all[i + k], block + (size_t)k * CLIENT_SIZE);
        code = block_write(fd, block, at);
    }
    return code;
}

/* --- reading --- */

static int block_load(struct sets_file *f, uint32_t block)
{
    if (f->loaded == block + 1)
        return ERR_OK;
    f->loaded = 0;
    int code = file_read(f->fd, f->block, SETS_BLOCK, f->at + (uint64_t)block * SETS_BLOCK);
    if (code != ERR_OK)
        return code == ERR_NOTFOUND ? ERR_DAMAGED : code;
    if (get_u32(f->block + SETS_BLOCK - 4) != crc32c(0, f->block, SETS_BLOCK - 4))
        return ERR_DAMAGED;
    f->loaded = block + 1;
    return ERR_OK;
}

int sets_file_get(struct sets_file *f, uint32_t number, struct index_set *out)
{
    int code = block_load(f, number / SET_COUNT);
    if (code != ERR_OK)
        return code;
    const unsigned char *in = f->block + (size_t)(number % SET_COUNT) * SET_SIZE;
    struct index_set set = {.place = get_u32(in),
                            .client = get_u32(in + 4),
                            .length = get_u32(in + 8),
                            .received_us = (int64_t)get_u64(in + 12)};
    if (set.client >= f->clients)
        return ERR_DAMAGED;
    *out = set;
    return ERR_OK;
}

int sets_file_bound(struct sets_file *f, uint64_t place, uint32_t *out)
{
    uint32_t lo = 0, hi = f->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct index_set set;
        int code = sets_file_get(f, mid, &set);
        if (code != ERR_OK)
            return code;
        if (set.place < place)
            lo = mid + 1;
        else
            hi = mid;
    }
    *out = lo;
    return ERR_OK;
}

static int client_get(struct sets_file *f, uint32_t number, struct index_client *out)
{
    int code = block_load(f, blocks_of(f->count, SET_COUNT) + number / CLIENT_COUNT);
    if (code != ERR_OK)
        return code;
    const unsigned char *in = f->block + (size_t)(number % CLIENT_COUNT) * CLIENT_SIZE;
    *out = (struct index_client){.bytes = get_u64(in + CLIENT_MAX), .sets = get_u32(in + CLIENT_MAX + 8)};
    memcpy(out->name, in, CLIENT_MAX);
    return ERR_OK;
}

int sets_file_clients(struct sets_file *f, struct index_clients *out)
{
    struct index_client *all = calloc(f->clients + 1, sizeof *all);
    if (all == NULL)
        return ERR_NOMEM;
    int code = ERR_OK;
    for (uint32_t i = 0; code == ERR_OK && i < f->clients; i++)
        code = client_get(f, i, &all[i]);
    if (code != ERR_OK) {
        free(all);
        return code;
    }
    out->all = all;
    out->count = out->cap = f->clients;
    return ERR_OK;
}
