/* The fake disk: nodes with two pictures and the list of what lies between them; names with the same.
 *
 * A sync brings the list onto the medium. At a power cut each entry of the list is lost, kept, or (a write) torn at
 * sectors, by chance; names mostly as a prefix of what was done, as a journaling file system does it, at times any
 * of them. A sync that fails may forget its list though the cache goes on showing it, which is what Linux does: the
 * next sync then says 0 and means nothing.
 *
 * Paths are whole and absolute; a folder is never renamed. */
#include "disk.h"

#include "base/sys.h"
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

enum { NAMES = 512, FILES = 1024, FD_FIRST = 100000, SECTOR = 512, PATH = 120 };

struct change { /* of a node, not synced */
    size_t at, length;
    char *bytes; /* NULL: the file's length becomes `length` */
};

struct picture {
    char *bytes;
    size_t size, cap;
};

struct node {
    struct picture cache, medium;
    struct change *changes;
    uint32_t change_count, change_cap;
    uint32_t uses; /* names in either picture, descriptors, pending names */
    int locked;    /* by this descriptor; 0: not */
    bool folder;
    bool lies; /* the cache shows something else than medium and changes together */
};

struct name {
    char path[PATH];
    struct node *node;
};

struct names {
    struct name names[NAMES];
    uint32_t count;
};

struct renaming { /* of names, not synced: one or two that change together */
    char path[2][PATH];
    struct node *node[2]; /* NULL: gone */
    int count;
};

struct file {
    struct node *node;
    char path[PATH];
    bool direct;
};

static struct disk {
    struct disk_rules rules;
    struct names shown, durable;
    struct renaming pending[NAMES];
    uint32_t pending_count;
    struct file files[FILES];
    int fuse;
    bool dead;
    uint32_t unread;
} d;

void (*disk_message)(const struct iovec *parts, size_t count);

/* --- pictures --- */

static void picture_size(struct picture *p, size_t size)
{
    if (size > p->cap) {
        size_t cap = p->cap == 0 ? 4096 : p->cap;
        while (cap < size)
            cap *= 2;
        p->bytes = realloc(p->bytes, cap);
        CHECK(p->bytes != NULL);
        p->cap = cap;
    }
    if (size > p->size)
        memset(p->bytes + p->size, 0, size - p->size);
    p->size = size;
}

static void picture_write(struct picture *p, size_t at, const char *bytes, size_t length)
{
    if (at + length > p->size)
        picture_size(p, at + length);
    memcpy(p->bytes + at, bytes, length);
}

static void picture_copy(struct picture *to, const struct picture *from)
{
    picture_size(to, from->size);
    if (from->size > 0)
        memcpy(to->bytes, from->bytes, from->size);
}

static void change_apply(struct picture *p, const struct change *c)
{
    if (c->bytes == NULL)
        picture_size(p, c->length);
    else
        picture_write(p, c->at, c->bytes, c->length);
}

/* --- nodes --- */

static void node_unuse(struct node *n)
{
    if (n == NULL || --n->uses > 0)
        return;
    for (uint32_t i = 0; i < n->change_count; i++)
        free(n->changes[i].bytes);
    free(n->changes);
    free(n->cache.bytes);
    free(n->medium.bytes);
    free(n);
}

static void node_change(struct node *n, size_t at, const char *bytes, size_t length)
{
    if (n->change_count == n->change_cap) {
        n->change_cap = n->change_cap == 0 ? 16 : n->change_cap * 2;
        n->changes = realloc(n->changes, n->change_cap * sizeof *n->changes);
        CHECK(n->changes != NULL);
    }
    struct change *c = &n->changes[n->change_count++];
    *c = (struct change){.at = at, .length = length};
    if (bytes != NULL) {
        c->bytes = malloc(length + 1);
        CHECK(c->bytes != NULL);
        memcpy(c->bytes, bytes, length);
    }
    change_apply(&n->cache, c);
}

