/* Files lent to a host: segments of the journal, files of rows set aside. A segment that is lent can be neither
 * recycled nor removed, so what the pusher has left behind is asked back; the host closes it and says so. Its death
 * gives everything back. Loop thread. */
#include "supervise/internal.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

static void drop_file(struct runner *r, struct lent_file *f)
{
    struct wire_drop drop = {.head = {.type = WIRE_DROP}, .store = f->store, .base = f->base};
    f->dropping = true;
    if (process_send(r->process, &drop, sizeof drop, -1) != ERR_OK)
        return; /* it is ending, and its end gives everything back */
}

/* Segments that the pusher has left behind: while the host holds one it can be neither recycled nor removed. */
void lend_tidy(struct runner *r)
{
    struct host_state *h = state_of(r);
    struct journal_segment segment;
    uint64_t low = r->process == NULL || r->pusher == NULL ? 0 : pusher_low(r->pusher);
    if (low == 0 || journal_segment_at(r->owner->options.journal, low - 1, &segment) != ERR_OK)
        return; /* low itself may be the end of all there is */
    for (uint32_t i = 0; i < r->pusher->worker_count; i++)
        if (r->pusher->workers[i].busy && r->pusher->workers[i].what == HANDED_REPLAY)
            return;
    for (uint32_t i = 0; i < h->file_count; i++)
        if (h->files[i].store == STORE_JOURNAL && h->files[i].base < segment.base && !h->files[i].dropping)
            drop_file(r, &h->files[i]);
}

static void drop_oldest(struct runner *r)
{
    struct host_state *h = state_of(r);
    struct lent_file *oldest = NULL;
    uint32_t lent = 0;
    for (uint32_t i = 0; i < h->file_count; i++) {
        struct lent_file *f = &h->files[i];
        if (f->dropping)
            continue;
        lent++;
        if (oldest == NULL || f->used < oldest->used)
            oldest = f;
    }
    if (oldest != NULL && lent > FILES_MAX / 2)
        drop_file(r, oldest);
}

void lend_back(struct runner *r, uint32_t store, uint64_t base)
{
    struct host_state *h = state_of(r);
    for (uint32_t i = 0; i < h->file_count; i++) {
        struct lent_file *f = &h->files[i];
        if (f->store != store || f->base != base || !f->dropping)
            continue;
        if (store == STORE_JOURNAL)
            journal_unhold(r->owner->options.journal, base);
        *f = h->files[--h->file_count];
        return;
    }
}

void lend_over(struct runner *r)
{
    struct host_state *h = state_of(r);
    for (uint32_t i = 0; i < h->file_count; i++)
        if (h->files[i].store == STORE_JOURNAL)
            journal_unhold(r->owner->options.journal, h->files[i].base);
    h->file_count = 0;
}

static int open_file(struct runner *r, uint32_t store, uint64_t base, struct wire_segment *m, int *fd)
{
    struct journal_segment segment;
    if (store == STORE_ASIDE) {
        char path[PATH_MAX];
        aside_path(r->pusher->dir, (uint32_t)base, path, sizeof path);
        *fd = sys->open(path, O_RDONLY, 0);
        return *fd < 0 ? err_from_errno(errno) : ERR_OK;
    }
    int code = journal_segment_at(r->owner->options.journal, base, &segment);
    if (code == ERR_OK && segment.base != base)
        code = ERR_GONE;
    if (code == ERR_OK)
        code = journal_hold(r->owner->options.journal, base, fd, NULL);
    if (code != ERR_OK)
        return code;
    m->salt = segment.salt;
    memcpy(m->epoch, segment.epoch.bytes, sizeof m->epoch);
    return ERR_OK;
}

/* The host has the file, or gets it now. */
int lend_file(struct runner *r, uint32_t store, uint64_t base)
{
    struct host_state *h = state_of(r);
    for (uint32_t i = 0; i < h->file_count; i++) {
        struct lent_file *f = &h->files[i];
        if (f->store == store && f->base == base && !f->dropping) {
            f->used = ++h->uses;
            return ERR_OK;
        }
    }
    drop_oldest(r);
    if (h->file_count == FILES_MAX)
        return ERR_LIMIT;
    struct wire_segment m = {.head = {.type = WIRE_SEGMENT}, .store = store, .base = base};
    int fd;
    int code = open_file(r, store, base, &m, &fd);
    if (code != ERR_OK)
        return code;
    h->files[h->file_count++] = (struct lent_file){.store = store, .base = base, .used = ++h->uses};
    return process_send(r->process, &m, sizeof m, fd);
}
