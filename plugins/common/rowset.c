/* A set ends where the next row is of another batch, or where a number is left out. */
#include "common/rowset.h"

#include <string.h>

struct rowset rowset_at(const struct hg_api *api, const struct hg_rows *rows, size_t from)
{
    struct rowset set = {from, from + 1, 0};
    const struct hg_row *row = api->row(rows, from), *next;
    uint32_t first = api->number(row), number = first;
    char id[HG_BATCH_ID_SIZE], other[HG_BATCH_ID_SIZE];
    api->batch_id(row, id);
    while ((next = api->row(rows, set.to)) && api->number(next) == number + 1) {
        api->batch_id(next, other);
        if (strcmp(id, other) != 0)
            break;
        number++;
        set.to++;
    }
    set.whole = first == 0 && api->last(api->row(rows, set.to - 1));
    return set;
}
