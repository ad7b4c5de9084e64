/* Pictures of pushers with regard to one row set.
 *
 * Two steps, because the delivery state belongs to the loop and files are read on a worker thread. The state is older
 * than the streams are when they are read, so an entry may be seen twice; counting is by row, so that does no harm. */
#include "api/picture.h"

#include <stdlib.h>
#include <string.h>

enum { NOTES_BYTES = 1 << 20 };

struct picture {
    char *name, *dir, *error;
    enum pusher_state state;
    struct pusher_view view;
    int64_t since_us;
    uint32_t counts[OUTCOME_COUNT], attempts;
    struct settle_entry *settles;
    size_t settle_count;
    struct buf notes; /* what operators said, as elements of a JSON array */
};

/* --- the state in memory (loop thread) --- */

struct gather {
    struct picture *picture;
    uint64_t position;
    bool failed;
};

static bool covers(const struct settle_entry *e, uint64_t position)
{
    return e->place.position == position || (e->rows == 0 && e->place.position <= position && position < e->end);
}

static void gather_settle(void *arg, const struct settle_entry *entry)
{
    struct gather *g = arg;
    if (!covers(entry, g->position))
        return;
    struct settle_entry *grown =
        realloc(g->picture->settles, (g->picture->settle_count + 1) * sizeof *g->picture->settles);
    if (grown == NULL) {
        g->failed = true;
        return;
    }
    g->picture->settles = grown;
    grown[g->picture->settle_count++] = *entry;
}

static int take(struct picture *p, const struct runner *r, const struct batch *b)
{
    struct gather g = {.picture = p, .position = b->position};
    p->name = strdup(r->name);
    p->dir = strdup(r->pusher->dir);
    p->error = strdup(r->pusher->error);
    buf_init(&p->notes, NOTES_BYTES);
    p->state = r->pusher->state;
    p->since_us = r->pusher->state_since_us;
    pusher_view(r->pusher, b->position, b->rows, b->uuid_hash, &p->view);
    pusher_settles(r->pusher, gather_settle, &g);
    return g.failed || p->name == NULL || p->dir == NULL || p->error == NULL ? ERR_NOMEM : ERR_OK;
}

int pictures_take(struct api *api, const struct batch *b, struct pictures *out)
{
    size_t count = 0;
    int code = ERR_OK;
    LIST_EACH(supervisor_runners(api->supervisor), it)
    count++;
    *out = (struct pictures){.all = calloc(count + 1, sizeof *out->all)};
    if (out->all == NULL)
        return ERR_NOMEM;
    LIST_EACH(supervisor_runners(api->supervisor), it)
    {
        const struct runner *r = container_of(it, struct runner, link);
        if (code == ERR_OK && r->pusher != NULL && pusher_takes(r->pusher, b->position))
            code = take(&out->all[out->count++], r, b);
    }
    return code;
}

void pictures_free(struct pictures *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->all[i].name);
        free(p->all[i].dir);
        free(p->all[i].error);
        free(p->all[i].settles);
        buf_free(&p->all[i].notes);
    }
    free(p->all);
    *p = (struct pictures){.all = NULL};
}

/* --- the settle streams (worker thread) --- */

struct counting {
    uint8_t *outcomes; /* of each row; 0 delivered */
    const struct batch *batch;
    uint32_t attempts;
};

static void count_entry(void *arg, const struct settle_entry *e)
{
    struct counting *c = arg;
    if (!covers(e, c->batch->position))
        return;
    if (e->attempts > c->attempts)
        c->attempts = e->attempts;
    if (e->rows == 0 && e->outcome == OUTCOME_DELIVERED)
        return; /* only says how many tries it took */
    uint32_t from = e->place.position == c->batch->position ? e->place.row : 0;
    uint64_t to = e->rows == 0 ? c->batch->rows : (uint64_t)from + e->rows;
    for (uint64_t row = from; row < to && row < c->batch->rows; row++)
        c->outcomes[row] = e->outcome;
}