static void changes_drop(struct node *n)
{
    for (uint32_t i = 0; i < n->change_count; i++)
        free(n->changes[i].bytes);
    n->change_count = 0;
}

static void node_sync(struct node *n)
{
    for (uint32_t i = 0; i < n->change_count; i++)
        change_apply(&n->medium, &n->changes[i]);
    changes_drop(n);
}

/* A write of which some sectors got there. */
static void change_tear(struct picture *p, const struct change *c)
{
    for (size_t done = 0; done < c->length;) {
        size_t piece = SECTOR - (c->at + done) % SECTOR;
        piece = piece < c->length - done ? piece : c->length - done;
        if (sim_chance(50))
            picture_write(p, c->at + done, c->bytes + done, piece);
        done += piece;
    }
}

/* What became of everything that was not synced. */
static void node_settle(struct node *n)
{
    uint32_t lost = sim_below(101), torn = sim_below(101);
    for (uint32_t i = 0; i < n->change_count; i++) {
        const struct change *c = &n->changes[i];
        if (sim_chance(lost))
            continue;
        if (c->bytes != NULL && sim_chance(torn))
            change_tear(&n->medium, c);
        else
            change_apply(&n->medium, c);
    }
    changes_drop(n);
}

/* --- names --- */

static struct name *names_find(struct names *s, const char *path)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (strcmp(s->names[i].path, path) == 0)
            return &s->names[i];
    return NULL;
}

static struct node *shown_node(const char *path)
{
    const struct name *n = names_find(&d.shown, path);
    return n == NULL ? NULL : n->node;
}

static void names_set(struct names *s, const char *path, struct node *node)
{
    struct name *n = names_find(s, path);
    if (node != NULL)
        node->uses++;
    if (n == NULL && node != NULL) {
        CHECK(s->count < NAMES && strlen(path) < PATH);
        n = &s->names[s->count++];
        strcpy(n->path, path);
        n->node = node;
    } else if (n != NULL) {
        struct node *before = n->node;
        n->node = node;
        if (node == NULL)
            *n = s->names[--s->count];
        node_unuse(before);
    }
}

static bool in_folder(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && path[len] == '/' && strchr(path + len + 1, '/') == NULL;
}

static bool has_parent(struct names *s, const char *path)
{
    char parent[PATH];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return true;
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = '\0';
    const struct name *n = names_find(s, parent);
    return n != NULL && n->node->folder;
}

static void rename_pend(const char *a, struct node *na, const char *b, struct node *nb)
{
    CHECK(d.pending_count < NAMES);
    struct renaming *r = &d.pending[d.pending_count++];
    *r = (struct renaming){.count = b == NULL ? 1 : 2, .node = {na, nb}};
    strcpy(r->path[0], a);
    if (b != NULL)
        strcpy(r->path[1], b);
    for (int i = 0; i < r->count; i++) {
        if (r->node[i] != NULL)
            r->node[i]->uses++;
        names_set(&d.shown, r->path[i], r->node[i]);
    }
}

static void rename_end(struct renaming *r, bool apply)
{
    for (int i = 0; i < r->count; i++) {
        if (apply)
            names_set(&d.durable, r->path[i], r->node[i]);
        node_unuse(r->node[i]);
    }
}

static bool renames_share(const struct renaming *a, const struct renaming *b)
{
    for (int i = 0; i < a->count; i++)
        for (int k = 0; k < b->count; k++)
            if (strcmp(a->path[i], b->path[k]) == 0)
                return true;
    return false;
}

/* What was done in this folder, and before that to the same names. */
static void folder_sync(const char *folder)
{
    bool wanted[NAMES] = {false};
    for (uint32_t i = d.pending_count; i-- > 0;) {
        const struct renaming *r = &d.pending[i];
        for (int k = 0; k < r->count; k++)
            wanted[i] = wanted[i] || in_folder(r->path[k], folder);
        for (uint32_t later = i + 1; later < d.pending_count; later++)
            wanted[i] = wanted[i] || (wanted[later] && renames_share(r, &d.pending[later]));
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d.pending_count; i++) {
        if (wanted[i])
            rename_end(&d.pending[i], true);
        else
            d.pending[kept++] = d.pending[i];
    }
    d.pending_count = kept;
}

