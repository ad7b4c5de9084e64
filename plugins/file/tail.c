/* Called when a file is opened for the first time in a process, before anything is written to it.
 *
 * What may be there after a crash: whole lines whose rows come again (their ids go into `seen`), then a line that was
 * torn anywhere; after a power loss also bytes that never reached the disk and read as zeros, with lines behind them
 * that did. A line is ours when it begins with an id and a uuid, ends as ours end, and holds no NUL. The file is good
 * up to the first line that isn't, unless a settled row follows: settled rows were on disk when that was said, so then
 * it was somebody else who damaged the line, and nothing behind it may be touched. */
#include "tail.h"

#include "common/rowline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 256 * 1024, HEAD_ROOM = 96 };
static const uint64_t back_max = (uint64_t)1 << 30; /* no further back than this */

struct line {
    uint64_t start;
    uint64_t len; /* with the newline */
    int ours;
    char id[HG_ROW_ID_SIZE];
    size_t id_len;
};

/* Gathers what of a line has to be looked at while its bytes pass. */
struct gather {
    uint64_t start, len;
    char head[HEAD_ROOM];
    char last[2]; /* the last two bytes before the newline */
    int nul;
};

typedef void (*line_fn)(void *arg, const struct line *line);

static int pread_some(int fd, char *buf, size_t len, uint64_t at, size_t *got)
{
    ssize_t n;
    do
        n = pread(fd, buf, len, (off_t)at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno;
    *got = (size_t)n;
    return n == 0 ? EIO : 0; /* shorter than fstat said: somebody is at it */
}

static size_t id_length(const char *head, size_t len)
{
    const size_t skip = sizeof(ROWLINE_HEAD) - 1, second = sizeof(ROWLINE_SECOND) - 1;
    if (len < skip + second || memcmp(head, ROWLINE_HEAD, skip) != 0)
        return 0;
    const char *end = memchr(head + skip, '"', len - skip);
    size_t id_len = end ? (size_t)(end - head) - skip : 0;
    if (id_len == 0 || id_len >= HG_ROW_ID_SIZE || skip + id_len + second > len)
        return 0;
    return memcmp(end, ROWLINE_SECOND, second) == 0 ? id_len : 0;
}

static void line_finish(const struct gather *g, struct line *out)
{
    size_t head = g->len < HEAD_ROOM ? (size_t)g->len : HEAD_ROOM;
    *out = (struct line){.start = g->start, .len = g->len + 1, .id_len = id_length(g->head, head)};
    memcpy(out->id, g->head + sizeof(ROWLINE_HEAD) - 1, out->id_len);
    out->ours = out->id_len > 0 && !g->nul && memcmp(g->last, ROWLINE_TAIL, 2) == 0;
}

static void gather_bytes(struct gather *g, const char *ptr, size_t len)
{
    if (g->len < HEAD_ROOM) {
        size_t room = HEAD_ROOM - (size_t)g->len;
        memcpy(g->head + g->len, ptr, len < room ? len : room);
    }
    if (len > 1)
        memcpy(g->last, ptr + len - 2, 2);
    else if (len == 1) {
        g->last[0] = g->last[1];
        g->last[1] = *ptr;
    }
    g->nul |= memchr(ptr, '\0', len) != NULL;
    g->len += len;
}

/* Calls `fn` for each line of [from, to) that ends with a newline. */
static int lines_read(int fd, uint64_t from, uint64_t to, line_fn fn, void *arg)
{
    char *block = malloc(BLOCK);
    if (!block)
        return ENOMEM;
    struct gather g = {.start = from};
    int rc = 0;
    while (rc == 0 && from < to) {
        size_t got = 0, at = 0;
        rc = pread_some(fd, block, to - from < BLOCK ? (size_t)(to - from) : BLOCK, from, &got);
        while (rc == 0 && at < got) {
            const char *newline = memchr(block + at, '\n', got - at);
            size_t len = newline ? (size_t)(newline - block) - at : got - at;
            gather_bytes(&g, block + at, len);
            at += len;
            if (newline) {
                struct line line;
                line_finish(&g, &line);
                fn(arg, &line);
                at++;
                g = (struct gather){.start = from + at};
            }
        }
        if (rc == 0)
            from += got;
    }
    free(block);
    return rc;
}

int tail_ours(int fd, uint64_t size)
{
    char head[sizeof(ROWLINE_HEAD) - 1];
    size_t got = 0, want = size < sizeof(head) ? (size_t)size : sizeof(head);
    if (want == 0)
        return 1;
    if (pread_some(fd, head, want, 0, &got) != 0 || got != want)
        return 0;
    for (size_t i = 0; i < want; i++)
        if (head[i] != ROWLINE_HEAD[i] && head[i] != '\0')
            return 0;
    return 1;
}

int tail_mark_holds(int fd, uint64_t size, const struct place *mark)
{
    char line[HEAD_ROOM];
    size_t got = 0;
    if (mark->offset == 0)
        return 1;
    if (mark->offset > size || mark->line < 2 || mark->line > mark->offset)
        return 0;
    if (pread_some(fd, line, 1, mark->offset - 1, &got) != 0 || line[0] != '\n')
        return 0;
    size_t want = mark->line < HEAD_ROOM ? mark->line : HEAD_ROOM;
    if (pread_some(fd, line, want, mark->offset - mark->line, &got) != 0 || got != want)
        return 0;
    size_t id_len = id_length(line, want);
    return id_len > 0 && place_check(line + sizeof(ROWLINE_HEAD) - 1, id_len) == mark->check;
}

int tail_settled(const struct tail_host *host, const char *id)
{
    return strcmp(id, host->frontier) <= 0 || host->api->settled(host->host, id);
}

struct counted { /* of one block read backwards */
    const struct tail_host *host;
    int settled, unsettled;
};

static void line_count(void *arg, const struct line *line)
{
    struct counted *c = arg;
    if (!line->ours)
        return;
    if (tail_settled(c->host, line->id))
        c->settled = 1;
    else
        c->unsettled = 1;
}

/* Where the first newline is, or `len`. */
static size_t newline_at(const char *block, size_t len)
{
    const char *newline = memchr(block, '\n', len);
    return newline ? (size_t)(newline - block) : len;
}

/* The beginning of some line at least a block before `upper`, where a line begins too. */
static int line_before(int fd, uint64_t upper, uint64_t *start)
{
    char *block = malloc(BLOCK);
    if (!block)
        return ENOMEM;
    int rc = 0, found = 0;
    uint64_t lo = upper, hi = upper - 1; /* the newline at upper - 1 ends the line that is looked for */
    while (rc == 0 && !found && lo > 0) {
        lo = lo > BLOCK ? lo - BLOCK : 0;
        size_t got = 0;
        if (hi > lo)
            rc = pread_some(fd, block, (size_t)(hi - lo), lo, &got);
        size_t at = rc == 0 ? newline_at(block, got) : got;
        found = at < got;
        *start = found ? lo + at + 1 : 0;
        hi = lo;
    }
    free(block);
    return rc;
}

int tail_start(int fd, uint64_t size, const struct tail_host *host, uint64_t *from)
{
    uint64_t upper = size;
    while (upper > 0 && size - upper < back_max) {
        uint64_t start = 0;
        struct counted c = {.host = host};
        int rc = line_before(fd, upper, &start);
        if (rc == 0)
            rc = lines_read(fd, start, upper, line_count, &c);
        if (rc != 0)
            return rc;
        upper = start;
        if (c.settled && !c.unsettled)
            break;
    }
    *from = upper;
    return 0;
}

struct judged {
    const struct tail_host *host;
    struct tail *out;
    int torn;
};

static void line_judge(void *arg, const struct line *line)
{
    struct judged *j = arg;
    int settled = line->ours && tail_settled(j->host, line->id);
    j->torn = settled ? 0 : j->torn || !line->ours;
    j->out->settled |= settled;
    if (j->torn || !line->ours)
        return;
    j->out->lines = 1;
    j->out->unsettled |= !settled;
    j->out->end.offset = line->start + line->len;
    j->out->end.line = line->len <= UINT32_MAX ? (uint32_t)line->len : 0;
    j->out->end.check = place_check(line->id, line->id_len);
}

int tail_judge(int fd, uint64_t from, uint64_t size, const struct tail_host *host, struct tail *out)
{
    *out = (struct tail){.end.offset = from};
    struct judged j = {.host = host, .out = out};
    return lines_read(fd, from, size, line_judge, &j);
}

struct collected {
    const struct tail_host *host;
    struct seen *seen;
    int only_unsettled;
};

static void line_collect(void *arg, const struct line *line)
{
    struct collected *c = arg;
    if (line->ours && !(c->only_unsettled && tail_settled(c->host, line->id)))
        seen_add(c->seen, line->id, line->id_len);
}

int tail_collect(int fd, uint64_t from, uint64_t to, const struct tail_host *host, int only_unsettled,
                 struct seen *seen)
{
    struct collected c = {.host = host, .seen = seen, .only_unsettled = only_unsettled};
    return lines_read(fd, from, to, line_collect, &c);
}
