/* Looking at the plugin folders. A plugin's own code runs only in the child that describes it, so that a file that
 * crashes or hangs when it is loaded is refused with that as its reason.
 *
 * Private copies stand below the data directory; they are removed when no scan knows them any more and at start. */
#include "supervise/folder.h"

#include "base/sys.h"
#include "host/look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESCRIBE_MS = 10000, DESCRIBE_BYTES = 1 << 20, YOUNG_NS = 1000000000 };

struct plugin_file *plugin_file_take(struct plugin_file *f)
{
    atomic_fetch_add(&f->references, 1);
    return f;
}

void plugin_file_drop(struct plugin_file **slot)
{
    struct plugin_file *f = *slot;
    *slot = NULL;
    if (f == NULL || atomic_fetch_sub(&f->references, 1) > 1)
        return;
    if (f->copy != NULL)
        (void)sys->unlink(f->copy);
    if (f->described)
        described_fini(&f->about);
    free(f->path);
    free(f->copy);
    free(f->refused);
    free(f);
}

void folder_fini(struct folder *f)
{
    for (size_t i = 0; i < f->count; i++)
        plugin_file_drop(&f->entries[i].file);
    free(f->entries);
    *f = (struct folder){0};
}

bool folder_refused(const struct folder_entry *entry, char *out, size_t size)
{
    if (entry->file->refused != NULL)
        snprintf(out, size, "%s", entry->file->refused);
    else if (entry->holder != NULL)
        snprintf(out, size, "its name \"%s\" is that of %s already", entry->file->about.name, entry->holder->path);
    else
        return false;
    return true;
}

/* --- describing --- */

static int read_until(int fd, struct buf *out, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - clock_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = left <= 0 ? 0 : poll(&p, 1, (int)left);
        if (n == 0)
            return ERR_TIMEOUT;
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        int code = buf_reserve(out, 4096);
        if (code != ERR_OK)
            return code;
        ssize_t got = n < 0 ? -1 : sys->read(fd, out->ptr + out->len, 4096);
        if (got == 0)
            return ERR_OK;
        if (got > 0)
            out->len += (size_t)got;
        else if (got < 0 && errno != EINTR)
            return err_from_errno(errno);
    }
}

static int spawn_describe(const char *host, const char *path, int out_fd, int err_fd, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ERR_NOMEM;
    int failed = posix_spawn_file_actions_adddup2(&actions, out_fd, 1) != 0 ||
                 posix_spawn_file_actions_adddup2(&actions, err_fd, 2) != 0 ||
                 posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) != 0;
    char *argv[] = {(char *)(uintptr_t)host, (char *)(uintptr_t) "--describe", (char *)(uintptr_t)path, NULL};
    char *env[] = {(char *)(uintptr_t) "PATH=/usr/bin:/bin", NULL};
    int number = failed ? ENOMEM : posix_spawn(pid, host, &actions, NULL, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    return number == 0 ? ERR_OK : err_from_errno(number);
}

static void first_line(struct buf *text, char *out, size_t size)
{
    const char *s = buf_str(text);
    snprintf(out, size, "%.*s", (int)strcspn(s, "\n"), s);
}

