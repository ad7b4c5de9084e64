/* Messages of the control channel out of an input: u16 length, a byte of flags, bytes. With GOOD_HEAD the head is one
 * that gets past the first look. Included by one file of a program. */
#ifndef FUZZ_WIRE_MESSAGES_H
#define FUZZ_WIRE_MESSAGES_H

#include "host/wire.h"
#include "journal/bytes.h"

#include <string.h>

enum { WORKERS = 3, MESSAGES = 64, GOOD_HEAD = 128 };

struct input {
    const uint8_t *at;
    size_t left;
};

/* The next message in `out`, which is WIRE_MAX large; 0: no more. */
static size_t message_next(struct input *in, char *out, uint8_t *flags)
{
    if (in->left < 3)
        return 0;
    size_t len = get_u16(in->at);
    *flags = in->at[2];
    in->at += 3;
    in->left -= 3;
    len = len < in->left ? len : in->left;
    len = len < WIRE_MAX ? len : WIRE_MAX;
    memset(out, 0, sizeof(struct wire_head));
    memcpy(out, in->at, len);
    in->at += len;
    in->left -= len;
    struct wire_head *head = (void *)out;
    if ((*flags & GOOD_HEAD) != 0) {
        head->magic = WIRE_MAGIC;
        head->type &= 63;
        head->lane %= WORKERS;
        len = len < sizeof *head ? sizeof *head : len;
    }
    return len;
}

#endif
