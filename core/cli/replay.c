/* `headgate replay`: rows of the recent past once more to one pusher. The daemon does it; this asks for it and waits
 * for the end, so that the counts are final. Interrupting the wait does not stop the replay. */
#include "cli/cli.h"

#include "cli/grid.h"
#include "cli/human.h"
#include "cli/nap.h"
#include "cli/say.h"
#include "cli/session.h"

#include <stdlib.h>

enum { POLL_MS = 300 };

/* Exactly one of the three ways to say what. */
static int replay_check(const struct args *a)
{
    bool from = args_has(a, OPT_FROM_TIME), to = args_has(a, OPT_TO_TIME);
    int ways = (from || to) + args_has(a, OPT_BY_BATCH) + args_has(a, OPT_BY_UUID);
    if (!args_has(a, OPT_TO_PUSHER))
        return say_error(EXIT_USAGE, "replay: --pusher is missing");
    if (ways != 1)
        return say_error(EXIT_USAGE, "replay: give either --from and --to, or --batch, or --uuid");
    if (from != to)
        return say_error(EXIT_USAGE, "replay: --%s is missing (`--to now` means up to now)", from ? "to" : "from");
    return EXIT_DONE;
}

static int replay_when(const struct args *a, enum option_id option, const char *name, json_t *body)
{
    char moment[HUMAN_MAX];
    struct err e;
    const char *text = args_value(a, option, NULL);
    if (text == NULL)
        return EXIT_DONE;
    if (human_when(text, moment, &e) != ERR_OK)
        return say_error(EXIT_USAGE, "replay: --%s: %s", name, e.text);
    return json_object_set_new(body, name, json_string(moment)) == 0 ? EXIT_DONE : EXIT_INTERNAL;
}

static void body_text(const struct args *a, enum option_id option, const char *name, json_t *body)
{
    if (args_has(a, option))
        json_object_set_new(body, name, json_string(args_value(a, option, "")));
}

static int replay_body(const struct args *a, json_t *body)
{
    int64_t rate = 0;
    int exit = replay_check(a);
    if (exit == EXIT_DONE)
        exit = args_number(a, OPT_RATE, 1, INT32_MAX, &rate);
    if (exit == EXIT_DONE)
        exit = replay_when(a, OPT_FROM_TIME, "from", body);
    if (exit == EXIT_DONE)
        exit = replay_when(a, OPT_TO_TIME, "to", body);
    body_text(a, OPT_TO_PUSHER, "pusher", body);
    body_text(a, OPT_BY_BATCH, "batch", body);
    body_text(a, OPT_BY_UUID, "uuid", body);
    if (rate > 0)
        json_object_set_new(body, "rate", json_integer(rate));
    if (args_has(a, OPT_NEW_IDS))
        json_object_set_new(body, "new_ids", json_true());
    if (args_has(a, OPT_DRY_RUN))
        json_object_set_new(body, "dry_run", json_true());
    return exit;
}

/* The replay with this id among the daemon's, borrowed from `all`; NULL when it is not there. */
static const json_t *replay_in(const json_t *all, const char *id)
{
    const json_t *list = json_is_array(all) ? all : json_object_get(all, "replays");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(js_text(json_array_get(list, i), "id"), id) == 0)
            return json_array_get(list, i);
    return NULL;
}

/* Ask until it no longer runs; `*replay` becomes the last that was seen of it. */
static int replay_wait(struct session *s, json_t **replay)
{
    int exit = session_path(s, "/v1/replays", NULL, "");
    while (exit == EXIT_DONE && strcmp(js_text(*replay, "state"), "running") == 0) {
        json_t *all = NULL;
        nap_ms(POLL_MS);
        exit = session_json(s, "GET", NULL, &all);
        const json_t *now = replay_in(all, js_text(*replay, "id"));
        if (exit == EXIT_DONE && now == NULL)
            exit = say_error(EXIT_REFUSED, "the daemon no longer knows the replay %s", js_text(*replay, "id"));
        if (now != NULL) {
            json_t *copy = json_deep_copy(now);
            json_decref(*replay);
            *replay = copy;
        }
        json_decref(all);
    }
    return exit;
}

static void replay_report(const struct args *a, const json_t *replay)
{
    const char *pusher = args_value(a, OPT_TO_PUSHER, "");
    if (args_has(a, OPT_DRY_RUN)) {
        printf("%lld rows would be sent to %s again, %lld are gone\n", js_integer(replay, "rows"), pusher,
               js_integer(replay, "gone"));
        return;
    }
    printf("replay %s to %s: %s: %lld rows sent, %lld were there already, %lld are gone\n", js_text(replay, "id"),
           pusher, js_text(replay, "state"), js_integer(replay, "sent"), js_integer(replay, "duplicate"),
           js_integer(replay, "gone"));
}

