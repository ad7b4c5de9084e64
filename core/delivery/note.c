/* Notes on disk. Operators are slow, so a file is opened for each note, and read as a whole.
 *
 * A line torn by a crash ends where the next one begins: whoever appends writes a newline first. The checkpoint that
 * was writing it is drawn up again, or was never answered for. */
#include "delivery/note.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 8 << 10, READ_MAX = 16 << 20 };

static void file_name(const char *dir, uint64_t segment, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/settle/%016" PRIx64 NOTE_SUFFIX, dir, segment);
}

/* The name of a new file, and of the folder itself, are durable before it is. */
static int name_sync(const char *path)
{
    int fd = sys->open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return err_from_errno(errno);
    int code = sys->fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    sys->close(fd);
    return code;
}

static int write_all(int fd, struct slice bytes, off_t at)
{
    for (size_t done = 0; done < bytes.len;) {
        ssize_t n = sys->pwrite(fd, bytes.ptr + done, bytes.len - done, at + (off_t)done);
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        done += n > 0 ? (size_t)n : 0;
    }
    return ERR_OK;
}

static int append(int fd, const struct note *n)
{
    struct buf line;
    struct stat st;
    buf_init(&line, LINE_BYTES);
    int code = sys->fstat(fd, &st) == 0 ? ERR_OK : err_from_errno(errno);
    if (code == ERR_OK)
        code = buf_addf(&line, "\n%" PRIu64 " ", n->position);
    if (code == ERR_OK)
        code = buf_adds(&line, n->json);
    if (code == ERR_OK)
        code = buf_addc(&line, '\n');
    if (code == ERR_OK)
        code = write_all(fd, buf_slice(&line), st.st_size);
    if (code == ERR_OK && sys->fdatasync(fd) != 0)
        code = err_from_errno(errno);
    buf_free(&line);
    return code;
}

static int note_write(const char *dir, const struct note *n)
{
    char path[PATH_MAX], folder[PATH_MAX];
    file_name(dir, n->segment, path);
    snprintf(folder, sizeof folder, "%s/settle", dir);
    if (sys->mkdir(folder, 0750) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    int fd = sys->open(path, O_RDWR | O_CREAT, 0640);
    if (fd < 0)
        return err_from_errno(errno);
    int code = name_sync(folder);
    if (code == ERR_OK)
        code = name_sync(dir);
    if (code == ERR_OK)
        code = append(fd, n);
    sys->close(fd);
    return code;
}

int note_append(const char *dir, const struct note *notes, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        int code = note_write(dir, &notes[i]);
        if (code != ERR_OK)
            return err_set(e, code, "cannot write a note below %s/settle: %s", dir, err_text(code));
    }
    return ERR_OK;
}

static int read_file(const char *path, struct buf *out)
{
    char bytes[4096];
    int code = ERR_OK;
    int fd = sys->open(path, O_RDONLY, 0);
    if (fd < 0)
        return errno == ENOENT ? ERR_OK : err_from_errno(errno);
    for (off_t at = 0; code == ERR_OK;) {
        ssize_t n = sys->pread(fd, bytes, sizeof bytes, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = err_from_errno(errno);
        if (n <= 0)
            break;
        code = buf_add(out, bytes, (size_t)n);
        at += n;
    }
    sys->close(fd);
    return code;
}

int note_find(const char *dir, uint64_t segment, uint64_t position, struct buf *out)
{
    char path[PATH_MAX], begin[32];
    struct buf all;
    file_name(dir, segment, path);
    size_t len = (size_t)snprintf(begin, sizeof begin, "%" PRIu64 " {", position);
    buf_init(&all, READ_MAX);
    int code = read_file(path, &all);
    bool more = false;
    for (size_t at = 0; code == ERR_OK && at < all.len;) {
        const char *line = all.ptr + at, *end = memchr(line, '\n', all.len - at);
        size_t have = end == NULL ? all.len - at : (size_t)(end - line);
        at += have + 1;
        if (end == NULL || have <= len || memcmp(line, begin, len) != 0 || line[have - 1] != '}')
            continue;
        code = more ? buf_addc(out, ',') : ERR_OK;
        if (code == ERR_OK)
            code = buf_add(out, line + len - 1, have - len + 1);
        more = true;
    }
    buf_free(&all);
    return code;
}
