/* Messages of the control channel out of an input: u16 length, a byte of flags, bytes. With GOOD_HEAD the head is one
 * that gets past the first look. What is behind a message may not be looked at: it lies in a larger buffer, which hides
 * that from the sanitizer unless it is told. Included by one file of a program. */
#ifndef FUZZ_WIRE_MESSAGES_H
#define FUZZ_WIRE_MESSAGES_H

#include "host/wire.h"
#include "journal/bytes.h"

#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

enum { WORKERS = 3, MESSAGES = 64, GOOD_HEAD = 128 };

struct input {
    const uint8_t *at;
    size_t left;
};

/* Of a buffer of `room` bytes the first `len` may be used. */
static inline void only_first(char *at, size_t len, size_t room)
{
    ASAN_UNPOISON_MEMORY_REGION(at, room);
    ASAN_POISON_MEMORY_REGION(at + len, room - len);
}

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
    only_first(out, WIRE_MAX, WIRE_MAX);
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
    only_first(out, len, WIRE_MAX);
    return len;
}

#endif
