/* Rows are gathered for several files, then written and synced together. At most STORE_OPEN_MAX files are open; a push
 * that touches more is committed in parts, each all or nothing.
 *
 * A file that is not where it was (renamed, removed, truncated by somebody else) is noticed once for each commit and
 * opened anew. Marks move on only while no row is known that may still come again: until then the old ones say truly
 * what has to be read after the next crash. */
#include "store.h"

#include "recover.h"
#include "rotated.h"

#include "common/paths.h"
#include "common/rowline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { NARROW_TEXT = 64 * 1024 };

enum store_result store_fail(struct store *s, const char *path, const char *what, int number)
{
    if (number != 0)
        snprintf(s->why, sizeof(s->why), "%.300s: %s: %s", path, what, strerror(number));
    else
        snprintf(s->why, sizeof(s->why), "%.300s: %s", path, what);
    return STORE_FAILED;
}

void store_init(struct store *s, const struct hg_api *api, struct hg_host *host)
{
    *s = (struct store){.host = {.api = api, .host = host}};
    seen_init(&s->seen);
}

void store_fini(struct store *s)
{
    for (size_t i = 0; i < s->open_count; i++)
        outfile_close(&s->open[i]);
    s->open_count = 0;
    seen_fini(&s->seen);
    known_fini(&s->known);
}

/* Closes one; the last takes its place. Only while nothing is gathered, or for a file that is not touched. */
static void store_drop(struct store *s, struct outfile *f)
{
    struct outfile *last = &s->open[s->open_count - 1];
    outfile_close(f);
    s->wide = s->wide == f ? NULL : s->wide == last ? f : s->wide;
    for (size_t i = 0; i < s->touched_count; i++)
        if (s->touched[i] == last)
            s->touched[i] = f;
    if (f != last)
        *f = *last;
    s->open_count--;
}

void store_close_files(struct store *s)
{
    for (size_t i = s->open_count; i > 0; i--)
        if (!s->open[i - 1].dirty) /* what must be cut off is kept until that worked */
            store_drop(s, &s->open[i - 1]);
}

enum store_result store_begin(struct store *s)
{
    if (!s->begun && recover_newest(s) != STORE_OK)
        return STORE_FAILED;
    s->begun = 1;
    if (s->seen.left > 0 && s->host.api->settled(s->host.host, s->seen.newest))
        s->seen_settled = 1;
    return STORE_OK;
}

static int store_may_have(const struct store *s, const struct hg_row *row)
{
    return s->seen.left > 0 && !(s->seen_settled && s->host.api->origin(row) == HG_REPLAY);
}

int store_has(const struct store *s, const struct hg_row *row, const char *id)
{
    return store_may_have(s, row) && seen_has(&s->seen, idhash_make(id, strlen(id)));
}

void store_done(struct store *s, const struct hg_row *row, const char *id)
{
    if (store_may_have(s, row))
        seen_take(&s->seen, idhash_make(id, strlen(id)));
}

static struct outfile *store_find(struct store *s, const char *path)
{
    for (size_t i = s->open_count; i > 0; i--)
        if (strcmp(s->open[i - 1].path, path) == 0)
            return &s->open[i - 1];
    return NULL;
}

static int store_touched(const struct store *s, const struct outfile *f)
{
    for (size_t i = 0; i < s->touched_count; i++)
        if (s->touched[i] == f)
            return 1;
    return 0;
}

/* Room for one more open file: the least used one that can go is closed. */
static int store_room(struct store *s)
{
    struct outfile *oldest = NULL;
    if (s->open_count < STORE_OPEN_MAX)
        return 1;
    for (size_t i = 0; i < s->open_count; i++) {
        struct outfile *f = &s->open[i];
        if (!f->dirty && !store_touched(s, f) && (!oldest || f->used < oldest->used))
            oldest = f;
    }
    if (oldest)
        store_drop(s, oldest);
    return oldest != NULL;
}

static enum store_result store_open(struct store *s, const char *path, int rotated, struct outfile **out)
{
    struct outfile f;
    const char *what;
    if (!store_room(s))
        return s->touched_count > 0 ? STORE_FULL : store_fail(s, path, "other files cannot be mended", 0);
    int rc = outfile_open(&f, path, 1, s->mode, s->sync, &what);
    if (rc != 0)
        return store_fail(s, path, what, rc);
    enum store_result result = recover_file(s, &f, rotated);
    if (result != STORE_OK) {
        outfile_close(&f);
        return result;
    }
    s->open[s->open_count] = f;
    *out = &s->open[s->open_count++];
    return STORE_OK;
}

