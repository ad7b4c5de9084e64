/* Drawing keys and comparing them. What is compared is digests, all bytes of them, so neither the time nor the content
 * of a wrong key tells anything about a right one. */
#include "access/key.h"

#include "base/sys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { SECRET_BYTES = 33 }; /* 52 digits of 5 bits: 260 bits, the last four of the last byte are not used */

static const char prefix[] = "hg_";
static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

static void digits_of(const unsigned char *bytes, size_t count, char *out)
{
    for (size_t i = 0; i < count; i++) {
        size_t bit = i * 5;
        unsigned pair = (unsigned)bytes[bit / 8] << 8;
        if (bit % 8 > 3)
            pair |= bytes[bit / 8 + 1];
        out[i] = digits[pair >> (11 - bit % 8) & 31];
    }
}

static bool sum_of(struct slice text, unsigned char sum[KEY_SUM])
{
    return EVP_Digest(text.ptr, text.len, sum, NULL, EVP_sha256(), NULL) == 1;
}

int key_draw(struct key *k, char text[KEY_TEXT + 1])
{
    unsigned char id[8], secret[SECRET_BYTES];
    if (sys->random(id, sizeof id) != (ssize_t)sizeof id ||
        sys->random(secret, sizeof secret) != (ssize_t)sizeof secret)
        return ERR_IO;
    digits_of(id, KEY_ID, k->id);
    k->id[KEY_ID] = '\0';
    memcpy(text, prefix, 3);
    memcpy(text + 3, k->id, KEY_ID);
    text[3 + KEY_ID] = '_';
    digits_of(secret, KEY_SECRET, text + 3 + KEY_ID + 1);
    text[KEY_TEXT] = '\0';
    OPENSSL_cleanse(secret, sizeof secret);
    return sum_of(slice_make(text, KEY_TEXT), k->sum) ? ERR_OK : ERR_NOMEM;
}

static bool all_digits(const char *at, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (at[i] == '\0' || strchr(digits, at[i]) == NULL)
            return false;
    return true;
}

bool key_id_valid(struct slice id)
{
    return id.len == KEY_ID && all_digits(id.ptr, id.len);
}

bool key_shaped(struct slice text, char id[KEY_ID + 1])
{
    if (text.len != KEY_TEXT || memcmp(text.ptr, prefix, 3) != 0 || text.ptr[3 + KEY_ID] != '_' ||
        !all_digits(text.ptr + 3, KEY_ID) || !all_digits(text.ptr + 3 + KEY_ID + 1, KEY_SECRET))
        return false;
    memcpy(id, text.ptr + 3, KEY_ID);
    id[KEY_ID] = '\0';
    return true;
}

bool key_name_valid(struct slice name)
{
    if (name.len > KEY_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7F)
            return false;
    return true;
}

bool key_is(const struct key *k, struct slice text)
{
    unsigned char sum[KEY_SUM];
    return sum_of(text, sum) && CRYPTO_memcmp(sum, k->sum, KEY_SUM) == 0;
}
