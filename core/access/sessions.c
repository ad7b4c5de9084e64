/* A table of a few hundred places, looked through from end to end. Of an id only its digest is kept, and that is what
 * is compared: neither a look into memory nor the time of an answer gives one away. */
#include "access/sessions.h"

#include "base/id.h"
#include "base/sys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct place {
    bool taken;
    unsigned char sum[KEY_SUM]; /* SHA-256 of the id */
    int64_t began_ms, used_ms;
    struct session session;
};

struct sessions {
    struct place places[SESSIONS_MAX];
};

struct sessions *sessions_new(void)
{
    return calloc(1, sizeof(struct sessions));
}

void sessions_free(struct sessions **s)
{
    if (*s != NULL)
        OPENSSL_cleanse(*s, sizeof **s);
    free(*s);
    *s = NULL;
}

static bool sum_of(struct slice text, unsigned char out[KEY_SUM])
{
    unsigned len = KEY_SUM;
    return EVP_Digest(text.ptr, text.len, out, &len, EVP_sha256(), NULL) == 1;
}

static void place_free(struct place *p)
{
    OPENSSL_cleanse(p, sizeof *p);
}

static bool over(const struct place *p, int64_t now_ms)
{
    return now_ms - p->used_ms >= SESSION_IDLE_MS || now_ms - p->began_ms >= SESSION_LONGEST_MS;
}

/* Ends those whose time is over on the way. */
static struct place *find(struct sessions *s, const unsigned char sum[KEY_SUM], int64_t now_ms)
{
    struct place *found = NULL;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct place *p = &s->places[i];
        if (p->taken && over(p, now_ms))
            place_free(p);
        if (p->taken && CRYPTO_memcmp(p->sum, sum, KEY_SUM) == 0)
            found = p;
    }
    return found;
}

static int draw(char out[SESSION_DIGITS + 1])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char random[SESSION_DIGITS];
    if (sys->random(random, sizeof random) != (ssize_t)sizeof random)
        return ERR_IO;
    for (size_t i = 0; i < SESSION_DIGITS; i++)
        out[i] = digits[random[i] % 32];
    out[SESSION_DIGITS] = '\0';
    OPENSSL_cleanse(random, sizeof random);
    return ERR_OK;
}

/* A free place; else the one that was silent longest, of the same key where that one has many: who signs in over and
 * over ends their own sessions, not those of others. */
static struct place *room(struct sessions *s, const struct key *key)
{
    struct place *empty = NULL, *oldest = NULL, *own = NULL;
    size_t of_key = 0;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct place *p = &s->places[i];
        if (!p->taken) {
            empty = p;
            continue;
        }
        if (oldest == NULL || p->used_ms < oldest->used_ms)
            oldest = p;
        if (strcmp(p->session.key.id, key->id) != 0)
            continue;
        of_key++;
        if (own == NULL || p->used_ms < own->used_ms)
            own = p;
    }
    if (of_key >= SESSIONS_OF_KEY)
        return own;
    return empty != NULL ? empty : oldest;
}

int sessions_begin(struct sessions *s, const struct key *key, int64_t now_ms, char id[SESSION_DIGITS + 1],
                   struct session *out)
{
    struct place fresh = {.taken = true, .began_ms = now_ms, .used_ms = now_ms, .session = {.key = *key}};
    (void)sessions_count(s, now_ms);
    int code = draw(id);
    if (code == ERR_OK)
        code = draw(fresh.session.token);
    if (code == ERR_OK && !sum_of(slice_make(id, SESSION_DIGITS), fresh.sum))
        code = ERR_NOMEM;
    if (code != ERR_OK)
        return code;
    *room(s, key) = fresh;
    *out = fresh.session;
    return ERR_OK;
}

bool sessions_find(struct sessions *s, struct slice id, int64_t now_ms, struct session *out)
{
    unsigned char sum[KEY_SUM];
    struct place *p = id.len == SESSION_DIGITS && sum_of(id, sum) ? find(s, sum, now_ms) : NULL;
    if (p == NULL)
        return false;
    p->used_ms = now_ms;
    *out = p->session;
    return true;
}

void sessions_end(struct sessions *s, struct slice id)
{
    unsigned char sum[KEY_SUM];
    struct place *p = id.len == SESSION_DIGITS && sum_of(id, sum) ? find(s, sum, INT64_MIN / 2) : NULL;
    if (p != NULL)
        place_free(p);
}

uint32_t sessions_count(struct sessions *s, int64_t now_ms)
{
    uint32_t count = 0;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (s->places[i].taken && over(&s->places[i], now_ms))
            place_free(&s->places[i]);
        count += s->places[i].taken;
    }
    return count;
}
