/* Each segment's header names the one before it: base, valid end, epoch. That chain says where a segment ends (bytes
 * beyond are void), what is missing, and what is there under a name that something else had. For recovery and verify;
 * nothing is read or changed here. */
#include "journal/chain.h"

bool chain_holds_rows(const struct survey_file *f)
{
    return f->kind == SURVEY_GOOD || f->kind == SURVEY_LOST;
}

static bool contradicts(const struct survey_file *f, const struct survey_file *before)
{
    return memcmp(&f->header.prev_epoch, &before->header.epoch, sizeof before->header.epoch) != 0 ||
           f->header.prev_end < before->base + SEGMENT_HEADER ||
           f->header.prev_end > before->base + before->header.size;
}

struct chain_range chain_follow(const struct survey *s, const struct survey_file *f)
{
    struct chain_range none = {0, 0};
    struct survey_file *before = f->kind == SURVEY_GOOD ? survey_find(s, f->header.prev_base) : NULL;
    if (before == NULL || !chain_holds_rows(before) || before >= f)
        return none;
    if (contradicts(f, before))
        return (struct chain_range){before->base + SEGMENT_HEADER, f->header.prev_end};
    before->followed = true;
    before->end = f->header.prev_end;
    return none;
}

struct chain_range chain_missing(const struct survey *s, const struct survey_file *f, uint64_t older_end)
{
    struct chain_range none = {0, 0};
    if (f->kind != SURVEY_GOOD || f->header.prev_base == UINT64_MAX)
        return none;
    const struct survey_file *before = survey_find(s, f->header.prev_base);
    bool there = before != NULL && chain_holds_rows(before);
    if (there || (before == NULL && older_end == UINT64_MAX))
        return none;
    uint64_t from = f->header.prev_base + SEGMENT_HEADER;
    if (older_end < from) /* more than one may be missing */
        from = older_end;
    return (struct chain_range){from, f->header.prev_end};
}

bool chain_expects_rows(const struct survey *s, const struct survey_file *f)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct survey_file *after = &s->files[i];
        if (after->kind == SURVEY_GOOD && after->header.prev_base == f->base &&
            after->header.prev_end > f->base + SEGMENT_HEADER)
            return true;
    }
    return false;
}

uint32_t chain_tail(const struct survey *s)
{
    uint32_t at = s->count;
    while (at > 0)
        if (s->files[--at].kind == SURVEY_GOOD)
            return at;
    return 0;
}
