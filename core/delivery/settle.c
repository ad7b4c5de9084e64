/* Settle streams on disk: entries of 40 bytes, each with its own CRC, in files named by the segment they belong to.
 *
 * Written on a worker thread inside a checkpoint; read for receipts on worker threads. After a crash the last entries
 * may be torn: they belong to rows after the cursor, which will be judged again. */
#include "delivery/settle.h"

#include "base/crc32c.h"
#include "base/sys.h"
#include "delivery/cursor.h"
#include "delivery/note.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_ENTRIES = 1600 }; /* 64 KB at a time */

static const char *const words[] = {
#define OUTCOME(name, word) word,
#include "delivery/outcome.def"
#undef OUTCOME
};

const char *outcome_word(enum outcome o)
{
    return (int)o >= 0 && o < OUTCOME_COUNT ? words[o] : "unknown";
}

int outcome_total(enum outcome o)
{
    switch (o) {
    case OUTCOME_DELIVERED: return TOTAL_DELIVERED;
    case OUTCOME_DUPLICATE: return TOTAL_DUPLICATE;
    case OUTCOME_SKIPPED: return TOTAL_SKIPPED;
    case OUTCOME_DEAD: return TOTAL_DEAD;
    case OUTCOME_GIVEN_UP: return TOTAL_GIVEN_UP;
    case OUTCOME_BY_HAND: return TOTAL_BY_HAND;
    case OUTCOME_COUNT: break;
    }
    return TOTAL_DELIVERED;
}

static void put(unsigned char *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get(const unsigned char *from, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | from[i];
    return value;
}

/* 0 position, 8 row, 12 rows, 16 end, 24 attempts, 28 outcome, 36 crc of the first 36 bytes. */
static void entry_write(const struct settle_entry *s, unsigned char out[SETTLE_ENTRY_BYTES])
{
    memset(out, 0, SETTLE_ENTRY_BYTES);
    put(out, s->place.position, 8);
    put(out + 8, s->place.row, 4);
    put(out + 12, s->rows, 4);
    put(out + 16, s->end, 8);
    put(out + 24, s->attempts, 4);
    out[28] = s->outcome;
    put(out + 36, crc32c(0, out, 36), 4);
}

static bool entry_read(const unsigned char *in, uint64_t segment, struct settle_entry *out)
{
    if (get(in + 36, 4) != crc32c(0, in, 36) || in[28] >= OUTCOME_COUNT)
        return false;
    *out = (struct settle_entry){
        .place = {get(in, 8), (uint32_t)get(in + 8, 4)},
        .rows = (uint32_t)get(in + 12, 4),
        .end = get(in + 16, 8),
        .attempts = (uint32_t)get(in + 24, 4),
        .outcome = in[28],
        .segment = segment,
    };
    return true;
}

static void file_name(const char *dir, uint64_t segment, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/settle/%016" PRIx64, dir, segment);
}

static int dir_sync(const char *path)
{
    int fd = sys->open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return err_from_errno(errno);
    int code = sys->fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    sys->close(fd);
    return code;
}

/* The folder's own name, and those in it. */
static int names_sync(const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/settle", dir);
    int code = dir_sync(path);
    return code == ERR_OK ? dir_sync(dir) : code;
}

/* The end that whole entries reach: a torn entry at the end is overwritten. */
static int file_end(int fd, off_t *end)
{
    struct stat st;
    if (sys->fstat(fd, &st) != 0)
        return err_from_errno(errno);
    *end = st.st_size - st.st_size % SETTLE_ENTRY_BYTES;
    return ERR_OK;
}

static int append_run(const char *dir, const struct settle_entry *entries, size_t count, struct err *e)
{
    char path[PATH_MAX];
    file_name(dir, entries[0].segment, path);
    unsigned char *bytes = malloc(count * SETTLE_ENTRY_BYTES);
    if (bytes == NULL)
        return err_set(e, ERR_NOMEM, "no memory for settle entries");
    for (size_t i = 0; i < count; i++)
        entry_write(&entries[i], bytes + i * SETTLE_ENTRY_BYTES);
    int code = ERR_OK;
    int fd = sys->open(path, O_RDWR | O_CREAT, 0640);
    if (fd < 0) {
        code = err_errno(e, errno, "cannot open %s", path);
        goto out_bytes;
    }
    off_t at = 0;
    code = file_end(fd, &at);
    if (code == ERR_OK && at == 0) /* its name comes first: once there are entries nobody looks after it */
        code = names_sync(dir);
    size_t len = count * SETTLE_ENTRY_BYTES;
    for (size_t done = 0; code == ERR_OK && done < len;) {
        ssize_t n = sys->pwrite(fd, bytes + done, len - done, at + (off_t)done);
        if (n < 0 && errno != EINTR)
            code = err_from_errno(errno);
        else if (n > 0)
            done += (size_t)n;
    }
    if (code == ERR_OK && sys->fdatasync(fd) != 0)
        code = err_from_errno(errno);
    if (code != ERR_OK)
        err_set(e, code, "cannot write %s: %s", path, err_text(code));
    sys->close(fd);
out_bytes:
    free(bytes);
    return code;
}

int settle_append(const char *dir, const struct settle_entry *entries, size_t count, struct err *e)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/settle", dir);
    if (count == 0)
        return ERR_OK;
    if (sys->mkdir(path, 0750) != 0 && errno != EEXIST)
        return err_errno(e, errno, "cannot make %s", path);
    for (size_t from = 0; from < count;) {
        size_t to = from + 1;
        while (to < count && entries[to].segment == entries[from].segment)
            to++;
        int code = append_run(dir, entries + from, to - from, e);
        if (code != ERR_OK)
            return code;
        from = to;
    }
    return ERR_OK;
}

