/* A set ends where the next row is of another batch, or is not behind this one: then it is the same set once more. A
 * row that is left out is no end of it: WHEN and processors leave out rows, and what they leave is still one set. */
#include "common/rowset.h"

#include <string.h>

enum { FNV_START = 0x811c9dc5, FNV_PRIME = 0x01000193 }; /* FNV-1a, 32 bits */

static uint32_t marked(uint32_t mark, uint32_t number)
{
    for (int i = 0; i < 4; i++, number >>= 8)
        mark = (mark ^ (number & 0xff)) * FNV_PRIME;
    return mark;
}

struct rowset rowset_at(const struct hg_api *api, const struct hg_rows *rows, size_t from)
{
    struct rowset set = {.from = from, .to = from + 1};
    const struct hg_row *row = api->row(rows, from), *next;
    uint32_t first = api->number(row), number = first;
    char id[HG_BATCH_ID_SIZE], other[HG_BATCH_ID_SIZE];
    api->batch_id(row, id);
    set.mark = marked(FNV_START, number);
    while ((next = api->row(rows, set.to)) && api->number(next) > number) {
        api->batch_id(next, other);
        if (strcmp(id, other) != 0)
            break;
        set.gaps |= api->number(next) != number + 1;
        number = api->number(next);
        set.mark = marked(set.mark, number);
        set.to++;
    }
    set.whole = first == 0 && !set.gaps && api->last(api->row(rows, set.to - 1));
    return set;
}
