/* `headgate pause|resume` and `plugin forget`: what an operator does to one pusher. */
#include "cli/cli.h"

#include "cli/say.h"
#include "cli/session.h"

static int pusher_one(struct session *s, const char *name, const char *action)
{
    json_t *answer = NULL;
    int exit = session_path(s, "/v1/pushers/", name, action);
    if (exit == EXIT_DONE)
        exit = session_json(s, "POST", NULL, &answer);
    if (exit == EXIT_DONE)
        printf("%s: %s\n", name, js_text(answer, "state"));
    json_decref(answer);
    return exit;
}

/* Every pusher is tried; the first failure is the exit code. */
static int pusher_each(const char *words, const char *action, int argc, char **argv)
{
    struct session s;
    int first = session_open(&s, words, argc, argv, 1, -1);
    if (first == EXIT_DONE)
        for (int i = 0; i < s.args.rest_count; i++) {
            int exit = pusher_one(&s, s.args.rest[i], action);
            if (first == EXIT_DONE)
                first = exit;
            if (exit == EXIT_UNREACHABLE)
                break;
        }
    session_close(&s);
    return first;
}

int verb_pause(int argc, char **argv)
{
    return pusher_each("pause", "/pause", argc, argv);
}

int verb_resume(int argc, char **argv)
{
    return pusher_each("resume", "/resume", argc, argv);
}

int verb_plugin_forget(int argc, char **argv)
{
    struct session s;
    json_t *answer = NULL;
    int exit = session_open(&s, "plugin forget", argc, argv, 1, 1);
    if (exit == EXIT_DONE)
        exit = session_path(&s, "/v1/pushers/", s.args.rest[0],
                            args_has(&s.args, OPT_DEAD_LETTER) ? "?dead-letter=yes" : "");
    if (exit == EXIT_DONE)
        exit = session_json(&s, "DELETE", NULL, &answer);
    if (exit == EXIT_DONE)
        printf("%s: forgotten; %lld rows let go, %lld kept as dead letters\n", s.args.rest[0],
               js_integer(answer, "forgotten_rows"), js_integer(answer, "dead_lettered"));
    json_decref(answer);
    session_close(&s);
    return exit;
}