/* Few entries of a long stream concern one row set, so the others are told by their bytes alone. */
static bool concerns(const unsigned char *in, const unsigned char *position)
{
    static const unsigned char zero[4];
    return position == NULL || memcmp(in, position, 8) == 0 || memcmp(in + 12, zero, 4) == 0;
}

/* `position`: as it is written; NULL: of all. */
static int scan(const char *dir, uint64_t segment, const unsigned char *position, settle_visit *visit, void *arg)
{
    char path[PATH_MAX];
    file_name(dir, segment, path);
    int fd = sys->open(path, O_RDONLY, 0);
    if (fd < 0)
        return errno == ENOENT ? ERR_OK : err_from_errno(errno);
    unsigned char bytes[SETTLE_ENTRY_BYTES * READ_ENTRIES];
    int code = ERR_OK;
    for (off_t at = 0;;) {
        ssize_t n = sys->pread(fd, bytes, sizeof bytes, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = err_from_errno(errno);
        if (n < SETTLE_ENTRY_BYTES)
            break;
        for (ssize_t i = 0; i + SETTLE_ENTRY_BYTES <= n; i += SETTLE_ENTRY_BYTES) {
            struct settle_entry entry;
            if (concerns(bytes + i, position) && entry_read(bytes + i, segment, &entry))
                visit(arg, &entry);
        }
        at += n - n % SETTLE_ENTRY_BYTES;
    }
    sys->close(fd);
    return code;
}

int settle_read(const char *dir, uint64_t segment, settle_visit *visit, void *arg)
{
    return scan(dir, segment, NULL, visit, arg);
}

int settle_find(const char *dir, uint64_t segment, uint64_t position, settle_visit *visit, void *arg)
{
    unsigned char wanted[8];
    put(wanted, position, 8);
    return scan(dir, segment, wanted, visit, arg);
}

struct trim {
    const char *folder;
    uint64_t oldest;
};

static int trim_name(void *arg, const char *name)
{
    const struct trim *t = arg;
    char *end, file[PATH_MAX];
    uint64_t base = strtoull(name, &end, 16);
    bool ours = *end == '\0' || strcmp(end, NOTE_SUFFIX) == 0;
    if (ours && end - name == 16 && base < t->oldest &&
        snprintf(file, sizeof file, "%s/%s", t->folder, name) < (int)sizeof file)
        (void)sys->unlink(file); /* tried again at the next trim */
    return 0;
}

void settle_trim(const char *dir, uint64_t oldest)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/settle", dir);
    struct trim trim = {.folder = path, .oldest = oldest};
    (void)sys->list(path, trim_name, &trim);
}
