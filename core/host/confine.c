/* Landlock (Documentation/userspace-api/landlock.rst of the kernel): from here on only the paths that are listed can be
 * opened. Called before the plugin is loaded, so its constructors are confined too. Journal segments need no path: they
 * come as open descriptors.
 *
 * A rule belongs to the file or folder that is there now: a settings file of the system that is replaced by a rename
 * later is out of reach until the plugin is started again, but for the resolver's folders under /run, which are allowed
 * as folders. TCP is not restricted: a pusher's purpose is to reach the outside.
 *
 * Headers of Debian 12 know the first two versions of the interface only, so its structures stand here. */
#include "host/confine.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ACCESS_TRUNCATE (UINT64_C(1) << 14) /* version 3 */
#define NET_BIND        (UINT64_C(1) << 0)  /* version 4 */
#define NET_CONNECT     (UINT64_C(1) << 1)
#define SCOPE_SIGNAL    (UINT64_C(1) << 1) /* version 6: no signals to processes outside */

#define ACCESS_FILE_READ  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE)
#define ACCESS_FILE_WRITE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
#define ACCESS_READ       (ACCESS_FILE_READ | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_WRITE                                                                                                   \
    (ACCESS_FILE_WRITE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |                                 \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                      \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
#define ACCESS_ALL                                                                                                     \
    (ACCESS_READ | ACCESS_WRITE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK |                        \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK)

struct ruleset_attr {
    uint64_t files, net, scoped;
};

/* A ruleset being made. */
struct rules {
    int fd;
    int version;
    uint64_t handled;
};

static const char *const readable[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
    "/etc/crypto-policies",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
    "/proc/self",
};

static int rules_open(struct rules *r, uint64_t net, struct err *e)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return err_set(e, ERR_VERSION, "this kernel has no Landlock");
    struct ruleset_attr attr = {.files = ACCESS_ALL};
    if (version < 2)
        attr.files &= ~LANDLOCK_ACCESS_FS_REFER;
    if (version < 3)
        attr.files &= ~ACCESS_TRUNCATE;
    if (version >= 4)
        attr.net = net;
    if (version >= 6)
        attr.scoped = SCOPE_SIGNAL;
    size_t size = version >= 6 ? sizeof attr : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    long fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (fd < 0)
        return err_errno(e, errno, "landlock_create_ruleset");
    *r = (struct rules){.fd = (int)fd, .version = (int)version, .handled = attr.files};
    return ERR_OK;
}

/* What is not there needs no rule. */
static int rules_allow(struct rules *r, const char *path, uint64_t allowed, struct err *e)
{
    int fd = sys->open(path, O_PATH, 0);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP
                   ? ERR_OK
                   : err_errno(e, errno, "cannot open %s", path);
    struct stat st;
    int code = sys->fstat(fd, &st) == 0 ? ERR_OK : err_errno(e, errno, "cannot look at %s", path);
    if (code == ERR_OK && !S_ISDIR(st.st_mode))
        allowed &= ACCESS_FILE_READ | ACCESS_FILE_WRITE;
    const struct landlock_path_beneath_attr rule = {.allowed_access = allowed & r->handled, .parent_fd = fd};
    if (code == ERR_OK && syscall(SYS_landlock_add_rule, r->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        code = err_errno(e, errno, "landlock_add_rule for %s", path);
    sys->close(fd);
    return code;
}

static int rules_enforce(struct rules *r, struct err *e)
{
    if (syscall(SYS_landlock_restrict_self, r->fd, 0) == 0)
        return ERR_OK;
    int number = errno, code = err_errno(e, number, "landlock_restrict_self");
    return number == ENOMEM ? code : ERR_VERSION; /* too many layers, or forbidden: it will not be otherwise */
}

/* --- folders --- */

void confine_folder(const char *path, char *out)
{
    size_t until = strcspn(path, "%{");
    while (until > 0 && path[until - 1] != '/')
        until--;
    while (until > 1 && path[until - 1] == '/')
        until--;
    if (until == 0) {
        memcpy(out, ".", 2);
        return;
    }
    memcpy(out, path, until);
    out[until] = '\0';
}

/* As far as it goes: the plugin says best itself what it cannot open. */
static void folder_make(char *folder)
{
    for (char *c = folder + 1; *c != '\0'; c++)
        if (*c == '/') {
            *c = '\0';
            (void)sys->mkdir(folder, 0750);
            *c = '/';
        }
    (void)sys->mkdir(folder, 0750);
}

static int rules_allow_written(struct rules *r, const char *path, bool is_folder, struct err *e)
{
    char *folder = malloc(strlen(path) + 2);
    if (folder == NULL)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    if (is_folder)
        memcpy(folder, path, strlen(path) + 1);
    else
        confine_folder(path, folder);
    folder_make(folder);
    int code = rules_allow(r, folder, ACCESS_WRITE, e);
    free(folder);
    /* The file itself may lie elsewhere, behind a symbolic link. */
    return code != ERR_OK ? code : rules_allow(r, path, ACCESS_WRITE, e);
}

/* --- the two confinements --- */

/* Folders that LD_LIBRARY_PATH names. */
static int rules_allow_libraries(struct rules *r, struct err *e)
{
    const char *set = getenv("LD_LIBRARY_PATH");
    char *copy = set == NULL ? NULL : strdup(set);
    char *rest = NULL;
    int code = ERR_OK;
    for (char *at = copy == NULL ? NULL : strtok_r(copy, ":", &rest); at != NULL && code == ERR_OK;
         at = strtok_r(NULL, ":", &rest))
        code = rules_allow(r, at, ACCESS_READ, e);
    free(copy);
    return code;
}

static int rules_allow_system(struct rules *r, const char *plugin, struct err *e)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < COUNT_OF(readable); i++)
        code = rules_allow(r, readable[i], ACCESS_READ, e);
    if (code == ERR_OK)
        code = rules_allow(r, "/dev/null", ACCESS_FILE_WRITE, e);
    if (code == ERR_OK)
        code = rules_allow(r, plugin, ACCESS_READ, e);
    return code != ERR_OK ? code : rules_allow_libraries(r, e);
}

int confine_files(const char *plugin, const struct confine_path *paths, size_t count, struct err *e)
{
    struct rules r;
    int code = rules_open(&r, 0, e);
    if (code != ERR_OK)
        return code;
    code = rules_allow_system(&r, plugin, e);
    for (size_t i = 0; code == ERR_OK && i < count; i++)
        code = paths[i].write ? rules_allow_written(&r, paths[i].path, paths[i].folder, e)
                              : rules_allow(&r, paths[i].path, ACCESS_READ, e);
    if (code == ERR_OK)
        code = rules_enforce(&r, e);
    sys->close(r.fd);
    return code;
}

int confine_reading(struct err *e)
{
    struct rules r;
    int code = rules_open(&r, NET_BIND | NET_CONNECT, e);
    if (code != ERR_OK)
        return code;
    code = rules_allow(&r, "/", ACCESS_READ, e);
    if (code == ERR_OK)
        code = rules_enforce(&r, e);
    sys->close(r.fd);
    return code;
}
