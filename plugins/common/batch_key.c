/* Ids are digested with a line feed behind each, so that no two lists give the same text; many at a time, because a
 * call of the digest costs more than an id. */
#include "common/batch_key.h"

#include <stdio.h>
#include <string.h>

void batch_key_start(struct batch_key *k)
{
    k->md = EVP_MD_CTX_new();
    k->count = k->piece_len = 0;
    k->first[0] = k->last[0] = '\0';
    k->failed = !k->md || !EVP_DigestInit_ex(k->md, EVP_sha256(), NULL);
}

static void piece_digest(struct batch_key *k)
{
    if (!k->failed)
        k->failed = !EVP_DigestUpdate(k->md, k->piece, k->piece_len);
    k->piece_len = 0;
}

void batch_key_add(struct batch_key *k, const struct hg_api *api, const struct hg_row *row)
{
    api->row_id(row, k->last);
    if (k->count++ == 0)
        memcpy(k->first, k->last, sizeof(k->first));
    size_t len = strlen(k->last);
    if (k->piece_len + len + 1 > sizeof(k->piece))
        piece_digest(k);
    memcpy(k->piece + k->piece_len, k->last, len);
    k->piece[k->piece_len + len] = '\n';
    k->piece_len += len + 1;
}

int batch_key_digest(struct batch_key *k, char out[BATCH_DIGEST_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    piece_digest(k);
    int ok = !k->failed && EVP_DigestFinal_ex(k->md, digest, NULL);
    EVP_MD_CTX_free(k->md);
    k->md = NULL;
    for (size_t i = 0; ok && i < (BATCH_DIGEST_SIZE - 1) / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return ok ? 0 : -1;
}

int batch_key_end(struct batch_key *k, char out[BATCH_KEY_SIZE])
{
    char digest[BATCH_DIGEST_SIZE];
    if (batch_key_digest(k, digest) != 0)
        return -1;
    snprintf(out, BATCH_KEY_SIZE, "%s.%s.%zu.%s", k->first, k->last, k->count, digest);
    return 0;
}
