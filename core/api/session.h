/* The page's session: what stands in the cookie of a request, and in the token of a change. Admin listener; loop
 * thread. */
#ifndef HG_API_SESSION_H
#define HG_API_SESSION_H

#include "access/sessions.h"
#include "api/api.h"

/* The request's session, on the admin listener where keys are let in; a token of its own goes before. Fills r->caller.
 */
bool api_session(struct api *api, struct http_request *r, struct session *out);
/* A change made with the cookie must bring the session's token too: a page of another site can send the cookie, at the
 * worst, but cannot read the token. False: `why` says so. */
bool api_session_guarded(const struct http_request *r, const struct session *session, struct access_denial *why);
/* Nobody has signed in yet: so no more than a key is read from them. True: it was answered. */
bool api_session_refused(struct http_request *r);

#endif
