/* Replays: a second cursor over what lingers, for one pusher. It never pins the journal; when retention overtakes it,
 * it goes on with the oldest there is and counts what was gone. Its place is stored in the pusher's cursor. */
#include "delivery/internal.h"

#include "delivery/verdict.h"

#include <string.h>

enum { REPLAY_STUCK_MAX = 5 }; /* tries of one row before it becomes a dead letter */

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
        hand->base = segment.base;
        hand->from = job->c.next;
        hand->only_uuid = job->c.only_uuid;
        hand->new_ids = job->c.new_ids;
        hand->epoch = job->c.epoch;
        hand->attempt = job->stuck + 1;
        if (job->c.rate > 0 && job->c.rate < hand->max_rows)
            hand->max_rows = job->c.rate;
        job->out = true;
        return true;
    }
    return false;
}

static struct replay_job *replay_out(struct pusher *p)
{
    for (uint32_t i = 0; i < p->replay_count; i++)
        if (p->replays[i].out)
            return &p->replays[i];
    return NULL;
}

void replay_back(struct pusher *p, const struct handed *h, int64_t now)
{
    (void)h;
    struct replay_job *job = replay_out(p);
    if (job == NULL)
        return;
    job->out = false;
    job->stuck++;
    job->next_due_ms = now + pusher_backoff(p, job->stuck);
}

/* Rows of a replay are judged like others, but one that says "again" holds back the rest of the replay, and after a few
 * tries becomes a dead letter: a replay must end. */
static struct place replay_judge(struct pusher *p, struct replay_job *job, const struct handed *h, struct place end,
                                 uint64_t *settled)
{
    for (uint32_t i = 0; i < h->judged_count; i++) {
        const struct judged *j = &h->judged[i];
        const char *reason = j->reason == NULL ? "refused" : j->reason;
        if (j->verdict == HG_DUPLICATE)
            job->c.duplicate++;
        if (j->verdict == HG_RETRY && job->stuck < REPLAY_STUCK_MAX)
            return j->place;
        if (j->verdict == HG_REJECT || j->verdict == HG_RETRY) {
            (void)pusher_set_aside(p, j->place, j->uuid_hash, job->stuck + 1, ASIDE_DEAD, reason);
            --*settled;
        }
    }
    return end;
}

void replay_done(struct pusher *p, const struct handed *h, const struct done *done, int64_t now)
{
    struct replay_job *job = replay_out(p);
    if (job == NULL)
        return;
    job->out = false;
    if (done->result != HG_ALL_OK && done->result != HG_JUDGED) {
        job->stuck++;
        return; /* the pusher's own backoff delays it */
    }
    uint64_t settled = done->rows;
    struct place to = replay_judge(p, job, h, done->end, &settled);
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
