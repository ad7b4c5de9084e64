/* `headgate dead retry|drop`: by id, one by one, or all that match the filters in one request. Without ids and without
 * a filter nothing happens unless --all says so. */
#include "cli/dead.h"

#include "cli/say.h"

struct bulk {
    const char *words, *action; /* "dead retry", "retry" */
    const char *member, *done;  /* of the answer; in words */
};

static const struct bulk bulk_retry = {"dead retry", "retry", "retried", "sent again"};
static const struct bulk bulk_drop = {"dead drop", "drop", "dropped", "given up"};

static int bulk_one(struct session *s, const struct bulk *b, const char *id)
{
    bool dry = args_has(&s->args, OPT_DRY_RUN), retry = b == &bulk_retry;
    int exit = session_path(s, "/v1/dead-letters/", id, retry && !dry ? "/retry" : "");
    if (exit == EXIT_DONE)
        exit = remote_ask(&s->remote, dry ? "GET" : retry ? "POST" : "DELETE", buf_str(&s->path), NULL);
    if (exit == EXIT_DONE)
        printf("%s: %s%s\n", id, dry ? "would be " : "", b->done);
    return exit;
}

/* Every id is tried; the first failure is the exit code. */
static int bulk_ids(struct session *s, const struct bulk *b)
{
    int first = EXIT_DONE;
    for (int i = 0; i < s->args.rest_count; i++) {
        int exit = bulk_one(s, b, s->args.rest[i]);
        if (first == EXIT_DONE)
            first = exit;
        if (exit == EXIT_UNREACHABLE)
            break;
    }
    return first;
}

/* One request: the daemon looks at so many of them only, and says where to go on. */
static int bulk_request(struct session *s, const struct bulk *b, const char *after, json_t **answer)
{
    int exit = dead_path(s, b == &bulk_retry ? "/v1/dead-letters/retry" : "/v1/dead-letters/drop");
    if (exit == EXIT_DONE &&
        (call_query(&s->path, "all", args_has(&s->args, OPT_ALL) ? "yes" : NULL) != ERR_OK ||
         call_query(&s->path, "dry-run", args_has(&s->args, OPT_DRY_RUN) ? "yes" : NULL) != ERR_OK ||
         call_query(&s->path, "after", after) != ERR_OK))
        exit = say_error(EXIT_USAGE, "the filters are too long");
    return exit == EXIT_DONE ? session_json(s, "POST", NULL, answer) : exit;
}

static int bulk_filtered(struct session *s, const struct bulk *b)
{
    json_t *answer = NULL, *last = NULL;
    long long matched = 0, done = 0;
    const char *after = NULL;
    int exit;
    do {
        exit = bulk_request(s, b, after, &answer);
        json_decref(last);
        last = answer; /* `after` is borrowed from it */
        answer = NULL;
        matched += exit == EXIT_DONE ? js_integer(last, "matched") : 0;
        done += exit == EXIT_DONE ? js_integer(last, b->member) : 0;
        after = js_text(last, "next");
    } while (exit == EXIT_DONE && after[0] != '\0');
    if (exit == EXIT_DONE && args_has(&s->args, OPT_DRY_RUN))
        printf("%lld dead letters match; nothing was changed\n", matched);
    else if (exit == EXIT_DONE || done > 0)
        printf("%lld dead letters matched, %lld %s\n", matched, done, b->done);
    json_decref(last);
    return exit;
}

static int bulk_run(const struct bulk *b, int argc, char **argv)
{
    struct session s;
    int exit = session_open(&s, b->words, argc, argv, 0, -1);
    bool filters = exit == EXIT_DONE && (dead_filtered(&s) || args_has(&s.args, OPT_ALL));
    if (exit == EXIT_DONE && filters && s.args.rest_count > 0)
        exit = say_error(EXIT_USAGE, "%s: give either ids or filters", b->words);
    else if (exit == EXIT_DONE && !filters && s.args.rest_count == 0)
        exit = say_error(EXIT_USAGE,
                         "%s: which ones? Give ids, a filter (--pusher, --reason, --uuid, --since) or --all", b->words);
    else if (exit == EXIT_DONE && args_has(&s.args, OPT_EDIT))
        exit = s.args.rest_count == 1 && !args_has(&s.args, OPT_DRY_RUN)
                   ? dead_edit(&s, s.args.rest[0])
                   : say_error(EXIT_USAGE, "%s: --edit takes one id, and changes it", b->words);
    else if (exit == EXIT_DONE)
        exit = filters ? bulk_filtered(&s, b) : bulk_ids(&s, b);
    session_close(&s);
    return exit;
}

int verb_dead_retry(int argc, char **argv)
{
    return bulk_run(&bulk_retry, argc, argv);
}

int verb_dead_drop(int argc, char **argv)
{
    return bulk_run(&bulk_drop, argc, argv);
}