/* One that was stopped, or that the plugin did not survive, has not sent what was asked for. */
static int replay_exit(const json_t *replay)
{
    const char *state = js_text(replay, "state");
    bool unfinished = strcmp(state, "stopped") == 0 || strcmp(state, "failed") == 0;
    return unfinished ? EXIT_UNFINISHED : EXIT_DONE;
}

static int replay_start(struct session *s, json_t **replay)
{
    json_t *body = json_object();
    char *text = NULL;
    int exit = body == NULL ? EXIT_INTERNAL : replay_body(&s->args, body);
    if (exit == EXIT_DONE && (text = json_dumps(body, JSON_COMPACT)) == NULL)
        exit = say_error(EXIT_USAGE, "replay: an argument is not UTF-8");
    if (exit == EXIT_DONE)
        exit = session_path(s, "/v1/replays", NULL, "");
    if (exit == EXIT_DONE)
        exit = session_json(s, "POST", text, replay);
    free(text);
    json_decref(body);
    return exit;
}

int verb_replay(int argc, char **argv)
{
    struct session s;
    json_t *replay = NULL;
    int exit = session_open(&s, "replay", argc, argv, 0, 0);
    if (exit == EXIT_DONE)
        exit = replay_start(&s, &replay);
    if (exit == EXIT_DONE && !args_has(&s.args, OPT_NO_WAIT) && !args_has(&s.args, OPT_DRY_RUN))
        exit = replay_wait(&s, &replay);
    if (exit == EXIT_DONE && args_has(&s.args, OPT_JSON) && json_dumpf(replay, stdout, JSON_COMPACT) == 0)
        putchar('\n');
    else if (exit == EXIT_DONE)
        replay_report(&s.args, replay);
    if (exit == EXIT_DONE)
        exit = replay_exit(replay);
    json_decref(replay);
    session_close(&s);
    return exit;
}

static int replay_table(const json_t *answer)
{
    static const struct grid_column columns[] = {
        {"ID", false, true},   {"PUSHER", false, true},    {"STATE", false, false},
        {"SENT", true, false}, {"DUPLICATE", true, false}, {"GONE", true, false},
    };
    const json_t *list = json_is_array(answer) ? answer : json_object_get(answer, "replays");
    struct grid g;
    grid_init(&g, columns, COUNT_OF(columns));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *replay = json_array_get(list, i);
        grid_cell(&g, "%s", js_text(replay, "id"));
        grid_cell(&g, "%s", js_text(replay, "pusher"));
        grid_cell(&g, "%s", js_text(replay, "state"));
        grid_cell(&g, "%lld", js_integer(replay, "sent"));
        grid_cell(&g, "%lld", js_integer(replay, "duplicate"));
        grid_cell(&g, "%lld", js_integer(replay, "gone"));
    }
    int code = grid_print(&g, stdout);
    grid_fini(&g);
    return code == ERR_OK ? EXIT_DONE : say_error(EXIT_INTERNAL, "%s", err_text(code));
}

int verb_replay_list(int argc, char **argv)
{
    struct session s;
    json_t *answer = NULL;
    int exit = session_open(&s, "replay list", argc, argv, 0, 0);
    if (exit == EXIT_DONE)
        exit = session_path(&s, "/v1/replays", NULL, "");
    if (exit == EXIT_DONE)
        exit = session_list(&s, &answer);
    if (answer != NULL)
        exit = replay_table(answer);
    json_decref(answer);
    session_close(&s);
    return exit;
}

int verb_replay_stop(int argc, char **argv)
{
    struct session s;
    int exit = session_open(&s, "replay stop", argc, argv, 1, 1);
    if (exit == EXIT_DONE)
        exit = session_path(&s, "/v1/replays/", s.args.rest[0], "");
    if (exit == EXIT_DONE)
        exit = remote_ask(&s.remote, "DELETE", buf_str(&s.path), NULL);
    if (exit == EXIT_DONE)
        printf("%s: stopped\n", s.args.rest[0]);
    session_close(&s);
    return exit;
}

/* --- expedite --- */

int verb_expedite(int argc, char **argv)
{
    struct session s;
    int exit = session_open(&s, "expedite", argc, argv, 1, 1);
    const char *pusher = exit == EXIT_DONE ? args_value(&s.args, OPT_TO_PUSHER, NULL) : NULL;
    if (exit == EXIT_DONE && pusher == NULL)
        exit = say_error(EXIT_USAGE, "expedite: --pusher says at which pusher");
    if (exit == EXIT_DONE)
        exit = session_path(&s, "/v1/batches/", s.args.rest[0], "/pushers/");
    if (exit == EXIT_DONE && (call_encode(&s.path, pusher) != ERR_OK || buf_adds(&s.path, "/expedite") != ERR_OK))
        exit = say_error(EXIT_USAGE, "expedite: the pusher's name is too long");
    if (exit == EXIT_DONE)
        exit = remote_ask(&s.remote, "POST", buf_str(&s.path), NULL);
    if (exit == EXIT_DONE)
        printf("%s: %s tries it now\n", s.args.rest[0], pusher);
    session_close(&s);
    return exit;
}
