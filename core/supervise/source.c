/* Reading the journal for checkpoints. A session keeps one segment held and open, because rows that are set aside
 * together mostly stand together; it lives for one stage of one checkpoint, on its worker thread. */
#include "supervise/source.h"

#include "base/sys.h"

#include <stdlib.h>

struct session {
    struct reader reader;
    struct journal_segment segment;
    int fd;
};

static void session_close(struct journal *journal, struct session *s)
{
    if (s->fd < 0)
        return;
    reader_fini(&s->reader);
    sys->close(s->fd);
    journal_unhold(journal, s->segment.base);
    s->fd = -1;
}

/* The session on the segment that holds `position` (or the next one after it). */
static int session_at(struct journal *journal, void **slot, uint64_t position, struct session **out)
{
    struct session *s = *slot;
    if (s == NULL) {
        s = malloc(sizeof *s);
        if (s == NULL)
            return ERR_NOMEM;
        s->fd = -1;
        *slot = s;
    }
    *out = s;
    if (s->fd >= 0 && position >= s->segment.first && position < s->segment.end)
        return ERR_OK;
    session_close(journal, s);
    int code = journal_segment_at(journal, position, &s->segment);
    if (code == ERR_OK)
        code = journal_hold(journal, s->segment.base, &s->fd, NULL);
    if (code != ERR_OK) {
        s->fd = -1;
        return code;
    }
    reader_init(&s->reader, s->fd, s->segment.base, s->segment.salt);
    return ERR_OK;
}

static int source_at(void *arg, void **slot, uint64_t position, struct record *record)
{
    struct session *s;
    int code = session_at(arg, slot, position, &s);
    if (code != ERR_OK)
        return code;
    return position < s->segment.first ? ERR_GONE : reader_at(&s->reader, position, s->segment.end, record);
}

static int source_next(void *arg, void **slot, uint64_t *position, uint64_t limit, struct record *record)
{
    struct session *s;
    int code = session_at(arg, slot, *position, &s);
    if (code != ERR_OK)
        return code;
    uint64_t end = limit < s->segment.end ? limit : s->segment.end;
    if (*position < s->segment.first)
        *position = s->segment.first;
    for (;;) {
        struct read_damage damage;
        enum read_result result = reader_next(&s->reader, position, end, record, &damage, &code);
        if (result == READ_ERROR)
            return code;
        if (result == READ_END)
            return ERR_NOTFOUND;
        if (result == READ_DAMAGE)
            journal_report_damage(arg, damage);
        else if (record->type == RECORD_ROWS)
            return ERR_OK;
    }
}

static void source_end(void *arg, void **slot)
{
    if (*slot != NULL)
        session_close(arg, *slot);
    free(*slot);
    *slot = NULL;
}

struct row_source source_of(struct journal *journal)
{
    return (struct row_source){.at = source_at, .next = source_next, .end = source_end, .arg = journal};
}
