/* Work for another loop: a function and its argument are put into a mailbox from any thread and run on its loop's. */
#ifndef HG_API_MAILBOX_H
#define HG_API_MAILBOX_H

#include "base/err.h"

#include <uv.h>

struct mail { /* the sender's memory until `run` is called, then whose `run` says */
    struct mail *next;
    void (*run)(struct mail *mail);
};

struct mailbox {
    uv_async_t async;
    uv_mutex_t lock;
    struct mail *first, **last;
    void (*closed)(void *arg);
    void *closed_arg;
};

int mailbox_init(struct mailbox *box, uv_loop_t *loop) MUST_CHECK;
void mailbox_send(struct mailbox *box, struct mail *mail); /* any thread */
/* The loop's thread; what was sent is run first, and nothing may be sent afterwards. The memory may go when `closed`
 * (may be NULL) is called, or the loop has ended. */
void mailbox_close(struct mailbox *box, void (*closed)(void *arg), void *arg);

#endif
