/* A name for some rows, made from their ids alone: the same rows in the same order always have the same one. It holds
 * the first id, the last id, the number of rows, and the beginning of a SHA-256 over all ids. Needs -lcrypto. */
#ifndef COMMON_BATCH_KEY_H
#define COMMON_BATCH_KEY_H

#include "headgate.h"

#include <openssl/evp.h>

enum { BATCH_KEY_SIZE = 2 * HG_ROW_ID_SIZE + 64, BATCH_DIGEST_SIZE = 17, BATCH_KEY_PIECE = 4096 };

struct batch_key {
    EVP_MD_CTX *md;
    int failed;
    size_t count;
    char first[HG_ROW_ID_SIZE], last[HG_ROW_ID_SIZE];
    char piece[BATCH_KEY_PIECE]; /* not digested yet */
    size_t piece_len;
};

void batch_key_start(struct batch_key *k);
void batch_key_add(struct batch_key *k, const struct hg_api *api, const struct hg_row *row);

/* Frees what start took. "first.last.count.digest", only [0-9a-z.-]; or the digest alone. 0, or -1: no memory. */
int batch_key_end(struct batch_key *k, char out[BATCH_KEY_SIZE]);
int batch_key_digest(struct batch_key *k, char out[BATCH_DIGEST_SIZE]);

#endif
