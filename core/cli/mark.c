/* `headgate mark delivered|pending` and `purge`: what an operator says of one row set at one pusher. */
#include "cli/cli.h"

#include "cli/say.h"
#include "cli/session.h"

/* The words for what was done, and would be done. */
struct mark {
    const char *verb, *path;
    const char *did, *would;
};

static int mark_path(struct session *s, const struct mark *m, const char *pusher)
{
    int exit = session_path(s, "/v1/batches/", s->args.rest[0], "/pushers/");
    int code = exit == EXIT_DONE ? call_encode(&s->path, pusher) : ERR_OK;
    if (code == ERR_OK)
        code = buf_addf(&s->path, "/%s%s", m->path, args_has(&s->args, OPT_DRY_RUN) ? "?dry-run=yes" : "");
    return code == ERR_OK ? exit : say_error(EXIT_USAGE, "%s: the pusher's name is too long", m->verb);
}

static void mark_report(const struct session *s, const struct mark *m, const json_t *answer)
{
    printf("%s at %s: %lld of %lld rows %s\n", s->args.rest[0], js_text(answer, "pusher"), js_integer(answer, "marked"),
           js_integer(answer, "rows"), args_has(&s->args, OPT_DRY_RUN) ? m->would : m->did);
}

static int mark(const struct mark *m, int argc, char **argv)
{
    struct session s;
    json_t *answer = NULL;
    int exit = session_open(&s, m->verb, argc, argv, 1, 1);
    const char *pusher = exit == EXIT_DONE ? args_value(&s.args, OPT_AT_PUSHER, NULL) : NULL;
    if (exit == EXIT_DONE && pusher == NULL)
        exit = say_error(EXIT_USAGE, "%s: --pusher says at which pusher", m->verb);
    if (exit == EXIT_DONE)
        exit = mark_path(&s, m, pusher);
    if (exit == EXIT_DONE)
        exit = session_json(&s, "POST", NULL, &answer);
    if (exit == EXIT_DONE && args_has(&s.args, OPT_JSON))
        remote_print(&s.remote);
    else if (exit == EXIT_DONE)
        mark_report(&s, m, answer);
    json_decref(answer);
    session_close(&s);
    return exit;
}

int verb_mark_delivered(int argc, char **argv)
{
    static const struct mark m = {"mark delivered", "mark-delivered",
                                  "marked as delivered; it is not given them any more",
                                  "would be marked as delivered; nothing was changed"};
    return mark(&m, argc, argv);
}

int verb_mark_pending(int argc, char **argv)
{
    static const struct mark m = {"mark pending", "mark-pending", "marked as pending; they are sent again",
                                  "would be sent again; nothing was changed"};
    return mark(&m, argc, argv);
}

int verb_purge(int argc, char **argv)
{
    static const struct mark m = {"purge", "purge", "given up for good", "would be given up; nothing was changed"};
    return mark(&m, argc, argv);
}
