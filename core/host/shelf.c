/* A small unordered table: a host reads from a handful of segments at a time, so looking through it costs less than the
 * message that asked for it. The lock is held for that look only, never while reading a file. Nothing survives the
 * process; after a restart the daemon sends the descriptors again. */
#include "host/shelf.h"

#include "base/sys.h"

#include <stdlib.h>

void shelf_init(struct shelf *s)
{
    *s = (struct shelf){0};
    pthread_mutex_init(&s->mutex, NULL);
}

void shelf_fini(struct shelf *s)
{
    for (size_t i = 0; i < s->count; i++)
        sys->close(s->files[i].fd);
    free(s->files);
    pthread_mutex_destroy(&s->mutex);
}

static struct shelf_file *shelf_find(struct shelf *s, uint32_t store, uint64_t base)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->files[i].store == store && s->files[i].base == base && !s->files[i].dropped)
            return &s->files[i];
    return NULL;
}

static int shelf_grow(struct shelf *s)
{
    if (s->count < s->cap)
        return ERR_OK;
    if (s->count == SHELF_MAX)
        return ERR_LIMIT;
    size_t cap = s->cap == 0 ? 8 : s->cap * 2;
    struct shelf_file *files = realloc(s->files, cap * sizeof *files);
    if (files == NULL)
        return ERR_NOMEM;
    s->files = files;
    s->cap = cap;
    return ERR_OK;
}

int shelf_put(struct shelf *s, const struct shelf_file *file)
{
    pthread_mutex_lock(&s->mutex);
    int code = ERR_OK;
    if (shelf_find(s, file->store, file->base) != NULL) {
        sys->close(file->fd);
    } else if ((code = shelf_grow(s)) == ERR_OK) {
        struct shelf_file *f = &s->files[s->count++];
        *f = *file;
        f->serial = ++s->serial;
        f->users = 0;
        f->dropped = false;
    }
    pthread_mutex_unlock(&s->mutex);
    return code;
}

static void shelf_remove(struct shelf *s, struct shelf_file *f)
{
    sys->close(f->fd);
    *f = s->files[--s->count];
}

bool shelf_drop(struct shelf *s, uint32_t store, uint64_t base)
{
    pthread_mutex_lock(&s->mutex);
    struct shelf_file *f = shelf_find(s, store, base);
    bool used = f != NULL && f->users > 0;
    if (used)
        f->dropped = true;
    else if (f != NULL)
        shelf_remove(s, f);
    pthread_mutex_unlock(&s->mutex);
    return !used;
}

int shelf_take(struct shelf *s, uint32_t store, uint64_t base, struct shelf_file *out)
{
    pthread_mutex_lock(&s->mutex);
    struct shelf_file *f = shelf_find(s, store, base);
    if (f != NULL) {
        f->users++;
        *out = *f;
    }
    pthread_mutex_unlock(&s->mutex);
    return f != NULL ? ERR_OK : ERR_NOTFOUND;
}

bool shelf_return(struct shelf *s, uint64_t serial)
{
    bool closed = false;
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->count; i++) {
        struct shelf_file *f = &s->files[i];
        if (f->serial != serial)
            continue;
        CHECK(f->users > 0);
        closed = --f->users == 0 && f->dropped;
        if (closed)
            shelf_remove(s, f);
        break;
    }
    pthread_mutex_unlock(&s->mutex);
    return closed;
}
