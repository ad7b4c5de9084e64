/* A puller's host: orders become messages, messages become events. Loop thread. What emits rows stands in emission.c.
 */
#include "supervise/internal.h"

#include "base/log.h"
#include "base/sys.h"

static void order_start(void *arg, struct puller *p)
{
    (void)arg;
    launch_host(p->owner);
}

static void order_stop(void *arg, struct puller *p)
{
    (void)arg;
    runner_stop_host(p->owner);
}

static void order_kill(void *arg, struct puller *p, enum host_end why)
{
    (void)arg;
    runner_end_host(p->owner, why);
}

static void order_pull(void *arg, struct puller *p, uint64_t token)
{
    (void)arg;
    runner_send_simple(p->owner, WIRE_PULL, token);
}

static void tell_changed(void *arg, struct puller *p, const char *event, const char *text)
{
    (void)arg;
    bool bad = p->state == PUSHER_BROKEN || p->state == PUSHER_RETRYING || p->state == PUSHER_REFUSED;
    LOG(bad ? LOG_WARN : LOG_INFO, event, text, LOG_S("puller", p->name), LOG_S("state", pusher_state_word(p->state)));
}

void pullhost_ops(struct puller_ops *ops, struct supervisor *s)
{
    *ops = (struct puller_ops){.start = order_start,
                               .stop = order_stop,
                               .kill = order_kill,
                               .pull = order_pull,
                               .changed = tell_changed,
                               .arg = s};
}

static int told_pulled(struct runner *r, const struct wire_pulled *m, size_t len)
{
    if (m->reason != len - sizeof *m)
        return ERR_SYNTAX;
    const struct slice reason = slice_make(m + 1, m->reason);
    return puller_pulled(r->puller, m->head.token, m->result, reason, clock_ms(), clock_wall_us());
}

int pullhost_message(struct runner *r, const struct wire_head *head, size_t len)
{
    switch (head->type) {
    case WIRE_EMIT: return emission_piece(r, (const void *)head, len);
    case WIRE_PULLED: return told_pulled(r, (const void *)head, len);
    default: return ERR_SYNTAX;
    }
}

void pullhost_ended(struct runner *r, enum host_end end, const char *text)
{
    emission_host_down(r);
    puller_host_down(r->puller, end, text, clock_ms());
}
