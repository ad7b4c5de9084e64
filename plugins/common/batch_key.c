/* Ids are digested with a line feed behind each, so that no two lists give the same text. */
#include "common/batch_key.h"

#include <stdio.h>
#include <string.h>

void batch_key_start(struct batch_key *k)
{
    *k = (struct batch_key){.md = EVP_MD_CTX_new()};
    k->failed = !k->md || !EVP_DigestInit_ex(k->md, EVP_sha256(), NULL);
}

void batch_key_add(struct batch_key *k, const struct hg_api *api, const struct hg_row *row)
{
    api->row_id(row, k->last);
    if (k->count++ == 0)
        memcpy(k->first, k->last, sizeof(k->first));
    if (!k->failed)
        k->failed = !EVP_DigestUpdate(k->md, k->last, strlen(k->last)) || !EVP_DigestUpdate(k->md, "\n", 1);
}

int batch_key_digest(struct batch_key *k, char out[BATCH_DIGEST_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
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