/* --- what fails --- */

enum effect { CALL_GOES, CALL_FAILS, CALL_SHORT };

static enum effect call_begins(bool changes, const char *what)
{
    if (d.dead || (changes && d.fuse > 0 && --d.fuse == 0)) {
        d.dead = true;
        errno = EIO;
        return CALL_FAILS;
    }
    if (d.rules.faults == 0 || sim_below(1000) >= d.rules.faults)
        return CALL_GOES;
    static const int changing[] = {EIO, EIO, ENOSPC, ENOMEM, EINTR, EMFILE}, looking[] = {EIO, EINTR, ENOMEM, EMFILE};
    errno = changes ? changing[sim_below(COUNT_OF(changing))] : looking[sim_below(COUNT_OF(looking))];
    if (!changes && errno == EIO && !d.rules.bad_reads)
        errno = EINTR;
    d.unread += !changes && errno == EIO;
    if (sim_tracing) {
        int number = errno;
        sim_trace("a call fails: %s, %s", what, strerror(number));
        errno = number;
    }
    if (errno == EMFILE)
        return CALL_SHORT;
    return CALL_FAILS;
}

static bool fails(bool changes, const char *what)
{
    return call_begins(changes, what) == CALL_FAILS;
}

static uint64_t bytes_used(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d.shown.count; i++)
        sum += d.shown.names[i].node->cache.size;
    return sum;
}

/* --- descriptors --- */

static struct file *file_of(int fd)
{
    CHECK(fd >= FD_FIRST && fd < FD_FIRST + FILES && d.files[fd - FD_FIRST].node != NULL);
    return &d.files[fd - FD_FIRST];
}

static int file_new(struct node *n, const char *path, bool direct)
{
    int i = 0;
    while (i < FILES && d.files[i].node != NULL)
        i++;
    CHECK(i < FILES);
    d.files[i] = (struct file){.node = n, .direct = direct};
    strcpy(d.files[i].path, path);
    n->uses++;
    return FD_FIRST + i;
}

static int no(int number)
{
    errno = number;
    return -1;
}

/* Folders are opened as `a/` and `a/b/..` too. */
static const char *path_plain(const char *from, char out[PATH])
{
    size_t len = strlen(from);
    CHECK(len < PATH);
    memcpy(out, from, len + 1);
    bool up = len > 3 && strcmp(out + len - 3, "/..") == 0;
    if (up)
        out[len - 3] = '\0';
    char *slash = strrchr(out, '/');
    if (up || slash[1] == '\0')
        *slash = '\0';
    return out;
}

static int fake_open(const char *given, int flags, mode_t mode)
{
    (void)mode;
    char plain[PATH];
    const char *path = path_plain(given, plain);
    struct node *n = shown_node(path);
    if (fails((flags & (O_CREAT | O_TRUNC)) != 0 && (n == NULL || (flags & O_TRUNC) != 0), path))
        return -1;
    if ((flags & O_DIRECT) != 0 && !d.rules.direct)
        return no(EINVAL);
    if (n == NULL && (flags & O_CREAT) == 0)
        return no(ENOENT);
    if (n == NULL) {
        if (!has_parent(&d.shown, path))
            return no(ENOENT);
        n = calloc(1, sizeof *n);
        CHECK(n != NULL);
        rename_pend(path, n, NULL, NULL);
    }
    if (((flags & O_DIRECTORY) != 0) != n->folder)
        return no(n->folder ? EISDIR : ENOTDIR);
    if ((flags & O_TRUNC) != 0 && n->cache.size > 0)
        node_change(n, 0, NULL, 0);
    return file_new(n, path, (flags & O_DIRECT) != 0);
}

