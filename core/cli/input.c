/* Reading a file in chunks with its SHA-256 on the way; spooling what cannot be rewound. */
#include "cli/input.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int spool_open(struct err *e)
{
    const char *dir = getenv("TMPDIR");
    char path[PATH_MAX];
    if (dir == NULL || dir[0] == '\0')
        dir = "/tmp";
    int fd = sys->open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    snprintf(path, sizeof path, "%s/headgate-XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        err_errno(e, errno, "cannot make a temporary file in %s", dir);
    else
        sys->unlink(path);
    return fd;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = sys->write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static ssize_t read_some(int fd, char *to, size_t size)
{
    ssize_t n;
    do
        n = sys->read(fd, to, size);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Copy what is left of `in->fd` into a temporary file and read that instead. */
static int input_spool(struct input *in, struct err *e)
{
    int spool = spool_open(e);
    if (spool < 0)
        return ERR_IO;
    ssize_t n;
    while ((n = read_some(in->fd, in->chunk, INPUT_CHUNK)) > 0) {
        if (write_all(spool, in->chunk, (size_t)n) != 0) {
            int number = errno;
            sys->close(spool);
            return err_errno(e, number, "cannot keep %s in a temporary file (TMPDIR)", in->name);
        }
        in->size += (uint64_t)n;
    }
    int number = errno;
    if (in->fd != STDIN_FILENO)
        sys->close(in->fd);
    in->fd = spool;
    return n < 0 ? err_errno(e, number, "cannot read %s", in->name) : ERR_OK;
}

int input_open(struct input *in, const char *path, struct err *e)
{
    bool standard = path == NULL || strcmp(path, "-") == 0;
    struct stat st;
    *in = (struct input){.fd = STDIN_FILENO, .name = standard ? "standard input" : path};
    if (!standard && (in->fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0)) < 0)
        return err_errno(e, errno, "%s", path);
    in->chunk = malloc(INPUT_CHUNK);
    in->hash = EVP_MD_CTX_new();
    if (in->chunk == NULL || in->hash == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (sys->fstat(in->fd, &st) != 0)
        return err_errno(e, errno, "%s", in->name);
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_IO, "%s is a directory", in->name);
    if (S_ISREG(st.st_mode) && !standard)
        in->size = (uint64_t)st.st_size;
    else if (input_spool(in, e) != ERR_OK)
        return ERR_IO;
    return input_rewind(in, e);
}

void input_close(struct input *in)
{
    if (in->fd > STDIN_FILENO)
        sys->close(in->fd);
    EVP_MD_CTX_free(in->hash);
    free(in->chunk);
    *in = (struct input){.fd = -1};
}

int input_rewind(struct input *in, struct err *e)
{
    if (lseek(in->fd, 0, SEEK_SET) != 0)
        return err_errno(e, errno, "cannot read %s from its beginning", in->name);
    if (EVP_DigestInit_ex(in->hash, EVP_sha256(), NULL) != 1)
        return err_set(e, ERR_NOMEM, "SHA-256 is not available");
    in->read = 0;
    return ERR_OK;
}

int input_next(struct input *in, struct slice *out, struct err *e)
{
    ssize_t n = read_some(in->fd, in->chunk, INPUT_CHUNK);
    if (n < 0)
        return err_errno(e, errno, "cannot read %s", in->name);
    if (n > 0 && EVP_DigestUpdate(in->hash, in->chunk, (size_t)n) != 1)
        return err_set(e, ERR_INTERNAL, "SHA-256 failed");
    in->read += (uint64_t)n;
    *out = slice_make(in->chunk, (size_t)n);
    return ERR_OK;
}

int input_digest(struct input *in, unsigned char out[INPUT_DIGEST])
{
    unsigned len = 0;
    if (EVP_DigestFinal_ex(in->hash, out, &len) != 1 || len != INPUT_DIGEST)
        return ERR_INTERNAL;
    return ERR_OK;
}
