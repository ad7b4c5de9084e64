/* `headgate dead list|show|export`: looking at the rows that could not be delivered. What changes them is in
 * dead_bulk.c. */
#include "cli/dead.h"

#include "cli/grid.h"
#include "cli/human.h"
#include "cli/say.h"

enum { LIST_LIMIT = 100, LIST_MAX = 1000 };

int dead_path(struct session *s, const char *fixed)
{
    int exit = session_path(s, fixed, NULL, "");
    if (exit == EXIT_DONE)
        exit = session_query(s, "pusher", OPT_PUSHER);
    if (exit == EXIT_DONE)
        exit = session_query(s, "reason", OPT_REASON);
    if (exit == EXIT_DONE)
        exit = session_query(s, "uuid", OPT_BY_UUID);
    return exit == EXIT_DONE ? session_query_when(s, "since", OPT_SINCE) : exit;
}

bool dead_filtered(const struct session *s)
{
    return args_has(&s->args, OPT_PUSHER) || args_has(&s->args, OPT_REASON) || args_has(&s->args, OPT_BY_UUID) ||
           args_has(&s->args, OPT_SINCE);
}

/* An entry is a paragraph: its id alone is more than half a line. */
static void dead_entry(const json_t *dead)
{
    char since[HUMAN_MAX], bytes[HUMAN_MAX], index[40] = "", again[60] = "", line[1500];
    human_time(js_text(dead, "since"), since);
    human_bytes(js_number(dead, "bytes"), bytes);
    if (json_is_integer(json_object_get(dead, "index")))
        snprintf(index, sizeof index, ", index %lld", js_integer(dead, "index"));
    if (js_integer(dead, "returned") > 0)
        snprintf(again, sizeof again, ", sent again %lld times", js_integer(dead, "returned"));
    say_wrapped(stdout, 0, GRID_WIDTH, js_text(dead, "id"), true);
    snprintf(line, sizeof line, "%s since %s, uuid %s%s, %lld attempts, %s%s", js_text(dead, "state"), since,
             js_text(dead, "uuid"), index, js_integer(dead, "attempts"), bytes, again);
    say_wrapped(stdout, 4, GRID_WIDTH, line, false);
    say_wrapped(stdout, 4, GRID_WIDTH, js_text(dead, "reason"), false);
}

static void dead_page(const json_t *answer)
{
    const json_t *list = json_object_get(answer, "dead");
    size_t count = json_array_size(list);
    for (size_t i = 0; i < count; i++)
        dead_entry(json_array_get(list, i));
    const char *next = js_text(answer, "next");
    long long total = js_integer(answer, "total");
    if (count == 0 && next[0] == '\0')
        puts("No dead letters match.");
    else if (next[0] != '\0')
        printf("\n%zu of %lld; the next ones: --after %s\n", count, total, next);
    else
        printf("\n%zu of %lld\n", count, total < (long long)count ? (long long)count : total);
}

int verb_dead_list(int argc, char **argv)
{
    struct session s;
    json_t *answer = NULL;
    int64_t limit = LIST_LIMIT;
    char text[24];
    int exit = session_open(&s, "dead list", argc, argv, 0, 0);
    if (exit == EXIT_DONE)
        exit = args_number(&s.args, OPT_LIMIT, 1, LIST_MAX, &limit);
    if (exit == EXIT_DONE)
        exit = dead_path(&s, "/v1/dead-letters");
    if (exit == EXIT_DONE)
        exit = session_query(&s, "after", OPT_AFTER);
    snprintf(text, sizeof text, "%lld", (long long)limit);
    if (exit == EXIT_DONE && call_query(&s.path, "limit", text) != ERR_OK)
        exit = say_error(EXIT_USAGE, "the filters are too long");
    if (exit == EXIT_DONE)
        exit = session_list(&s, &answer);
    if (answer != NULL)
        dead_page(answer);
    json_decref(answer);
    session_close(&s);
    return exit;
}

/* The answer's own bytes of a member would be needed to keep every digit: jansson reads numbers as doubles. So the text
 * for people shows the entry, then the whole answer as it came. */
int verb_dead_show(int argc, char **argv)
{
    struct session s;
    json_t *answer = NULL;
    int exit = session_open(&s, "dead show", argc, argv, 1, 1);
    if (exit == EXIT_DONE)
        exit = session_path(&s, "/v1/dead-letters/", s.args.rest[0], "");
    if (exit == EXIT_DONE)
        exit = session_list(&s, &answer);
    if (answer != NULL) {
        dead_entry(answer);
        putchar('\n');
        remote_print(&s.remote);
    }
    json_decref(answer);
    session_close(&s);
    return exit;
}

/* One letter as one line, byte for byte but for newlines between its tokens (inside a JSON string there can be none).
 */
static int export_one(struct session *s, const char *id)
{
    int exit = session_path(s, "/v1/dead-letters/", id, "");
    if (exit == EXIT_DONE)
        exit = remote_ask(&s->remote, "GET", buf_str(&s->path), NULL);
    if (exit != EXIT_DONE)
        return s->remote.call.status == 404 || s->remote.call.status == 410 ? EXIT_DONE : exit;
    struct buf *body = &s->remote.call.body;
    while (body->len > 0 && (body->ptr[body->len - 1] == '\n' || body->ptr[body->len - 1] == '\r'))
        body->len--;
    for (size_t i = 0; i < body->len; i++)
        if (body->ptr[i] == '\n' || body->ptr[i] == '\r')
            body->ptr[i] = ' ';
    fwrite(body->ptr, 1, body->len, stdout);
    return putchar('\n') == EOF ? say_error(EXIT_DISK, "cannot write to standard output") : EXIT_DONE;
}

static int export_page(struct session *s, const char *after, json_t **page)
{
    int exit = dead_path(s, "/v1/dead-letters");
    if (exit == EXIT_DONE &&
        (call_query(&s->path, "limit", "100") != ERR_OK || call_query(&s->path, "after", after) != ERR_OK))
        exit = say_error(EXIT_USAGE, "the filters are too long");
    if (exit == EXIT_DONE)
        exit = session_json(s, "GET", NULL, page);
    for (size_t i = 0; exit == EXIT_DONE && i < json_array_size(json_object_get(*page, "dead")); i++)
        exit = export_one(s, js_text(json_array_get(json_object_get(*page, "dead"), i), "id"));
    return exit;
}

int verb_dead_export(int argc, char **argv)
{
    struct session s;
    json_t *page = NULL, *last = NULL;
    const char *after = NULL;
    int exit = session_open(&s, "dead export", argc, argv, 0, 0);
    while (exit == EXIT_DONE) {
        exit = export_page(&s, after, &page);
        json_decref(last);
        last = page; /* `after` is borrowed from it */
        page = NULL;
        after = js_text(last, "next");
        if (after[0] == '\0')
            break;
    }
    json_decref(last);
    session_close(&s);
    return exit;
}
