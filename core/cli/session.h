/* What every client verb does first and last: options, arguments, the daemon. Main thread. */
#ifndef HG_CLI_SESSION_H
#define HG_CLI_SESSION_H

#include "cli/remote.h"

struct session {
    struct args args;
    struct remote remote;
    struct buf path; /* of the request being made */
};

/* Parses, checks that there are `least` to `most` arguments (`most` < 0: any number), opens the daemon's client. The
 * exit code; session_close in every case. */
int session_open(struct session *s, const char *words, int argc, char **argv, int least, int most) MUST_CHECK;
void session_close(struct session *s);

/* Begin a path: `fixed`, then `name` encoded (NULL: none), then `tail`. */
int session_path(struct session *s, const char *fixed, const char *name, const char *tail) MUST_CHECK;
/* Add a query parameter with the option's value, when it was given. */
int session_query(struct session *s, const char *name, enum option_id option) MUST_CHECK;
/* The same for a moment, turned into RFC 3339. */
int session_query_when(struct session *s, const char *name, enum option_id option) MUST_CHECK;
/* One exchange with the path that was built; the answer's JSON in `*out`. */
int session_json(struct session *s, const char *method, const char *body, json_t **out) MUST_CHECK;
/* The exchange of a listing verb: with --json the body is printed and `*out` stays NULL. */
int session_list(struct session *s, json_t **out) MUST_CHECK;

#endif
