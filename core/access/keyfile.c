/* Reading and writing the keys' files.
 *
 * Two files, because they have two writers: the command writes keys, the daemon writes when they were used, and neither
 * can undo what the other did. The daemon never writes `keys`, so a key that was revoked stays so. A new file is
 * written beside the old one, synced, and renamed over it: after a crash there is the one or the other. */
#include "access/keyfile.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { VERSION = 1 };

void moment_text(int64_t seconds, char out[MOMENT_MAX])
{
    time_t t = (time_t)seconds;
    struct tm parts;
    out[0] = '\0';
    if (gmtime_r(&t, &parts) != NULL)
        strftime(out, MOMENT_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

int moment_parse(const char *text, int64_t *seconds)
{
    struct tm parts = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (end == NULL || *end != '\0')
        return ERR_SYNTAX;
    *seconds = (int64_t)timegm(&parts);
    return ERR_OK;
}

/* --- the table --- */

void keyfile_fini(struct keyfile *f)
{
    free(f->keys);
    *f = (struct keyfile){0};
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct key *)a)->id, ((const struct key *)b)->id);
}

const struct key *keyfile_find(const struct keyfile *f, const char *id)
{
    struct key wanted = {.created_s = 0};
    snprintf(wanted.id, sizeof wanted.id, "%s", id);
    return f->count == 0 ? NULL : bsearch(&wanted, f->keys, f->count, sizeof *f->keys, by_id);
}

