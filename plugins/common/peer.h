/* A connection to one server: TCP or a unix socket, with TLS when asked. For protocols whose library brings none.
 *
 * Every call has a deadline and returns early when the host stops (what was begun is left a short while). One thread.
 * A connection that failed once is of no more use: close it and open another. */
#ifndef COMMON_PEER_H
#define COMMON_PEER_H

#include "headgate.h"

#include <stddef.h>
#include <stdint.h>

/* Texts may be NULL, and must live as long as the connection. */
struct peer_settings {
    const char *host; /* or: */
    const char *socket;
    int64_t port;
    int tls;                     /* from the first byte on */
    const char *ca, *cert, *key; /* files in PEM; no ca: the system's */
    int verify;                  /* 0: takes any certificate */
};

struct peer;

/* NULL with a sentence in `why`; `*broken` is 1 when only another setting can help. `deadline` as of peer_clock(). */
struct peer *peer_open(const struct peer_settings *settings, struct hg_host *host, const struct hg_api *api,
                       int64_t deadline, char *why, size_t why_size, int *broken);
void peer_close(struct peer **p);

/* All of it: 0, or -1. */
int peer_send(struct peer *p, const void *ptr, size_t len, int64_t deadline);
/* At least one byte, or -1: the far end closed, or the deadline passed. */
long peer_receive(struct peer *p, void *out, size_t size, int64_t deadline);
const char *peer_error(const struct peer *p); /* why the last one failed */

int64_t peer_clock(void); /* milliseconds of the monotonic clock */

#endif
