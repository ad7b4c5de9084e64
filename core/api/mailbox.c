/* Mailboxes: a list behind a lock, and an async handle that wakes the loop. Sending is rare (a route of operation on an
 * intake thread, a wait for a receipt), so a lock is as good as anything.
 *
 * The loop is woken while the lock is held: a mail that has been run has been sent completely, so whoever answers the
 * last one may close the box at once. */
#include "api/mailbox.h"

static void deliver(struct mailbox *box)
{
    uv_mutex_lock(&box->lock);
    struct mail *mail = box->first;
    box->first = NULL;
    box->last = &box->first;
    uv_mutex_unlock(&box->lock);
    while (mail != NULL) {
        struct mail *next = mail->next;
        mail->run(mail);
        mail = next;
    }
}

static void woken(uv_async_t *async)
{
    deliver(async->data);
}

int mailbox_init(struct mailbox *box, uv_loop_t *loop)
{
    if (uv_mutex_init(&box->lock) != 0)
        return ERR_NOMEM;
    if (uv_async_init(loop, &box->async, woken) != 0) {
        uv_mutex_destroy(&box->lock);
        return ERR_LIMIT;
    }
    box->first = NULL;
    box->last = &box->first;
    box->async.data = box;
    return ERR_OK;
}

void mailbox_send(struct mailbox *box, struct mail *mail)
{
    mail->next = NULL;
    uv_mutex_lock(&box->lock);
    *box->last = mail;
    box->last = &mail->next;
    (void)uv_async_send(&box->async);
    uv_mutex_unlock(&box->lock);
}

static void on_closed(uv_handle_t *handle)
{
    struct mailbox *box = handle->data;
    uv_mutex_destroy(&box->lock);
    if (box->closed != NULL)
        box->closed(box->closed_arg);
}

void mailbox_close(struct mailbox *box, void (*closed)(void *arg), void *arg)
{
    deliver(box);
    box->closed = closed;
    box->closed_arg = arg;
    uv_close((uv_handle_t *)&box->async, on_closed);
}