int keyfile_add(struct keyfile *f, const struct key *k, struct err *e)
{
    if (f->count >= KEYS_MAX)
        return err_set(e, ERR_LIMIT, "there are %d keys already, the most there may be; revoke some", KEYS_MAX);
    struct key *grown = realloc(f->keys, (f->count + 1) * sizeof *grown);
    if (grown == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    f->keys = grown;
    f->keys[f->count++] = *k;
    qsort(f->keys, f->count, sizeof *f->keys, by_id);
    return ERR_OK;
}

bool keyfile_remove(struct keyfile *f, const char *id)
{
    const struct key *found = keyfile_find(f, id);
    if (found == NULL)
        return false;
    size_t at = (size_t)(found - f->keys);
    memmove(&f->keys[at], &f->keys[at + 1], (f->count - at - 1) * sizeof *f->keys);
    f->count--;
    return true;
}

/* --- files --- */

static int path_of(const char *data_dir, const char *name, char out[PATH_MAX], struct err *e)
{
    if (snprintf(out, PATH_MAX, "%s/%s", data_dir, name) < PATH_MAX)
        return ERR_OK;
    return err_set(e, ERR_LIMIT, "the path of the data directory is too long");
}

/* ERR_NOTFOUND without a sentence when there is none. */
static int file_read(const char *path, struct buf *out, struct err *e)
{
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOTFOUND : err_errno(e, errno, "read %s", path);
    int code = ERR_OK;
    for (;;) {
        code = buf_reserve(out, 4096);
        if (code != ERR_OK)
            break;
        ssize_t n = sys->read(fd, out->ptr + out->len, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = err_errno(e, errno, "read %s", path);
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    sys->close(fd);
    return code == ERR_LIMIT ? err_set(e, ERR_DAMAGED, "%s is larger than 1 MiB; that is no file of keys", path) : code;
}

static int all_written(int fd, struct slice text)
{
    while (text.len > 0) {
        ssize_t n = sys->write(fd, text.ptr, text.len);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0)
            text = slice_make(text.ptr + n, text.len - (size_t)n);
    }
    return 0;
}

/* Root may run the command, and the daemon must be able to read what it wrote. */
int keyfile_give(const char *data_dir, int fd)
{
    struct stat st;
    if (geteuid() != 0)
        return 0;
    return sys->stat(data_dir, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0 ? 0 : errno;
}

int keyfile_sync_dir(const char *data_dir)
{
    int fd = sys->open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int number = sys->fsync(fd) == 0 ? 0 : errno;
    sys->close(fd);
    return number;
}

int keyfile_replace(const char *data_dir, const char *name, struct slice text, bool durable, struct err *e)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    int code = path_of(data_dir, name, path, e);
    if (code != ERR_OK || snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return err_set(e, ERR_LIMIT, "the path of the data directory is too long");
    int fd = sys->open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, errno, "write %s", fresh);
    int number = all_written(fd, text);
    if (number == 0)
        number = keyfile_give(data_dir, fd);
    if (number == 0 && durable && sys->fsync(fd) != 0)
        number = errno;
    sys->close(fd);
    if (number == 0 && sys->rename(fresh, path) != 0)
        number = errno;
    if (number == 0 && durable)
        number = keyfile_sync_dir(data_dir);
    if (number == 0)
        return ERR_OK;
    (void)sys->unlink(fresh);
    return err_errno(e, number, "write %s", path);
}

int keyfile_lock(const char *data_dir, int *fd, struct err *e)
{
    char path[PATH_MAX];
    int code = path_of(data_dir, "keys.lock", path, e);
    if (code != ERR_OK)
        return code;
    int lock = sys->open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return err_errno(e, errno, "open %s", path);
    (void)keyfile_give(data_dir, lock); /* where that fails, a later one that is not root says so */
    if (sys->flock(lock, LOCK_EX) != 0) {
        code = err_errno(e, errno, "lock %s", path);
        sys->close(lock);
        return code;
    }
    *fd = lock;
    return ERR_OK;
}

/* --- keys --- */

static const char *text_of(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    return json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v) ? json_string_value(v) : NULL;
}

static bool sum_parse(const char *hex, unsigned char sum[KEY_SUM])
{
    static const char digits[] = "0123456789abcdef";
    if (hex == NULL || strlen(hex) != 2 * KEY_SUM)
        return false;
    for (size_t i = 0; i < KEY_SUM; i++) {
        const char *high = strchr(digits, hex[2 * i]), *low = strchr(digits, hex[2 * i + 1]);
        if (high == NULL || low == NULL)
            return false;
        sum[i] = (unsigned char)((high - digits) << 4 | (low - digits));
    }
    return true;
}

static bool roles_of(const json_t *list, unsigned *roles)
{
    size_t i;
    json_t *one;
    *roles = 0;
    json_array_foreach(list, i, one)
    {
        unsigned role = json_is_string(one) ? role_parse(slice_of(json_string_value(one))) : 0;
        if (role == 0)
            return false;
        *roles |= role;
    }
    return *roles != 0;
}

static bool moment_of(const json_t *object, const char *name, int64_t *seconds)
{
    const char *text = text_of(object, name);
    *seconds = 0;
    return text == NULL ? json_object_get(object, name) == NULL : moment_parse(text, seconds) == ERR_OK;
}

static bool key_of(const json_t *object, struct key *k)
{
    *k = (struct key){.roles = 0};
    const char *id = text_of(object, "id"), *client = text_of(object, "client"), *name = text_of(object, "name");
    if (id == NULL || !key_id_valid(slice_of(id)) || !sum_parse(text_of(object, "sha256"), k->sum) ||
        !roles_of(json_object_get(object, "roles"), &k->roles))
        return false;
    if ((client == NULL && json_object_get(object, "client") != NULL) ||
        (client != NULL && !client_valid(slice_of(client))) || (name != NULL && !key_name_valid(slice_of(name))))
        return false; /* a key that lost its client would see everybody's rows */
    snprintf(k->id, sizeof k->id, "%s", id);
    snprintf(k->client, sizeof k->client, "%s", client == NULL ? "" : client);
    snprintf(k->name, sizeof k->name, "%s", name == NULL ? "" : name);
    return moment_of(object, "created", &k->created_s) && moment_of(object, "expires", &k->expires_s);
}

static int keys_of(const json_t *root, const char *path, struct keyfile *out, struct err *e)
{
    json_int_t version = json_integer_value(json_object_get(root, "version"));
    const json_t *list = json_object_get(root, "keys");
    if (version > VERSION)
        return err_set(e, ERR_VERSION, "%s was written by a newer headgate (version %lld)", path, (long long)version);
    if (version != VERSION || !json_is_array(list) || json_array_size(list) > KEYS_MAX)
        return err_set(e, ERR_DAMAGED, "%s is no file of keys", path);
    out->keys = calloc(json_array_size(list) + 1, sizeof *out->keys);
    if (out->keys == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!key_of(json_array_get(list, i), &out->keys[out->count++]))
            return err_set(e, ERR_DAMAGED, "%s: key %zu is not as headgate writes it", path, i + 1);
    qsort(out->keys, out->count, sizeof *out->keys, by_id);
    for (size_t i = 1; i < out->count; i++)
        if (strcmp(out->keys[i - 1].id, out->keys[i].id) == 0)
            return err_set(e, ERR_DAMAGED, "%s: two keys have the id %s", path, out->keys[i].id);
    return ERR_OK;
}

int keyfile_read(const char *data_dir, struct keyfile *out, struct err *e)
{
    char path[PATH_MAX];
    struct buf text;
    json_error_t where;
    *out = (struct keyfile){0};
    buf_init(&text, KEYFILE_BYTES);
    int code = path_of(data_dir, "keys", path, e);
    if (code == ERR_OK)
        code = file_read(path, &text, e);
    if (code == ERR_OK) {
        json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &where);
        code = root == NULL ? err_set(e, ERR_DAMAGED, "%s: line %d: %s", path, where.line, where.text)
                            : keys_of(root, path, out, e);
        json_decref(root);
    }
    buf_free(&text);
    if (code == ERR_NOTFOUND)
        return ERR_OK;
    if (code != ERR_OK)
        keyfile_fini(out);
    return code;
}