static int fake_close(int fd)
{
    struct file *f = file_of(fd);
    struct node *n = f->node;
    if (n->locked == fd)
        n->locked = 0;
    f->node = NULL;
    node_unuse(n);
    return 0;
}

/* Past the cache: the medium with what is on its way to it. */
static ssize_t direct_read(const struct node *n, void *to, size_t len, size_t at)
{
    struct picture p = {NULL, 0, 0};
    picture_copy(&p, &n->medium);
    for (uint32_t i = 0; i < n->change_count; i++)
        change_apply(&p, &n->changes[i]);
    len = at >= p.size ? 0 : len < p.size - at ? len : p.size - at;
    if (len > 0)
        memcpy(to, p.bytes + at, len);
    free(p.bytes);
    return (ssize_t)len;
}

static ssize_t fake_pread(int fd, void *to, size_t len, off_t at)
{
    const struct file *f = file_of(fd);
    const struct picture *p = &f->node->cache;
    size_t from = (size_t)at;
    switch (call_begins(false, f->path)) {
    case CALL_FAILS: return -1;
    case CALL_SHORT: len = len > 8192 ? len / 2 / 4096 * 4096 : len; break;
    case CALL_GOES: break;
    }
    if (f->direct && f->node->lies)
        return direct_read(f->node, to, len, from);
    len = from >= p->size ? 0 : len < p->size - from ? len : p->size - from;
    if (len > 0)
        memcpy(to, p->bytes + from, len);
    return (ssize_t)len;
}

static ssize_t fake_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    struct node *n = file_of(fd)->node;
    size_t left = 0, done = 0;
    bool dead = d.dead;
    for (int i = 0; i < count; i++)
        left += parts[i].iov_len;
    enum effect effect = call_begins(true, file_of(fd)->path);
    int number = errno;
    if (dead || (effect == CALL_FAILS && number == EINTR))
        return -1;
    if ((uint64_t)at + left > n->cache.size && bytes_used() + left > d.rules.capacity)
        return no(ENOSPC);
    if (effect != CALL_GOES && left > 0) /* a part of it gets there all the same */
        left = effect == CALL_SHORT ? 1 + sim_below((uint32_t)left) : sim_below((uint32_t)left + 1);
    for (int i = 0; i < count && left > 0; i++) {
        size_t piece = parts[i].iov_len < left ? parts[i].iov_len : left;
        if (piece > 0)
            node_change(n, (size_t)at + done, parts[i].iov_base, piece);
        done += piece;
        left -= piece;
    }
    errno = number;
    return effect == CALL_FAILS ? -1 : (ssize_t)done;
}

static ssize_t fake_pwrite(int fd, const void *from, size_t len, off_t at)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};
    return fake_pwritev(fd, &part, 1, at);
}

static int fake_fsync(int fd)
{
    struct file *f = file_of(fd);
    bool dead = d.dead;
    if (fails(true, f->path)) {
        if (!dead && !d.dead && !f->node->folder && d.rules.lies && f->node->change_count > 0) {
            int number = errno;
            node_settle(f->node); /* marked clean, whatever got there */
            f->node->lies = true;
            errno = number;
        }
        return -1;
    }
    if (f->node->folder)
        folder_sync(f->path);
    else if (sim_bug != BUG_SYNC_NOTHING)
        node_sync(f->node);
    return 0;
}

static int fake_ftruncate(int fd, off_t len)
{
    if (fails(true, file_of(fd)->path))
        return -1;
    node_change(file_of(fd)->node, 0, NULL, (size_t)len);
    return 0;
}

static void stat_fill(const struct node *n, struct stat *out)
{
    *out = (struct stat){.st_mode = n->folder ? S_IFDIR : S_IFREG, .st_size = (off_t)n->cache.size};
    out->st_mtim.tv_sec = (time_t)(1700000000 + sim_ms / 1000);
}

