/* The file of tls.client_roles in a daemon, shared by all its loops under a lock for many readers, and read again when
 * it has changed. */
#include "access/certs.h"

#include "base/stamp.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { CERTFILE_BYTES = 1 << 20 };

struct certs {
    char *path;
    struct stamp stamp;
    pthread_rwlock_t lock; /* of what follows */
    struct certfile file;
};

static int file_read(const char *path, struct buf *out, struct err *e)
{
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(e, errno, "tls.client_roles: read %s", path);
    int code = ERR_OK;
    ssize_t n = 1;
    while (code == ERR_OK && n > 0) {
        code = buf_reserve(out, 4096);
        n = code == ERR_OK ? sys->read(fd, out->ptr + out->len, 4096) : 0;
        if (n < 0)
            code = err_errno(e, errno, "tls.client_roles: read %s", path);
        out->len += n > 0 ? (size_t)n : 0;
    }
    sys->close(fd);
    return code == ERR_LIMIT ? err_set(e, code, "tls.client_roles: %s is larger than 1 MiB", path) : code;
}

static int read_again(struct certs *c, struct err *e)
{
    struct buf text;
    struct certfile fresh = {0};
    struct err inner = {0};
    buf_init(&text, CERTFILE_BYTES);
    int code = file_read(c->path, &text, e);
    if (code == ERR_OK) {
        code = certfile_parse(buf_slice(&text), &fresh, &inner);
        if (code != ERR_OK)
            err_set(e, code, "tls.client_roles: %s: %s", c->path, inner.text);
    }
    buf_free(&text);
    if (code != ERR_OK)
        return code;
    pthread_rwlock_wrlock(&c->lock);
    struct certfile old = c->file;
    c->file = fresh;
    pthread_rwlock_unlock(&c->lock);
    certfile_fini(&old);
    return ERR_OK;
}

int certs_open(struct certs **out, const char *path, struct err *e)
{
    struct certs *c = calloc(1, sizeof *c);
    if (c == NULL || pthread_rwlock_init(&c->lock, NULL) != 0) {
        free(c);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    c->path = strdup(path);
    int code = c->path == NULL ? err_set(e, ERR_NOMEM, "out of memory") : ERR_OK;
    if (code == ERR_OK) {
        stamp_take(path, &c->stamp); /* before it is read: what changes meanwhile is seen at the next look */
        code = read_again(c, e);
    }
    if (code == ERR_OK)
        *out = c;
    else
        certs_close(&c);
    return code;
}

void certs_close(struct certs **c)
{
    if (*c == NULL)
        return;
    certfile_fini(&(*c)->file);
    free((*c)->path);
    pthread_rwlock_destroy(&(*c)->lock);
    free(*c);
    *c = NULL;
}

int certs_look(struct certs *c, bool *changed, struct err *e)
{
    struct stamp now;
    *changed = false;
    if (stamp_take(c->path, &now) != 0 || stamp_same(&now, &c->stamp))
        return ERR_OK;
    c->stamp = now;
    int code = read_again(c, e);
    *changed = code == ERR_OK;
    return code;
}

bool certs_find(struct certs *c, const struct x509_st *certificate, unsigned *roles, char client[CLIENT_MAX + 1],
                char who[CERT_WHO_MAX + 1])
{
    static const char *const kinds[] = {
#define CERT_KIND(id, word) word,
        CERT_KINDS(CERT_KIND)
#undef CERT_KIND
    };
    pthread_rwlock_rdlock(&c->lock);
    const struct cert_rule *rule = certfile_find(&c->file, certificate);
    if (rule != NULL) {
        *roles = rule->roles;
        memcpy(client, rule->client, sizeof rule->client);
        snprintf(who, CERT_WHO_MAX + 1, "%s:%s", kinds[rule->kind], rule->value);
    }
    pthread_rwlock_unlock(&c->lock);
    return rule != NULL;
}
