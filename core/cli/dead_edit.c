/* `headgate dead retry ID --edit`: the row in $VISUAL or $EDITOR, and what was made of it is sent again in its place.
 *
 * The data is taken out of the answer byte for byte, so a number keeps its digits where nobody touched it. The file is
 * its owner's only, and is removed; but kept, and named, when what is in it was not taken: nobody has to type twice. */
#include "cli/dead.h"

#include "base/sys.h"
#include "cli/say.h"
#include "rows/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DATA_MAX = 64 << 20, PATH_ROOM = 4096 };

static const char editor[] = "exec ${VISUAL:-${EDITOR:-vi}} \"$1\"";

static int data_of(struct session *s, const char *id, struct buf *data)
{
    struct json_field field;
    size_t at = 0;
    int exit = session_path(s, "/v1/dead-letters/", id, "");
    if (exit == EXIT_DONE)
        exit = remote_ask(&s->remote, "GET", buf_str(&s->path), NULL);
    if (exit != EXIT_DONE)
        return exit;
    while (json_next(buf_slice(&s->remote.call.body), &at, &field))
        if (slice_is(field.key, "data"))
            return buf_add(data, field.value.ptr, field.value.len) == ERR_OK && buf_addc(data, '\n') == ERR_OK
                       ? EXIT_DONE
                       : say_error(EXIT_INTERNAL, "out of memory");
    return say_error(EXIT_INTERNAL, "the answer has no data: is that a headgate's admin address?");
}

static int file_make(char path[PATH_ROOM], struct slice data)
{
    const char *dir = getenv("TMPDIR");
    snprintf(path, PATH_ROOM, "%s/headgate-XXXXXX.json", dir == NULL || *dir == '\0' ? "/tmp" : dir);
    int fd = mkostemps(path, 5, O_CLOEXEC);
    bool well = fd >= 0 && write(fd, data.ptr, data.len) == (ssize_t)data.len;
    int number = errno;
    if (fd >= 0)
        close(fd);
    return well ? EXIT_DONE : say_error(EXIT_DISK, "%s: %s", path, strerror(number));
}

static int file_read(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int code = fd < 0 ? ERR_IO : ERR_OK;
    ssize_t n = 1;
    while (code == ERR_OK && n > 0) {
        code = buf_reserve(out, 4096);
        n = code == ERR_OK ? read(fd, out->ptr + out->len, 4096) : 0;
        out->len += n > 0 ? (size_t)n : 0;
        code = n < 0 ? ERR_IO : code;
    }
    if (fd >= 0)
        close(fd);
    return code == ERR_OK ? EXIT_DONE : say_error(EXIT_DISK, "%s cannot be read", path);
}

static int edit(const char *path)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", editor, "sh", path, (char *)NULL);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? EXIT_DONE
               : say_error(EXIT_INTERNAL, "the editor (VISUAL, EDITOR) ended with a fault; nothing was sent");
}

static int send_edited(struct session *s, const char *id, const struct buf *data)
{
    struct buf body;
    buf_init(&body, DATA_MAX + 64);
    int code = buf_adds(&body, "{\"data\":");
    if (code == ERR_OK)
        code = buf_add(&body, data->ptr, data->len);
    if (code == ERR_OK)
        code = buf_addc(&body, '}');
    int exit = code == ERR_OK ? session_path(s, "/v1/dead-letters/", id, "/retry")
                              : say_error(EXIT_REFUSED, "the row is too large");
    if (exit == EXIT_DONE)
        exit = remote_ask(&s->remote, "POST", buf_str(&s->path), buf_str(&body));
    buf_free(&body);
    return exit;
}

int dead_edit(struct session *s, const char *id)
{
    char path[PATH_ROOM] = "";
    struct buf before, after;
    buf_init(&before, DATA_MAX);
    buf_init(&after, DATA_MAX);
    int exit = data_of(s, id, &before);
    if (exit == EXIT_DONE)
        exit = file_make(path, buf_slice(&before));
    if (exit == EXIT_DONE)
        exit = edit(path);
    if (exit == EXIT_DONE)
        exit = file_read(path, &after);
    bool same = exit == EXIT_DONE && slice_eq(buf_slice(&before), buf_slice(&after));
    if (same)
        printf("%s: not changed, not sent\n", id);
    else if (exit == EXIT_DONE && (exit = send_edited(s, id, &after)) == EXIT_DONE)
        printf("%s: sent again as edited\n", id);
    if (exit != EXIT_DONE && after.len > 0)
        say_note("what you wrote is in %s", path);
    else if (path[0] != '\0')
        unlink(path);
    buf_free(&before);
    buf_free(&after);
    return exit;
}
