/* Rows without an index come behind those that have one, in the order in which they were posted; so do rows of the same
 * index among themselves. */
#include "place.h"

#include <stdlib.h>

enum { WHY_SIZE = 128 };

static int number_order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int member_order(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    int order = run_compare(&a->run, &b->run);
    if (order == 0)
        order = number_order((uint64_t)a->index, (uint64_t)b->index); /* none is -1: behind all others */
    return order != 0 ? order : number_order(a->row, b->row);
}

int places_make(struct places *p, const json_t *spec, const struct hg_api *api, struct hg_rows *rows, struct rowset set)
{
    char why[WHY_SIZE];
    p->count = 0;
    if (set.to - set.from > p->cap) {
        struct member *more = realloc(p->members, (set.to - set.from) * sizeof(*more));
        if (!more)
            return -1;
        p->members = more;
        p->cap = set.to - set.from;
    }
    for (size_t n = set.from; n < set.to; n++) {
        struct member *m = &p->members[p->count];
        *m = (struct member){.row = n, .index = api->index(api->row(rows, n))};
        if (run_of(spec, m->index, &m->run, why, sizeof(why)) == 0)
            p->count++;
        else
            api->judge(rows, n, HG_REJECT, 0, why);
    }
    qsort(p->members, p->count, sizeof(*p->members), member_order);
    return 0;
}

void places_fini(struct places *p)
{
    free(p->members);
    *p = (struct places){NULL, 0, 0};
}

size_t places_run_end(const struct places *p, size_t from)
{
    size_t to = from + 1;
    while (to < p->count && run_compare(&p->members[from].run, &p->members[to].run) == 0)
        to++;
    return to;
}
