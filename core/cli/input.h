/* A file that is read twice: once for its digest and its faults, once to be sent. What cannot be read twice (standard
 * input, a pipe) is spooled into an unnamed temporary file first. One thread. */
#ifndef HG_CLI_INPUT_H
#define HG_CLI_INPUT_H

#include "base/err.h"
#include "base/slice.h"

#include <openssl/evp.h>
#include <stdint.h>

enum { INPUT_DIGEST = 32, INPUT_CHUNK = 64 << 10 };

struct input {
    int fd;
    const char *name; /* borrowed; "standard input" */
    uint64_t size;    /* bytes when it was opened */
    uint64_t read;    /* bytes handed out since the last rewind */
    EVP_MD_CTX *hash; /* of what was handed out */
    char *chunk;
};

/* NULL or "-" is standard input. */
int input_open(struct input *in, const char *path, struct err *e) MUST_CHECK;
void input_close(struct input *in);
int input_rewind(struct input *in, struct err *e) MUST_CHECK;
/* The next piece, valid until the next call; length 0 at the end. */
int input_next(struct input *in, struct slice *out, struct err *e) MUST_CHECK;
/* SHA-256 of everything handed out since the last rewind; once a pass, at its end. */
int input_digest(struct input *in, unsigned char out[INPUT_DIGEST]) MUST_CHECK;

#endif
