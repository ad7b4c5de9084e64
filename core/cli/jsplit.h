/* Cuts JSON text into the objects it is made of, byte for byte, without building anything: an array of objects, or
 * objects one after the other. Only the structure is checked (brackets match, strings end); the gateway judges the
 * rest. What comes out is exactly one balanced object, so it can be put into a larger document without reaching out of
 * its place. Fed in pieces of any size; memory is bounded by JSPLIT_VALUE_MAX. Pure, one thread. */
#ifndef HG_CLI_JSPLIT_H
#define HG_CLI_JSPLIT_H

#include "base/buf.h"

#include <stdint.h>

enum { JSPLIT_VALUE_MAX = 64 << 20, JSPLIT_DEPTH_MAX = 1024 };

enum jsplit_state {
    JSPLIT_BEGIN,  /* nothing but blanks so far */
    JSPLIT_BEFORE, /* a value must come (behind a comma) */
    JSPLIT_FIRST,  /* a value or the end of the array (behind `[`) */
    JSPLIT_INSIDE, /* in a value */
    JSPLIT_AFTER,  /* behind a value */
    JSPLIT_ENDED,  /* behind the array */
};

struct jsplit {
    enum jsplit_state state;
    bool array;    /* the text is an array */
    bool complete; /* a value was handed out */
    bool string, escape;
    uint32_t depth;
    uint8_t braces[JSPLIT_DEPTH_MAX / 8]; /* one bit for each level: an object, not an array */
    struct buf value;
    uint64_t line, began; /* being read; of the value's first byte; from 1 */
};

enum jsplit_result {
    JSPLIT_MORE,  /* all bytes were used */
    JSPLIT_VALUE, /* `value` and `began` are valid until the next call */
    JSPLIT_FAULT, /* `e` says what and on which line */
};

void jsplit_init(struct jsplit *s);
void jsplit_fini(struct jsplit *s);
enum jsplit_result jsplit_feed(struct jsplit *s, const char *bytes, size_t len, size_t *used, struct err *e);
/* The input has ended: 0, or ERR_SYNTAX when a value or the array has not. */
int jsplit_finish(struct jsplit *s, struct err *e) MUST_CHECK;

#endif
