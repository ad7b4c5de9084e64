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
            if (p->replays[i].end == REPLAY_RUNS)
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

const char *replay_word(const struct replay_job *job)
{
    switch (job->end) {
    case REPLAY_RUNS: return "running";
    case REPLAY_DONE: return job->c.gone > 0 ? "overtaken" : "done";
    case REPLAY_STOPPED: return "stopped";
    case REPLAY_FAILED: return "failed";
    }
    return "";
}

static void replay_finish(struct pusher *p, struct replay_job *job, enum replay_end end)
{
    if (job->end != REPLAY_RUNS)
        return;
    job->end = end;
    pusher_dirty(p, true);
    p->ops->changed(p->ops->arg, p, "replay.ended", replay_word(job));
}

void pusher_replay_end(struct pusher *p, uint64_t id)
{
    struct replay_job *job = replay_find(p, id);
    if (job != NULL)
        replay_finish(p, job, REPLAY_STOPPED);
}

/* Go on in this segment. Between two segments lie positions that no row ever had, so rows are counted: those that
 * retention took before they were sent. */
static void replay_enter(struct replay_job *job, const struct journal_segment *segment)
{
    if (job->c.next.position >= segment->first)
        return;
    uint64_t to = segment->first_row < job->c.to_row ? segment->first_row : job->c.to_row;
    if (to > job->c.row)
        job->c.gone += to - job->c.row;
    job->c.row = segment->first_row;
    job->c.next = (struct place){segment->first, 0};
}

bool replay_pick(struct pusher *p, struct hand *hand, int64_t now, int64_t *wake)
{
    for (uint32_t i = 0; i < p->replay_count; i++) {
        struct replay_job *job = &p->replays[i];
        struct journal_segment segment;
        if (job->out || job->end != REPLAY_RUNS)
            continue;
        if (job->next_due_ms > now) {
            *wake = job->next_due_ms < *wake ? job->next_due_ms : *wake;
            continue;
        }
        if (job->c.next.position >= job->c.to ||
            p->ops->segment_at(p->ops->arg, job->c.next.position, &segment) != ERR_OK) {
            replay_finish(p, job, REPLAY_DONE);
            continue;
        }
        replay_enter(job, &segment);
        hand->limit = segment.end < job->c.to ? segment.end : job->c.to;
        if (hand->limit <= job->c.next.position) {
            replay_finish(p, job, REPLAY_DONE);
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
        replay_finish(p, job, REPLAY_FAILED);
    }
}

/* One copy of a row is enough: what is still to be judged where it stands is set aside, or not, by what is said of it
 * there; what was judged may be aside already, or about to be. */
static bool replay_aside(struct pusher *p, const struct replay_job *job, const struct judged *j, enum aside_state state)
{
    struct journal_segment segment;
    const char *reason = j->reason == NULL ? "refused without a reason" : j->reason;
    if (pusher_unsettled(p, j->place, j->uuid_hash) || pusher_sets_aside(p, j->place))
        return true;
    if (p->ops->segment_at(p->ops->arg, j->place.position, &segment) == ERR_OK &&
        aside_find(&p->aside, &segment.epoch, j->place) != NULL)
        return true; /* it is here already */
    return pusher_set_aside(p, j->place, j->uuid_hash, job->stuck + 1, state, reason);
}

/* Rows of a replay are judged like others, but one that says "again" when nothing passes holds back the rest of the
 * replay, for a few tries: a replay must end. Then it goes on by itself. */
static struct place replay_judge(struct pusher *p, const struct replay_job *job, const struct handed *h,
                                 const struct done *done)
{
    if (done->delivered > 0)
        p->rejects = 0;
    for (uint32_t i = 0; i < h->judged_count; i++) {
        const struct judged *j = &h->judged[i];
        bool refused = j->verdict == HG_REJECT;
        if (j->verdict == HG_RETRY && done->delivered == 0 && job->stuck < REPLAY_STUCK_MAX)
            return j->place;
        if (!refused && j->verdict != HG_RETRY)
            continue;
        if ((refused && !judge_breaker(p, done->delivered > 0)) ||
            !replay_aside(p, job, j, refused ? ASIDE_DEAD : ASIDE_RETRYING))
            return j->place;
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
    struct place to = replay_judge(p, job, h, done);
    bool moved = place_before(job->c.next, to);
    job->c.next = to;
    job->c.sent += done->delivered;
    for (uint32_t i = 0; i < h->judged_count; i++)
        job->c.duplicate += h->judged[i].verdict == HG_DUPLICATE && place_before(h->judged[i].place, to);
    if (place_cmp(to, h->end) == 0 && h->end_row > 0)
        job->c.row = h->end_row;
    job->stuck = moved ? 0 : job->stuck + 1;
    if (!moved)
        job->next_due_ms = now + pusher_backoff(p, job->stuck);
    else if (job->c.rate > 0)
        job->next_due_ms = now + (int64_t)done->rows * 1000 / job->c.rate;
    pusher_dirty(p, false);
    if (job->c.next.position >= job->c.to)
        replay_finish(p, job, REPLAY_DONE);
}