static int fake_fstat(int fd, struct stat *out)
{
    if (d.dead)
        return no(EIO);
    stat_fill(file_of(fd)->node, out);
    return 0;
}

static int fake_stat(const char *path, struct stat *out)
{
    const struct node *n = shown_node(path);
    if (fails(false, path))
        return -1;
    if (n == NULL)
        return no(ENOENT);
    stat_fill(n, out);
    return 0;
}

static int fake_statvfs(const char *path, struct statvfs *out)
{
    (void)path;
    uint64_t used = bytes_used();
    if (fails(false, path))
        return -1;
    *out = (struct statvfs){.f_frsize = 1, .f_bavail = used < d.rules.capacity ? d.rules.capacity - used : 0};
    return 0;
}

static int fake_rename(const char *from, const char *to)
{
    struct node *n = shown_node(from);
    if (fails(true, from))
        return -1;
    if (n == NULL || !has_parent(&d.shown, to))
        return no(ENOENT);
    rename_pend(from, NULL, to, n);
    return 0;
}

static int remove_one(const char *path, bool folder)
{
    const struct node *n = shown_node(path);
    if (fails(true, path))
        return -1;
    if (n == NULL)
        return no(ENOENT);
    if (n->folder != folder)
        return no(folder ? ENOTDIR : EISDIR);
    for (uint32_t i = 0; folder && i < d.shown.count; i++)
        if (in_folder(d.shown.names[i].path, path))
            return no(ENOTEMPTY);
    rename_pend(path, NULL, NULL, NULL);
    return 0;
}

static int fake_unlink(const char *path)
{
    return remove_one(path, false);
}

static int fake_rmdir(const char *path)
{
    return remove_one(path, true);
}

static struct node *folder_new(void)
{
    struct node *n = calloc(1, sizeof *n);
    CHECK(n != NULL);
    n->folder = true;
    return n;
}

static int fake_mkdir(const char *path, mode_t mode)
{
    (void)mode;
    if (fails(shown_node(path) == NULL, path))
        return -1;
    if (shown_node(path) != NULL)
        return no(EEXIST);
    if (!has_parent(&d.shown, path))
        return no(ENOENT);
    rename_pend(path, folder_new(), NULL, NULL);
    return 0;
}

static int fake_flock(int fd, int operation)
{
    struct node *n = file_of(fd)->node;
    if (fails(false, "lock"))
        return -1;
    if (n->locked != 0 && n->locked != fd)
        return no(EWOULDBLOCK);
    n->locked = (operation & LOCK_EX) != 0 ? fd : n->locked;
    return 0;
}

static int fake_list(const char *path, int (*each)(void *arg, const char *name), void *arg)
{
    struct node *n = shown_node(path);
    int result = 0;
    if (fails(false, path))
        return -1;
    if (n == NULL)
        return no(ENOENT);
    struct names *copy = malloc(sizeof *copy); /* `each` may change them */
    CHECK(copy != NULL);
    copy->count = 0;
    for (uint32_t i = 0; i < d.shown.count; i++)
        if (in_folder(d.shown.names[i].path, path))
            copy->names[copy->count++] = d.shown.names[i];
    for (uint32_t i = 0; result == 0 && i < copy->count; i++)
        result = each(arg, strrchr(copy->names[i].path, '/') + 1);
    free(copy);
    return result;
}

/* --- the rest of the table --- */

static int fake_clock(clockid_t which, struct timespec *out)
{
    int64_t us = sim_ms * 1000 + (which == CLOCK_REALTIME ? INT64_C(1700000000000000) + sim_wall_off : 0);
    *out = (struct timespec){.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    return 0;
}

static ssize_t fake_random(void *to, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)to)[i] = (unsigned char)sim_random();
    return (ssize_t)len;
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *message, int flags)
{
    (void)fd, (void)flags;
    disk_message(message->msg_iov, message->msg_iovlen);
    return 1;
}