static int judge_exit(int status, struct buf *out, struct buf *errors, struct described *about, struct err *e)
{
    char line[300];
    first_line(errors, line, sizeof line);
    if (WIFSIGNALED(status))
        return err_set(e, ERR_SYNTAX, "it crashes when it is loaded (%s)", strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        return err_set(e, WEXITSTATUS(status) == LOOK_AGAIN ? ERR_AGAIN : ERR_SYNTAX, "%s",
                       line[0] != '\0' ? line : "it could not be loaded");
    return described_read(buf_slice(out), about, e);
}

int folder_describe(const char *host, const char *path, struct described *about, struct err *e)
{
    int out_pipe[2] = {-1, -1}, err_pipe[2] = {-1, -1};
    struct buf out, errors;
    buf_init(&out, DESCRIBE_BYTES);
    buf_init(&errors, DESCRIBE_BYTES);
    pid_t pid = -1;
    int code = ERR_OK, status = 0;
    if (pipe2(out_pipe, O_CLOEXEC) != 0 || pipe2(err_pipe, O_CLOEXEC) != 0)
        code = err_errno(e, errno, "cannot make a pipe");
    if (code == ERR_OK && (code = spawn_describe(host, path, out_pipe[1], err_pipe[1], &pid)) != ERR_OK)
        err_set(e, code, "cannot run %s: %s", host, err_text(code));
    for (int i = 0; i < 2; i++) {
        int *pair = i == 0 ? out_pipe : err_pipe;
        if (pair[1] >= 0)
            sys->close(pair[1]);
    }
    if (code == ERR_OK) {
        int64_t deadline = clock_ms() + DESCRIBE_MS;
        code = read_until(out_pipe[0], &out, deadline);
        if (code == ERR_OK)
            code = read_until(err_pipe[0], &errors, deadline);
        if (code != ERR_OK)
            kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        code = code == ERR_TIMEOUT ? err_set(e, ERR_SYNTAX, "it hangs when it is loaded")
               : code != ERR_OK    ? err_set(e, code, "%s", err_text(code))
                                   : judge_exit(status, &out, &errors, about, e);
    }
    for (int i = 0; i < 2; i++) {
        int *pair = i == 0 ? out_pipe : err_pipe;
        if (pair[0] >= 0)
            sys->close(pair[0]);
    }
    buf_free(&out);
    buf_free(&errors);
    return code;
}

/* --- one file --- */

static int copy_bytes(int from, int to)
{
    char block[65536];
    for (;;) {
        ssize_t n = sys->read(from, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? ERR_OK : err_from_errno(errno);
        for (ssize_t done = 0; done < n;) {
            ssize_t w = sys->write(to, block + done, (size_t)(n - done));
            if (w < 0 && errno != EINTR)
                return err_from_errno(errno);
            done += w > 0 ? w : 0;
        }
    }
}

static int copy_private(const struct folder_options *o, struct plugin_file *f, struct err *e)
{
    char path[PATH_MAX];
    const char *name = strrchr(f->path, '/');
    snprintf(path, sizeof path, "%s/%" PRIx64 "-%s", o->copies, (uint64_t)clock_ns(),
             name == NULL ? f->path : name + 1);
    f->copy = strdup(path);
    if (f->copy == NULL)
        return err_set(e, ERR_NOMEM, "no memory");
    int from = sys->open(f->path, O_RDONLY, 0);
    if (from < 0)
        return err_errno(e, errno, "cannot open %s", f->path);
    int to = sys->open(path, O_WRONLY | O_CREAT | O_EXCL, 0500);
    int code = to < 0 ? err_errno(e, errno, "cannot make %s", path) : ERR_OK;
    if (code == ERR_OK && (code = copy_bytes(from, to)) != ERR_OK)
        err_set(e, code, "cannot copy %s: %s", f->path, err_text(code));
    sys->close(from);
    if (to >= 0)
        sys->close(to);
    return code;
}

static const char *ownership_fault(const struct stat *st)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return "it belongs neither to root nor to the user headgate runs as; chown it";
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return "others may write to it; chmod go-w";
    return NULL;
}

static void look(const struct folder_options *o, struct plugin_file *f, const struct stat *st)
{
    struct err e = {0};
    const char *fault = ownership_fault(st);
    if (fault != NULL)
        err_set(&e, ERR_DENIED, "%s", fault);
    else if (copy_private(o, f, &e) == ERR_OK && folder_describe(o->host, f->copy, &f->about, &e) == ERR_OK)
        f->described = true;
    if (f->described)
        return;
    f->refused = strdup(e.text);
    f->unsure = f->refused == NULL || err_passes(e.code);
    if (f->copy != NULL)
        (void)sys->unlink(f->copy);
    free(f->copy);
    f->copy = NULL;
}

static int64_t changed_ns(const struct stat *st)
{
    return (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

/* What the scan before found at this path; `changed`: even when the file is another one by now. */
static struct plugin_file *known(const struct folder *before, const char *path, const struct stat *st, bool changed)
{
    for (size_t i = 0; i < before->count; i++) {
        struct plugin_file *old = before->entries[i].file;
        if (strcmp(old->path, path) != 0 || old->unsure)
            continue;
        if (changed || (old->dev == st->st_dev && old->ino == st->st_ino && old->changed_ns == changed_ns(st) &&
                        old->size == st->st_size))
            return plugin_file_take(old);
    }
    return NULL;
}

static struct plugin_file *file_new(const struct folder_options *o, const char *path, const struct stat *st)
{
    struct plugin_file *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    atomic_store(&f->references, 1);
    f->dev = st->st_dev;
    f->ino = st->st_ino;
    f->changed_ns = changed_ns(st);
    f->size = st->st_size;
    f->path = strdup(path);
    if (f->path == NULL) {
        free(f);
        return NULL;
    }
    look(o, f, st);
    return f;
}

static int add_file(const struct folder_options *o, const char *path, const struct folder *before, struct folder *out)
{
    struct stat st;
    if (sys->stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return ERR_OK;
    struct plugin_file *f = known(before, path, &st, false);
    if (f == NULL) {
        int64_t age = clock_wall_us() * 1000 - changed_ns(&st);
        bool young =
            !o->any_age && age >= 0 && age < YOUNG_NS; /* it may still be being written: what was known of it stays */
        f = young ? NULL : file_new(o, path, &st);
        if (!young && f == NULL)
            return ERR_NOMEM;
        if (young || f->unsure) {
            struct plugin_file *old = known(before, path, &st, true);
            out->again = true;
            if (old != NULL)
                plugin_file_drop(&f);
            f = old != NULL ? old : f;
        }
        if (f == NULL)
            return ERR_OK;
    }
    struct folder_entry *grown = realloc(out->entries, (out->count + 1) * sizeof *grown);
    if (grown == NULL) {
        plugin_file_drop(&f);
        return ERR_NOMEM;
    }
    out->entries = grown;
    grown[out->count++] = (struct folder_entry){.file = f};
    return ERR_OK;
}

static int scan_dir(const struct folder_options *o, const char *dir, const struct folder *before, struct folder *out)
{
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort);
    if (n < 0)
        return errno == ENOENT ? ERR_OK : err_from_errno(errno);
    int code = ERR_OK;
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        size_t len = strlen(name);
        char path[PATH_MAX];
        if (code == ERR_OK && name[0] != '.' && len > 3 && strcmp(name + len - 3, ".so") == 0 &&
            snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path)
            code = add_file(o, path, before, out);
        free(names[i]);
    }
    free(names);
    return code;
}

static bool named_after(const struct plugin_file *f)
{
    const char *slash = strrchr(f->path, '/'), *file = slash == NULL ? f->path : slash + 1;
    size_t len = strlen(f->about.name);
    return strncmp(file, f->about.name, len) == 0 && strcmp(file + len, ".so") == 0;
}

/* How good a file's claim on its name is: what holds it stays, so that a copy that is dropped in beside it takes
 * nothing away; then a file that is called so, which says the same after a restart; then the first that was found. */
static int claim_of(const struct plugin_file *f, const struct folder *before)
{
    for (size_t i = 0; i < before->count; i++) {
        const struct folder_entry *old = &before->entries[i];
        if (old->file->refused == NULL && old->holder == NULL && strcmp(old->file->path, f->path) == 0 &&
            strcmp(old->file->about.name, f->about.name) == 0)
            return 2;
    }
    return named_after(f) ? 1 : 0;
}

static const struct plugin_file *holder_of(const char *name, const struct folder *f, const struct folder *before)
{
    const struct plugin_file *holder = NULL;
    int best = -1;
    for (size_t i = 0; i < f->count; i++) {
        const struct plugin_file *file = f->entries[i].file;
        if (file->refused != NULL || strcmp(file->about.name, name) != 0)
            continue;
        int claim = claim_of(file, before);
        if (claim > best)
            holder = file;
        best = claim > best ? claim : best;
    }
    return holder;
}

static void refuse_doubles(struct folder *f, const struct folder *before)
{
    for (size_t i = 0; i < f->count; i++) {
        struct folder_entry *entry = &f->entries[i];
        const struct plugin_file *holder =
            entry->file->refused != NULL ? NULL : holder_of(entry->file->about.name, f, before);
        entry->holder = holder == entry->file ? NULL : holder;
    }
}

int folder_scan(const struct folder_options *options, const struct folder *before, struct folder *out, struct err *e)
{
    *out = (struct folder){0};
    if (sys->mkdir(options->copies, 0700) != 0 && errno != EEXIST)
        return err_errno(e, errno, "cannot make %s", options->copies);
    int code = ERR_OK;
    for (const char *const *dir = options->dirs; code == ERR_OK && *dir != NULL; dir++) {
        code = scan_dir(options, *dir, before, out);
        if (code != ERR_OK)
            err_set(e, code, "cannot read plugin folder %s: %s", *dir, err_text(code));
    }
    refuse_doubles(out, before);
    return code;
}
