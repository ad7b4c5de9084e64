/* The table of keys in a daemon, shared by all its loops under a lock for many readers.
 *
 * A key is found by the id that stands in it, and compared by digest; where there is no such id a digest is compared
 * all the same. Using a key only stores a number in memory; somebody else writes that down now and then. Whether the
 * file has changed is asked with stat(): `headgate key` needs no daemon that answers, and a daemon no signal. */
#include "access/keys.h"

#include "base/stamp.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct keys {
    char data_dir[PATH_MAX], path[PATH_MAX + 8];
    struct stamp stamp;
    pthread_rwlock_t lock; /* of the two below */
    struct keyfile file;
    _Atomic int64_t *used; /* of file.keys */
    atomic_bool dirty;
};

/* What is in memory is newer than what was written down. */
static int64_t used_before(struct keys *k, const struct key *key)
{
    const struct key *old = keyfile_find(&k->file, key->id);
    return old == NULL ? 0 : atomic_load(&k->used[old - k->file.keys]);
}

static int read_again(struct keys *k, struct err *e)
{
    struct keyfile fresh;
    int code = keyfile_read(k->data_dir, &fresh, e);
    if (code != ERR_OK)
        return code;
    int64_t *written = calloc(fresh.count + 1, sizeof *written);
    _Atomic int64_t *used = calloc(fresh.count + 1, sizeof *used);
    if (written == NULL || used == NULL) {
        free(written);
        free(used);
        keyfile_fini(&fresh);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    keyfile_used_read(k->data_dir, &fresh, written);
    pthread_rwlock_wrlock(&k->lock);
    for (size_t i = 0; i < fresh.count; i++) {
        int64_t known = used_before(k, &fresh.keys[i]);
        atomic_init(&used[i], known > written[i] ? known : written[i]);
    }
    keyfile_fini(&k->file);
    free(k->used);
    k->file = fresh;
    k->used = used;
    pthread_rwlock_unlock(&k->lock);
    free(written);
    return ERR_OK;
}

int keys_open(struct keys **out, const char *data_dir, struct err *e)
{
    struct keys *k = calloc(1, sizeof *k);
    if (k == NULL || pthread_rwlock_init(&k->lock, NULL) != 0) {
        free(k);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    snprintf(k->data_dir, sizeof k->data_dir, "%s", data_dir);
    snprintf(k->path, sizeof k->path, "%s/keys", data_dir);
    stamp_take(k->path, &k->stamp); /* before it is read: what changes meanwhile is seen at the next look */
    int code = read_again(k, e);
    if (code == ERR_OK)
        *out = k;
    else
        keys_close(&k);
    return code;
}

void keys_close(struct keys **k)
{
    if (*k == NULL)
        return;
    keyfile_fini(&(*k)->file);
    free((*k)->used);
    pthread_rwlock_destroy(&(*k)->lock);
    free(*k);
    *k = NULL;
}

size_t keys_count(const struct keys *k)
{
    return k->file.count;
}

int keys_look(struct keys *k, bool *changed, struct err *e)
{
    struct stamp now;
    *changed = false;
    if (stamp_take(k->path, &now) != 0 || stamp_same(&now, &k->stamp))
        return ERR_OK;
    k->stamp = now;
    int code = read_again(k, e);
    *changed = code == ERR_OK;
    return code;
}

static enum key_result judge(struct keys *k, const char *id, struct slice text, int64_t now_s, struct key *out)
{
    static const struct key nobody;
    const struct key *found = keyfile_find(&k->file, id);
    if (!key_is(found == NULL ? &nobody : found, text) || found == NULL)
        return KEY_UNKNOWN;
    if (found->expires_s != 0 && found->expires_s <= now_s)
        return KEY_EXPIRED;
    atomic_store_explicit(&k->used[found - k->file.keys], now_s, memory_order_relaxed);
    atomic_store_explicit(&k->dirty, true, memory_order_relaxed);
    *out = *found;
    return KEY_GOOD;
}

enum key_result keys_find(struct keys *k, struct slice text, int64_t now_s, struct key *out)
{
    char id[KEY_ID + 1];
    if (!key_shaped(text, id))
        return KEY_UNKNOWN;
    pthread_rwlock_rdlock(&k->lock);
    enum key_result result = judge(k, id, text, now_s, out);
    pthread_rwlock_unlock(&k->lock);
    return result;
}

enum key_result keys_again(struct keys *k, const struct key *was, int64_t now_s, struct key *out)
{
    enum key_result result = KEY_UNKNOWN;
    pthread_rwlock_rdlock(&k->lock);
    const struct key *found = keyfile_find(&k->file, was->id);
    if (found != NULL && memcmp(found->sum, was->sum, KEY_SUM) == 0) {
        bool over = found->expires_s != 0 && found->expires_s <= now_s;
        result = over ? KEY_EXPIRED : KEY_GOOD;
        *out = *found;
    }
    pthread_rwlock_unlock(&k->lock);
    return result;
}

static int print_moment(struct buf *out, const char *name, int64_t seconds)
{
    char text[MOMENT_MAX];
    if (seconds == 0)
        return buf_addf(out, ",\"%s\":null", name);
    moment_text(seconds, text);
    return buf_addf(out, ",\"%s\":\"%s\"", name, text);
}

static int print_roles(struct buf *out, unsigned roles)
{
    bool more = false;
    int code = buf_adds(out, ",\"roles\":[");
    for (int i = 0; code == ERR_OK && i < ROLE_COUNT; i++) {
        if ((roles & 1u << i) == 0)
            continue;
        code = buf_addf(out, "%s\"%s\"", more ? "," : "", role_word((enum role_number)i));
        more = true;
    }
    return code == ERR_OK ? buf_addc(out, ']') : code;
}

static int print_key(struct buf *out, const struct key *key, int64_t used)
{
    int code = buf_addf(out, "{\"id\":\"%s\",\"name\":", key->id);
    if (code == ERR_OK)
        code = buf_add_json(out, slice_of(key->name));
    if (code == ERR_OK)
        code = print_roles(out, key->roles);
    if (code == ERR_OK)
        code = buf_adds(out, ",\"client\":");
    if (code == ERR_OK)
        code = buf_add_json(out, slice_of(key->client));
    if (code == ERR_OK)
        code = print_moment(out, "created", key->created_s);
    if (code == ERR_OK)
        code = print_moment(out, "expires", key->expires_s);
    if (code == ERR_OK)
        code = print_moment(out, "used", used);
    return code == ERR_OK ? buf_addc(out, '}') : code;
}

int keys_print(struct keys *k, struct buf *out)
{
    int code = buf_adds(out, "{\"keys\":[");
    pthread_rwlock_rdlock(&k->lock);
    for (size_t i = 0; code == ERR_OK && i < k->file.count; i++) {
        code = i == 0 ? ERR_OK : buf_addc(out, ',');
        if (code == ERR_OK)
            code = print_key(out, &k->file.keys[i], atomic_load(&k->used[i]));
    }
    pthread_rwlock_unlock(&k->lock);
    return code == ERR_OK ? buf_adds(out, "]}") : code;
}

int keys_used_take(struct keys *k, struct buf *out, bool *any)
{
    *any = atomic_exchange(&k->dirty, false);
    if (!*any)
        return ERR_OK;
    int64_t *used = calloc(k->file.count + 1, sizeof *used);
    if (used == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < k->file.count; i++)
        used[i] = atomic_load(&k->used[i]);
    int code = keyfile_used_text(&k->file, used, out);
    free(used);
    return code;
}

int keys_used_write(const struct keys *k, struct slice text)
{
    return keyfile_used_write(k->data_dir, text);
}