static const struct sys table = {
    .open = fake_open,
    .close = fake_close,
    .pread = fake_pread,
    .pwrite = fake_pwrite,
    .pwritev = fake_pwritev,
    .fdatasync = fake_fsync,
    .fsync = fake_fsync,
    .ftruncate = fake_ftruncate,
    .fstat = fake_fstat,
    .stat = fake_stat,
    .statvfs = fake_statvfs,
    .rename = fake_rename,
    .unlink = fake_unlink,
    .mkdir = fake_mkdir,
    .rmdir = fake_rmdir,
    .flock = fake_flock,
    .clock = fake_clock,
    .random = fake_random,
    .sendmsg = fake_sendmsg,
    .list = fake_list,
};

/* --- life and death --- */

void disk_new(const struct disk_rules *rules)
{
    memset(&d, 0, sizeof d);
    d.rules = *rules;
    d.fuse = -1;
    struct node *root = folder_new();
    names_set(&d.shown, "/d", root);
    names_set(&d.durable, "/d", root);
    sys = &table;
}

static void names_clear(struct names *s)
{
    while (s->count > 0)
        names_set(s, s->names[0].path, NULL);
}

static void pending_clear(void)
{
    for (uint32_t i = 0; i < d.pending_count; i++)
        rename_end(&d.pending[i], false);
    d.pending_count = 0;
}

void disk_free(void)
{
    disk_killed();
    pending_clear();
    names_clear(&d.shown);
    names_clear(&d.durable);
}

struct disk_rules *disk_rules(void)
{
    return &d.rules;
}

void disk_fuse(int calls)
{
    d.fuse = calls;
}

bool disk_dead(void)
{
    return d.dead;
}

void disk_killed(void)
{
    d.dead = false;
    d.fuse = -1;
    for (int i = 0; i < FILES; i++)
        if (d.files[i].node != NULL)
            fake_close(FD_FIRST + i);
}

static void pending_settle(void)
{
    bool any = sim_chance(30);
    uint32_t prefix = sim_below(d.pending_count + 1);
    for (uint32_t i = 0; i < d.pending_count; i++)
        rename_end(&d.pending[i], any ? sim_chance(50) : i < prefix);
    d.pending_count = 0;
}

/* What stands in a folder that is not there cannot be reached. */
static void unreachable_drop(void)
{
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < d.durable.count && !again; i++) {
            char path[PATH];
            strcpy(path, d.durable.names[i].path);
            again = !has_parent(&d.durable, path);
            if (again)
                names_set(&d.durable, path, NULL);
        }
    }
}

void disk_power_cut(void)
{
    disk_killed();
    pending_settle();
    unreachable_drop();
    names_clear(&d.shown);
    for (uint32_t i = 0; i < d.durable.count; i++) {
        struct node *n = d.durable.names[i].node;
        node_settle(n);
        picture_copy(&n->cache, &n->medium);
        n->lies = false;
        names_set(&d.shown, d.durable.names[i].path, n);
    }
}

bool disk_flip(const char *part, size_t from, size_t *at)
{
    uint32_t start = sim_below(d.shown.count + 1);
    for (uint32_t i = 0; i < d.shown.count; i++) {
        struct name *n = &d.shown.names[(start + i) % d.shown.count];
        if (strstr(n->path, part) == NULL || n->node->folder || n->node->medium.size <= from)
            continue;
        *at = from + sim_below((uint32_t)(n->node->medium.size - from));
        char bit = (char)(1 << sim_below(8));
        n->node->medium.bytes[*at] ^= bit;
        if (*at < n->node->cache.size)
            n->node->cache.bytes[*at] ^= bit;
        sim_trace("a bit of %s at %zu flips", n->path, *at);
        return true;
    }
    return false;
}

uint32_t disk_unread(void)
{
    return d.unread;
}

uint32_t disk_open_files(void)
{
    uint32_t open = 0;
    for (int i = 0; i < FILES; i++)
        open += d.files[i].node != NULL;
    return open;
}
