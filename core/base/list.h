/* An intrusive doubly linked list: the link lives in the object, the head is a link that points at itself.
 * A link that is in no list points at itself too, so removing twice does no harm. */
#ifndef HG_BASE_LIST_H
#define HG_BASE_LIST_H

#include "base/check.h"

#include <stdbool.h>

struct link {
    struct link *next, *prev;
};

static inline void link_init(struct link *l)
{
    l->next = l->prev = l;
}

static inline bool link_alone(const struct link *l)
{
    return l->next == l;
}

static inline void link_remove(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    link_init(l);
}

static inline void list_push(struct link *head, struct link *l) /* at the end */
{
    CHECK(link_alone(l));
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

#define LIST_EACH(head, it) for (struct link *it = (head)->next; it != (head); it = it->next)
#define LIST_EACH_SAFE(head, it)                                                                                       \
    for (struct link *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

#endif
