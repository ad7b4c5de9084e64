/* `headgate export`: the rows of the journal, one JSON object a line, a page at a time until there is no more. */
#include "cli/cli.h"

#include "cli/say.h"
#include "cli/session.h"

enum { NEXT_MAX = 32 };

/* The last line says where to go on and is not printed; `next` is empty at the end. */
static int print_page(const struct session *s, char next[NEXT_MAX])
{
    struct slice page = buf_slice(&s->remote.call.body);
    size_t end = page.len > 0 && page.ptr[page.len - 1] == '\n' ? page.len - 1 : page.len;
    const char *newline = memrchr(page.ptr, '\n', end);
    size_t last = newline == NULL ? 0 : (size_t)(newline - page.ptr) + 1;
    json_t *tail = js_parse(slice_make(page.ptr + last, end - last));
    bool whole = json_object_get(tail, "next") != NULL;
    snprintf(next, NEXT_MAX, "%s", js_text(tail, "next"));
    json_decref(tail);
    if (!whole)
        return say_error(EXIT_INTERNAL, "the answer ends too early; what was printed is not all of it");
    if (fwrite(page.ptr, 1, last, stdout) != last)
        return say_error(EXIT_DISK, "cannot write to standard output");
    return EXIT_DONE;
}

static int ask_page(struct session *s, const char *after)
{
    int exit = session_path(s, "/v1/export", NULL, "");
    if (exit == EXIT_DONE)
        exit = session_query(s, "uuid", OPT_BY_UUID);
    if (exit == EXIT_DONE)
        exit = session_query_when(s, "from", OPT_FROM_TIME);
    if (exit == EXIT_DONE)
        exit = session_query_when(s, "to", OPT_TO_TIME);
    if (exit == EXIT_DONE && call_query(&s->path, "after", after[0] == '\0' ? NULL : after) != ERR_OK)
        exit = say_error(EXIT_USAGE, "the filters are too long");
    return exit == EXIT_DONE ? remote_ask(&s->remote, "GET", buf_str(&s->path), NULL) : exit;
}

int verb_export(int argc, char **argv)
{
    struct session s;
    char next[NEXT_MAX] = "";
    int exit = session_open(&s, "export", argc, argv, 0, 0);
    if (exit == EXIT_DONE && !args_has(&s.args, OPT_BY_UUID) && !args_has(&s.args, OPT_FROM_TIME) &&
        !args_has(&s.args, OPT_TO_TIME) && !args_has(&s.args, OPT_ALL))
        exit = say_error(EXIT_USAGE, "export: which ones? --from and --to, --uuid, or --all");
    while (exit == EXIT_DONE) {
        exit = ask_page(&s, next);
        if (exit == EXIT_DONE)
            exit = print_page(&s, next);
        if (next[0] == '\0')
            break;
    }
    if (exit == EXIT_DONE && fflush(stdout) != 0)
        exit = say_error(EXIT_DISK, "cannot write to standard output");
    session_close(&s);
    return exit;
}
