/* Where a daemon is: an address as people write it, made into what libcurl wants. Pure. */
#ifndef HG_CLI_TARGET_H
#define HG_CLI_TARGET_H

#include "base/err.h"

enum { TARGET_BASE_MAX = 300, TARGET_SOCKET_MAX = 108 };

struct target {
    char base[TARGET_BASE_MAX];     /* "http://127.0.0.1:8081", no slash at the end */
    char socket[TARGET_SOCKET_MAX]; /* path of a unix socket, or "" */
    char shown[TARGET_BASE_MAX];    /* as people wrote it */
};

/* `host:port`, `[v6]:port`, `:port`, `unix:/path`, `http://…`, `https://…`. A listener's wildcard (`0.0.0.0`, `[::]`,
 * `*`) becomes loopback. Of a list (separated by blanks or commas) the first counts. ERR_SYNTAX with a sentence. */
int remote_target_parse(const char *text, struct target *out, struct err *e) MUST_CHECK;

#endif
