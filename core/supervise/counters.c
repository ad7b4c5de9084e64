/* What is counted for one runner: what its plugin counts, and the rows that each of its processors skipped. Lists, for
 * they are short and only grow. Loop thread. */
#include "supervise/internal.h"

#include <stdlib.h>
#include <string.h>

enum { COUNTERS_MAX = 64 };

void counters_free(struct counter **list)
{
    for (struct counter *c = *list, *next; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    *list = NULL;
}

void counter_add(struct counter **list, struct slice name, uint64_t add)
{
    uint32_t count = 0;
    for (struct counter *c = *list; c != NULL; c = c->next, count++)
        if (slice_is(name, c->name)) {
            c->value += add;
            return;
        }
    struct counter *c = count < COUNTERS_MAX ? calloc(1, sizeof *c) : NULL;
    if (c == NULL)
        return;
    memcpy(c->name, name.ptr, name.len);
    c->value = add;
    c->next = *list;
    *list = c;
}

/* --- skipped rows --- */

/* The names belong to the host that ran with them: a reload may have given the runner others meanwhile. */
int runner_note_steps(struct runner *r)
{
    struct host_state *h = state_of(r);
    for (; h->step_count < r->steps.count; h->step_count++)
        if ((h->steps[h->step_count] = strdup(r->steps.all[h->step_count].name)) == NULL)
            return ERR_NOMEM;
    return ERR_OK;
}

void runner_forget_steps(struct runner *r)
{
    struct host_state *h = state_of(r);
    while (h->step_count > 0)
        free(h->steps[--h->step_count]);
}

/* A skip counts when its push is done, for then delivery has it in its books too. */
void runner_count_skips(struct runner *r, uint32_t lane)
{
    struct host_state *h = state_of(r);
    for (uint32_t i = 0; lane < CURSOR_LANES && i < h->step_count; i++) {
        if (h->told[lane].skipped[i] > 0)
            counter_add(&r->skips, slice_of(h->steps[i]), h->told[lane].skipped[i]);
        h->told[lane].skipped[i] = 0;
    }
}
