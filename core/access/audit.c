/* The files of the audit log.
 *
 * Nothing is held open between two lines: actions are rare, and a file that was rotated or taken away meanwhile is no
 * matter. A line torn by a crash ends where the next one begins: whoever appends looks whether the last byte is a
 * newline, and begins with one if not. So the log is bounded (two files of half the limit each, and one line) and no
 * entry is lost but those that were torn or rotated out. */
#include "access/audit.h"

#include "access/keyfile.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LINE_MAX_BYTES = 64 << 10, READ_BYTES = 64 << 10, TIME_BYTES = 32 };

static const char *const names[] = {"audit.log", "audit.log.1"};

static void path_of(const char *data_dir, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", data_dir, name);
}

static void time_text(int64_t wall_us, char out[TIME_BYTES])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm parts;
    char whole[TIME_BYTES] = "";
    if (gmtime_r(&seconds, &parts) != NULL)
        strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out, TIME_BYTES, "%.19s.%06dZ", whole, (int)(wall_us % 1000000));
}

/* --- writing --- */

static int add_member(struct buf *b, const char *name, struct slice text, size_t most)
{
    if (text.len == 0)
        return ERR_OK;
    int code = buf_addf(b, ",\"%s\":", name);
    return code == ERR_OK ? buf_add_json(b, slice_make(text.ptr, text.len < most ? text.len : most)) : code;
}

static int add_line(struct buf *b, const struct audit_note *n)
{
    char when[TIME_BYTES];
    time_text(clock_wall_us(), when);
    int code = buf_addf(b, "{\"time\":\"%s\"", when);
    if (code == ERR_OK)
        code = add_member(b, "who", n->who, 256);
    if (code == ERR_OK)
        code = add_member(b, "peer", n->peer, 128);
    if (code == ERR_OK)
        code = add_member(b, "action", slice_of(n->action), 64);
    if (code == ERR_OK)
        code = add_member(b, "path", n->path, 2048);
    if (code == ERR_OK)
        code = add_member(b, "query", n->query, 2048);
    if (code == ERR_OK)
        code = add_member(b, "body", n->body, AUDIT_BODY_MAX);
    if (code == ERR_OK)
        code = add_member(b, "why", n->why, AUDIT_WHY_MAX);
    if (code == ERR_OK && n->status > 0)
        code = buf_addf(b, ",\"status\":%d", n->status);
    return code == ERR_OK ? buf_adds(b, "}\n") : code;
}

static void rotate(const char *data_dir, uint64_t half)
{
    char path[PATH_MAX], before[PATH_MAX];
    struct stat st;
    path_of(data_dir, names[0], path);
    path_of(data_dir, names[1], before);
    if (half > 0 && sys->stat(path, &st) == 0 && (uint64_t)st.st_size >= half)
        (void)sys->rename(path, before); /* where that fails it grows on; the next line tries again */
}

static bool ends_in_line(int fd)
{
    struct stat st;
    char last = '\n';
    if (sys->fstat(fd, &st) != 0 || st.st_size == 0)
        return true;
    return sys->pread(fd, &last, 1, st.st_size - 1) != 1 || last == '\n';
}

int audit_append(const char *data_dir, const struct audit_note *note, uint64_t half, struct err *e)
{
    char path[PATH_MAX];
    struct buf line;
    rotate(data_dir, half);
    path_of(data_dir, names[0], path);
    int fd = sys->open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, errno, "open %s", path);
    (void)keyfile_give(data_dir, fd); /* where that fails, the daemon says so when it cannot append */
    buf_init(&line, LINE_MAX_BYTES);
    int code = ends_in_line(fd) ? ERR_OK : buf_addc(&line, '\n');
    if (code == ERR_OK)
        code = add_line(&line, note);
    if (code != ERR_OK)
        err_set(e, code, "%s: %s", path, err_text(code));
    else if (sys->write(fd, line.ptr, line.len) != (ssize_t)line.len)
        code = err_errno(e, errno, "write %s", path);
    buf_free(&line);
    sys->close(fd);
    return code;
}

int audit_sync(const char *data_dir, struct err *e)
{
    char path[PATH_MAX];
    path_of(data_dir, names[0], path);
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(e, errno, "open %s", path);
    int code = sys->fsync(fd) == 0 ? ERR_OK : err_errno(e, errno, "sync %s", path);
    sys->close(fd);
    int number = code == ERR_OK ? keyfile_sync_dir(data_dir) : 0;
    return number == 0 ? code : err_errno(e, number, "sync %s", data_dir);
}

/* --- reading --- */

struct picking {
    char since[TIME_BYTES];
    uint32_t left;
    bool over; /* what comes next is older */
    struct buf *out;
};

static bool is_entry(struct slice line, struct slice *when)
{
    static const char head[] = "{\"time\":\"";
    json_t *entry = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, NULL);
    bool good = json_is_object(entry) && line.len > sizeof head + 27 && memcmp(line.ptr, head, sizeof head - 1) == 0;
    json_decref(entry);
    if (good)
        *when = slice_make(line.ptr + sizeof head - 1, 27);
    return good;
}

static int pick(struct picking *p, struct slice line)
{
    struct slice when;
    if (!is_entry(line, &when))
        return ERR_OK;
    if (strncmp(when.ptr, p->since, when.len) < 0) {
        p->over = true;
        return ERR_OK;
    }
    p->left--;
    int code = p->out->len > 0 ? buf_addc(p->out, ',') : ERR_OK;
    return code == ERR_OK ? buf_add(p->out, line.ptr, line.len) : code;
}

/* From the end to the front. */
static int pick_lines(struct picking *p, struct slice text)
{
    int code = ERR_OK;
    while (code == ERR_OK && text.len > 0 && p->left > 0 && !p->over) {
        const char *newline = memrchr(text.ptr, '\n', text.len);
        size_t from = newline == NULL ? 0 : (size_t)(newline - text.ptr) + 1;
        if (from < text.len)
            code = pick(p, slice_make(text.ptr + from, text.len - from));
        text.len = newline == NULL ? 0 : from - 1;
    }
    return code;
}

static int file_read(const char *path, struct buf *out, struct err *e)
{
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return errno == ENOENT ? ERR_OK : err_errno(e, errno, "read %s", path);
    int code = ERR_OK;
    ssize_t n = 1;
    while (code == ERR_OK && n != 0) {
        code = buf_reserve(out, READ_BYTES);
        n = code == ERR_OK ? sys->read(fd, out->ptr + out->len, READ_BYTES) : 0;
        if (n > 0)
            out->len += (size_t)n;
        else if (n < 0 && errno != EINTR)
            code = err_errno(e, errno, "read %s", path);
    }
    sys->close(fd);
    return code;
}

int audit_read(const char *data_dir, int64_t since_us, uint32_t limit, struct buf *out, struct err *e)
{
    struct picking p = {.left = limit, .out = out};
    struct buf text;
    buf_init(&text, UINT32_MAX);
    time_text(since_us > 0 ? since_us : 0, p.since);
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < COUNT_OF(names) && p.left > 0 && !p.over; i++) {
        char path[PATH_MAX];
        path_of(data_dir, names[i], path);
        buf_clear(&text);
        code = file_read(path, &text, e);
        if (code == ERR_OK)
            code = pick_lines(&p, buf_slice(&text));
    }
    buf_free(&text);
    return code;
}