static int add_text(struct buf *b, const char *name, const char *value)
{
    if (value[0] == '\0')
        return ERR_OK;
    int code = buf_addf(b, ", \"%s\": ", name);
    return code == ERR_OK ? buf_add_json(b, slice_of(value)) : code;
}

static int add_moment(struct buf *b, const char *name, int64_t seconds)
{
    char text[MOMENT_MAX] = "";
    if (seconds != 0)
        moment_text(seconds, text);
    return add_text(b, name, text);
}

static int add_roles(struct buf *b, unsigned roles)
{
    bool more = false;
    int code = buf_adds(b, ", \"roles\": [");
    for (unsigned i = 0; code == ERR_OK && i < ROLE_COUNT; i++) {
        if ((roles & 1u << i) == 0)
            continue;
        code = buf_addf(b, "%s\"%s\"", more ? ", " : "", role_word((enum role_number)i));
        more = true;
    }
    return code == ERR_OK ? buf_addc(b, ']') : code;
}

static int add_key(struct buf *b, const struct key *k)
{
    int code = buf_addf(b, "    {\"id\": \"%s\", \"sha256\": \"", k->id);
    for (size_t i = 0; code == ERR_OK && i < KEY_SUM; i++)
        code = buf_addf(b, "%02x", k->sum[i]);
    if (code == ERR_OK)
        code = buf_addc(b, '"');
    if (code == ERR_OK)
        code = add_roles(b, k->roles);
    if (code == ERR_OK)
        code = add_text(b, "client", k->client);
    if (code == ERR_OK)
        code = add_text(b, "name", k->name);
    if (code == ERR_OK)
        code = add_moment(b, "created", k->created_s);
    if (code == ERR_OK)
        code = add_moment(b, "expires", k->expires_s);
    return code == ERR_OK ? buf_addc(b, '}') : code;
}

int keyfile_write(const char *data_dir, const struct keyfile *f, struct err *e)
{
    struct buf b;
    buf_init(&b, KEYFILE_BYTES);
    int code = buf_addf(&b, "{\n  \"version\": %d,\n  \"keys\": [\n", VERSION);
    for (size_t i = 0; code == ERR_OK && i < f->count; i++) {
        code = add_key(&b, &f->keys[i]);
        if (code == ERR_OK)
            code = buf_adds(&b, i + 1 < f->count ? ",\n" : "\n");
    }
    if (code == ERR_OK)
        code = buf_adds(&b, "  ]\n}\n");
    if (code == ERR_OK)
        code = keyfile_replace(data_dir, "keys", buf_slice(&b), true, e);
    else
        err_set(e, code, "out of memory");
    buf_free(&b);
    return code;
}

/* --- last use --- */

void keyfile_used_read(const char *data_dir, const struct keyfile *f, int64_t *used)
{
    char path[PATH_MAX];
    struct buf text;
    memset(used, 0, f->count * sizeof *used);
    buf_init(&text, KEYFILE_BYTES);
    if (path_of(data_dir, "keys.used", path, NULL) == ERR_OK && file_read(path, &text, NULL) == ERR_OK) {
        json_t *root = json_loadb(text.ptr, text.len, 0, NULL);
        const json_t *all = json_object_get(root, "used");
        for (size_t i = 0; i < f->count; i++) {
            int64_t seconds;
            if (moment_of(all, f->keys[i].id, &seconds))
                used[i] = seconds;
        }
        json_decref(root);
    }
    buf_free(&text);
}

int keyfile_used_text(const struct keyfile *f, const int64_t *used, struct buf *out)
{
    bool more = false;
    int code = buf_addf(out, "{\"version\": %d, \"used\": {", VERSION);
    for (size_t i = 0; code == ERR_OK && i < f->count; i++) {
        char text[MOMENT_MAX];
        if (used[i] == 0)
            continue;
        moment_text(used[i], text);
        code = buf_addf(out, "%s\n  \"%s\": \"%s\"", more ? "," : "", f->keys[i].id, text);
        more = true;
    }
    return code == ERR_OK ? buf_adds(out, "\n}}\n") : code;
}

int keyfile_used_write(const char *data_dir, struct slice text)
{
    return keyfile_replace(data_dir, "keys.used", text, false, NULL);
}
