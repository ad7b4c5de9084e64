/* Replays: a second cursor over what lingers, for one pusher. It never pins the journal; when retention overtakes it,
 * it goes on with the oldest there is and counts what was gone. Its place is stored in the pusher's cursor. */
#include "delivery/internal.h"

#include <string.h>

enum { REPLAY_STUCK_MAX = 5 }; /* tries of one row before it is left behind */

int pusher_replay(struct pusher *p, const struct cursor_replay *replay, uint64_t *id)
{
    if (p->replay_count == CURSOR_REPLAYS) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < p->replay_count; i++)
            if (!p->replays[i].done)
                p->replays[kept++] = p->replays[i];
        p->replay_count = kept;
    }
    if (p->replay_count == CURSOR_REPLAYS)
        return ERR_LIMIT;
    struct replay_job *job = &p->replays[p->replay_count];
    *job = (struct replay_job){.c = *replay};
    job->c.id = p->next_replay;
    if (replay->new_ids && epoch_draw(&job->c.epoch) != ERR_OK)
        return ERR_IO;
    p->replay_count++;
    *id = p->next_replay++;
    pusher_dirty(p, true);
    return ERR_OK;
}

static struct replay_job *replay_find(struct pusher *p, uint64_t id)
{
    for (uint32_t i = 0; i < p->replay_count; i++)
        if (p->replays[i].c.id == id)
            return &p->replays[i];
    return NULL;
}

static void replay_finish(struct pusher *p, struct replay_job *job)
{
    if (job->done)
        return;
    job->done = true;
    pusher_dirty(p, true);
    p->ops->changed(p->ops->arg, p, "replay.done", job->overtaken ? "part of it was gone" : "");
}

void pusher_replay_end(struct pusher *p, uint64_t id)
{
    struct replay_job *job = replay_find(p, id);
    if (job != NULL && !job->done)
        replay_finish(p, job);
}

bool replay_pick(struct pusher *p, struct hand *hand, int64_t now, int64_t *wake)
{
    for (uint32_t i = 0; i < p->replay_count; i++) {
        struct replay_job *job = &p->replays[i];
        struct journal_segment segment;
        if (job->out || job->done)
            continue;
        if (job->next_due_ms > now) {
            *wake = job->next_due_ms < *wake ? job->next_due_ms : *wake;
            continue;
        }
        if (job->c.next.position >= job->c.to ||
            p->ops->segment_at(p->ops->arg, job->c.next.position, &segment) != ERR_OK) {
            replay_finish(p, job);
            continue;
        }
        if (job->c.next.position < segment.base) { /* retention was faster */
            job->overtaken = true;
            job->c.gone++;
        }
        if (job->c.next.position < segment.first)
            job->c.next = (struct place){segment.first, 0};
        hand->limit = segment.end < job->c.to ? segment.end : job->c.to;
        if (hand->limit <= job->c.next.position) {
            replay_finish(p, job);
            continue;
        }
        hand->replay = job->c.id;
        hand->base = segment.base;
        hand->from = job->c.next;
        hand->only_uuid = job->c.only_uuid;
        hand->new_ids = job->c.new_ids;
        hand->epoch = job->c.epoch;
        hand->attempt = job->stuck + 1;
        if (job->stuck > 0)
            hand->max_rows = 1;
        if (job->c.rate > 0 && job->c.rate < hand->max_rows)
            hand->max_rows = job->c.rate;
        job->out = true;
        return true;
    }
    return false;
}

/* A replay that ends the host each time must not go on for ever: the others of this pusher would pay for it. */
void replay_back(struct pusher *p, const struct handed *h, bool died, int64_t now)
{
    struct replay_job *job = replay_find(p, h->replay);
    if (job == NULL)
        return;
    job->out = false;
    if (!died)
        return;
    job->stuck++;
    job->next_due_ms = now + pusher_backoff(p, job->stuck);
    if (job->stuck > REPLAY_STUCK_MAX) {
        pusher_error(p, slice_of("a replay was ended: the plugin did not survive it"));
        replay_finish(p, job);
    }
}

static bool replay_aside(struct pusher *p, const struct replay_job *job, const struct judged *j, enum aside_state state)
{
    struct journal_segment segment;
    const char *reason = j->reason == NULL ? "refused without a reason" : j->reason;
    if (p->ops->segment_at(p->ops->arg, j->place.position, &segment) == ERR_OK &&
        aside_find(&p->aside, &segment.epoch, j->place) != NULL)
        return true; /* it is here already */
    return pusher_set_aside(p, j->place, j->uuid_hash, job->stuck + 1, state, reason);
}

/* Rows of a replay are judged like others, but one that says "again" when nothing passes holds back the rest of the
 * replay, for a few tries: a replay must end. Then it goes on by itself. */
static struct place replay_judge(struct pusher *p, struct replay_job *job, const struct handed *h,
                                 const struct done *done, uint64_t *settled)
{
    if (done->delivered > 0)
        p->rejects = 0;
    for (uint32_t i = 0; i < h->judged_count; i++) {
        const struct judged *j = &h->judged[i];
        bool refused = j->verdict == HG_REJECT;
        job->c.duplicate += j->verdict == HG_DUPLICATE;
        if (j->verdict == HG_RETRY && done->delivered == 0 && job->stuck < REPLAY_STUCK_MAX)
            return j->place;
        if (!refused && j->verdict != HG_RETRY)
            continue;
        if ((refused && !judge_breaker(p, done->delivered > 0)) ||
            !replay_aside(p, job, j, refused ? ASIDE_DEAD : ASIDE_RETRYING))
            return j->place;
        --*settled;
    }
    return done->end;
}

void replay_done(struct pusher *p, const struct handed *h, const struct done *done, int64_t now)
{
    struct replay_job *job = replay_find(p, h->replay);
    if (job == NULL)
        return;
    job->out = false;
    if (done->result != HG_ALL_OK && done->result != HG_JUDGED) {
        return; /* the pusher's own backoff delays it */
    }
    uint64_t settled = done->rows;
    struct place to = replay_judge(p, job, h, done, &settled);
    bool moved = place_before(job->c.next, to);
    job->c.next = to;
    job->c.sent += settled;
    job->stuck = moved ? 0 : job->stuck + 1;
    if (!moved)
        job->next_due_ms = now + pusher_backoff(p, job->stuck);
    else if (job->c.rate > 0)
        job->next_due_ms = now + (int64_t)done->rows * 1000 / job->c.rate;
    pusher_dirty(p, false);
    if (job->c.next.position >= job->c.to)
        replay_finish(p, job);
}
