/* Requests and waits of an intake loop that only the main loop can answer: they go there by mailbox, and what it says
 * comes back by mailbox and is answered on the request's own thread.
 *
 * Whatever is sent stays the sender's: a request stays valid until http_respond, and until then its members do not
 * change, so the main loop may read them. */
#ifndef HG_API_BOUNCE_H
#define HG_API_BOUNCE_H

#include "api/api.h"
#include "api/intake.h"
#include "api/mailbox.h"

/* From one intake loop to the main loop and back. */
struct bounce_way {
    struct mailbox *home, *main;
    struct api *api;
};

/* For intake_options.other and .wait; `way` is a struct bounce_way. The intake loop's thread. */
int bounce_head(void *way, struct http_request *r);
void bounce_request(void *way, struct http_request *r);
void bounce_wait(void *way, struct intake_wait *wish);

/* The answer, on the main loop, once for each request; `bounce` is its `route`. Copies what it needs. */
void bounce_answer(void *bounce, const struct http_answer *answer);
void bounce_problem(void *bounce, const struct http_problem *problem);

#endif