static int count_settled(const struct batch *b, struct picture *p)
{
    struct counting c = {.outcomes = calloc(b->rows + 1, 1), .batch = b, .attempts = p->view.attempts};
    if (c.outcomes == NULL)
        return ERR_NOMEM;
    int code = settle_find(p->dir, b->segment.base, b->position, count_entry, &c);
    for (size_t i = 0; i < p->settle_count; i++)
        count_entry(&c, &p->settles[i]);
    for (uint32_t row = 0; row < b->rows; row++)
        p->counts[c.outcomes[row]]++;
    p->attempts = c.attempts;
    uint32_t ruled = p->view.ruled < p->counts[OUTCOME_DELIVERED] ? p->view.ruled : p->counts[OUTCOME_DELIVERED];
    p->counts[OUTCOME_DELIVERED] -= ruled;
    p->counts[p->view.ruling == RULING_DELIVERED ? OUTCOME_BY_HAND : OUTCOME_GIVEN_UP] += ruled;
    uint32_t open = p->view.pending + p->view.waiting + p->view.parked;
    p->counts[OUTCOME_DELIVERED] -= open < p->counts[OUTCOME_DELIVERED] ? open : p->counts[OUTCOME_DELIVERED];
    free(c.outcomes);
    return code;
}

int pictures_count(struct pictures *p, const struct batch *b, bool tells_who)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < p->count; i++) {
        code = count_settled(b, &p->all[i]);
        if (code == ERR_OK && tells_who)
            code = note_find(p->all[i].dir, b->segment.base, b->position, &p->all[i].notes);
    }
    return code;
}

/* --- the text --- */

static const char *state_word(const struct picture *p)
{
    if (p->view.pending + p->view.waiting + p->view.parked == 0)
        return "settled";
    if (p->state == PUSHER_PAUSED)
        return "paused";
    if (p->view.waiting + p->view.parked > 0 || p->state == PUSHER_RETRYING)
        return "retrying";
    return p->view.delivering ? "delivering" : "pending";
}

static int add_picture(struct buf *out, const struct picture *p)
{
    bool settled = strcmp(state_word(p), "settled") == 0;
    uint32_t by_hand = p->counts[OUTCOME_BY_HAND], given_up = p->counts[OUTCOME_GIVEN_UP];
    int code = buf_add_json(out, slice_of(p->name));
    if (code == ERR_OK)
        code = buf_addf(out, ":{\"state\":\"%s\",\"delivered\":%u,\"duplicate\":%u,\"skipped\":%u,\"dead\":%u",
                        state_word(p), p->counts[OUTCOME_DELIVERED] + by_hand, p->counts[OUTCOME_DUPLICATE],
                        p->counts[OUTCOME_SKIPPED] + given_up, p->counts[OUTCOME_DEAD]);
    if (code == ERR_OK && by_hand > 0)
        code = buf_addf(out, ",\"by_hand\":%u", by_hand);
    if (code == ERR_OK && given_up > 0)
        code = buf_addf(out, ",\"given_up\":%u", given_up);
    if (code == ERR_OK)
        code = buf_addf(out, ",\"attempts\":%u", p->attempts);
    if (code == ERR_OK && !settled && p->error[0] != '\0') {
        code = buf_adds(out, ",\"error\":");
        if (code == ERR_OK)
            code = buf_add_json(out, slice_of(p->error));
    }
    if (code == ERR_OK && !settled) {
        code = buf_adds(out, ",\"since\":");
        if (code == ERR_OK)
            code = api_time(out, p->since_us);
    }
    if (code == ERR_OK && p->notes.len > 0) {
        code = buf_adds(out, ",\"steered\":[");
        if (code == ERR_OK)
            code = buf_add(out, p->notes.ptr, p->notes.len);
        if (code == ERR_OK)
            code = buf_addc(out, ']');
    }
    return code == ERR_OK ? buf_addc(out, '}') : code;
}

static const char *outcome_of(const struct pictures *all)
{
    bool open = false, dead = false, good = false;
    for (size_t i = 0; i < all->count; i++) {
        const struct picture *p = &all->all[i];
        open = open || strcmp(state_word(p), "settled") != 0;
        dead = dead || p->counts[OUTCOME_DEAD] + p->counts[OUTCOME_GIVEN_UP] > 0;
        good = good || p->counts[OUTCOME_DELIVERED] + p->counts[OUTCOME_BY_HAND] + p->counts[OUTCOME_DUPLICATE] +
                               p->counts[OUTCOME_SKIPPED] >
                           0;
    }
    return open ? "pending" : dead && good ? "mixed" : dead ? "dead" : "delivered";
}

int pictures_write(const struct pictures *p, struct buf *out)
{
    bool more = false;
    int code = buf_adds(out, "\"pushers\":{");
    for (size_t i = 0; code == ERR_OK && i < p->count; i++) {
        code = api_comma(out, &more);
        if (code == ERR_OK)
            code = add_picture(out, &p->all[i]);
    }
    return code == ERR_OK ? buf_addf(out, "},\"outcome\":\"%s\"", outcome_of(p)) : code;
}