/* Moves the file aside under the next number and closes it. */
static enum store_result store_rotate(struct store *s, struct outfile *f)
{
    struct strbuf name;
    uint64_t number;
    int rc = path_last_rotated(f->path, UINT64_MAX, &number);
    strbuf_init(&name, STORE_PATH_MAX);
    if (rc == 0) {
        path_rotated(f->path, number + 1, &name);
        rc = name.failed                                                                        ? ENOMEM
             : renameat2(AT_FDCWD, f->path, AT_FDCWD, strbuf_str(&name), RENAME_NOREPLACE) == 0 ? 0
                                                                                                : errno;
        if (rc == EINVAL || rc == ENOSYS) /* a file system without that flag; the number was looked up just now */
            rc = rename(f->path, strbuf_str(&name)) == 0 ? 0 : errno;
    }
    if (rc == 0 && s->sync)
        rc = path_sync_folder(f->path);
    strbuf_fini(&name);
    if (rc != 0)
        return store_fail(s, f->path, "it cannot be rotated", rc);
    store_drop(s, f);
    return STORE_OK;
}

/* An open file before the first row of a commit. *f is NULL when it had to be closed. */
static enum store_result store_refresh(struct store *s, struct outfile **f, int *rotated)
{
    int rc = outfile_rollback(*f);
    if (rc != 0)
        return store_fail(s, (*f)->path, "what was half written cannot be cut off", rc);
    if (!outfile_current(*f)) {
        store_drop(s, *f);
        *f = NULL;
    } else if (s->rotate_size > 0 && (*f)->end.offset >= s->rotate_size) {
        enum store_result result = store_rotate(s, *f);
        if (result != STORE_OK)
            return result;
        *rotated = 1;
        *f = NULL;
    }
    return STORE_OK;
}

enum store_result store_file(struct store *s, const char *path, struct outfile **out)
{
    struct outfile *f = store_find(s, path);
    enum store_result rc = STORE_OK;
    int rotated = 0;
    if (f && !store_touched(s, f))
        rc = store_refresh(s, &f, &rotated);
    if (rc == STORE_OK && !f)
        rc = store_open(s, path, rotated, &f);
    if (rc != STORE_OK)
        return rc;
    f->used = ++s->clock;
    *out = f;
    return STORE_OK;
}

enum store_result store_add(struct store *s, struct outfile *f, const struct hg_row *row, const char *id)
{
    size_t before = f->text.len;
    rowline_add(&f->text, s->host.api, row);
    strbuf_addc(&f->text, '\n');
    if (f->text.failed)
        return store_fail(s, f->path, "no memory for the rows", ENOMEM);
    outfile_line_added(f, id, f->text.len - before);
    if (before == 0)
        s->touched[s->touched_count++] = f;
    return STORE_OK;
}

/* Only one file keeps a big buffer between pushes, or 64 of them would add up. */
static void store_narrow(struct store *s, struct outfile *f)
{
    if (f->text.cap <= NARROW_TEXT || s->wide == f)
        return;
    if (s->wide)
        strbuf_fini(&s->wide->text);
    s->wide = f;
}

static void store_kept(struct store *s, struct outfile *f)
{
    outfile_keep(f);
    store_narrow(s, f);
    marks_touch(&s->marks, f->dev, f->ino)->end = f->end;
    size_t len = strlen(f->path);
    memcpy(s->marks.newest, f->path, len < MARKS_PATH_MAX ? len + 1 : 0);
    if (len >= MARKS_PATH_MAX)
        s->marks.newest[0] = '\0';
}

enum store_result store_commit(struct store *s)
{
    for (size_t i = 0; i < s->touched_count; i++) {
        int rc = outfile_write(s->touched[i]);
        if (rc != 0)
            return store_fail(s, s->touched[i]->path, "it cannot be written", rc);
    }
    for (size_t i = 0; s->sync && i < s->touched_count; i++) {
        int rc = outfile_sync(s->touched[i]);
        if (rc != 0)
            return store_fail(s, s->touched[i]->path, "it cannot be synced", rc);
    }
    for (size_t i = 0; i < s->touched_count; i++)
        store_kept(s, s->touched[i]);
    s->touched_count = 0;
    return STORE_OK;
}

void store_rollback(struct store *s)
{
    for (size_t i = 0; i < s->touched_count; i++)
        if (outfile_rollback(s->touched[i]) != 0) /* dirty: done before it is written again */
            s->host.api->log(s->host.host, HG_LOG_ERROR, "a half written push could not be cut off yet");
    s->touched_count = 0;
}

void store_save(struct store *s)
{
    char state[HG_STATE_MAX];
    if (s->seen.left == 0 || s->seen_settled)
        marks_advance(&s->marks);
    s->host.api->state_set(s->host.host, state, marks_store(&s->marks, state));
}
