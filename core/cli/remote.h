/* A running daemon, asked over its admin API: finds the address, carries the token, says what went wrong in a sentence.
 *
 * Functions return the command's exit code; whatever is not EXIT_DONE has been said on standard error. Main thread. */
#ifndef HG_CLI_REMOTE_H
#define HG_CLI_REMOTE_H

#include "cli/args.h"
#include "cli/call.h"
#include "cli/js.h"

struct remote {
    struct call call;
    int64_t timeout_ms; /* of each exchange; may be changed */
};

/* --admin, else HEADGATE_ADMIN_LISTEN, else the settings file's admin.listen, else 127.0.0.1:8081. */
int remote_open(struct remote *r, const struct args *a) MUST_CHECK;
void remote_close(struct remote *r);

/* One exchange. EXIT_DONE for 2xx: the answer is in r->call.body. `body` NULL: none. */
int remote_ask(struct remote *r, const char *method, const char *path, const char *body) MUST_CHECK;
/* The same, and the answer parsed into `*out` (the caller json_decref()s). */
int remote_json(struct remote *r, const char *method, const char *path, const char *body, json_t **out) MUST_CHECK;
/* An answer that goes on (call_request.part): until the daemon or `part` ends it. EXIT_DONE when it ended. */
int remote_follow(struct remote *r, const char *path, bool (*part)(void *arg, struct slice bytes),
                  void *arg) MUST_CHECK;
/* The last answer's body on standard output, byte for byte, with one newline at its end. */
void remote_print(const struct remote *r);
/* Say what an answer that is not 2xx means; the exit code for it. */
int remote_problem(const struct call *c);

/* The first address of a listener setting ("admin.listen"), as the environment, the settings file or `otherwise` says.
 */
int remote_target(const char *setting, const char *variable, const char *otherwise, struct target *out,
                  struct err *e) MUST_CHECK;

/* An address of that setting, as these settings say it is reached: with https:// where its listener encrypts. */
struct settings;
int remote_reached(const struct settings *s, const char *setting, const char *address, struct target *out,
                   struct err *e) MUST_CHECK;

#endif
