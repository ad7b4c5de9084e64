/* The frame of a client verb. */
#include "cli/session.h"

#include "cli/human.h"
#include "cli/say.h"

enum { PATH_MAX_BYTES = 8192 };

int session_open(struct session *s, const char *words, int argc, char **argv, int least, int most)
{
    *s = (struct session){0};
    buf_init(&s->path, PATH_MAX_BYTES);
    int exit = args_parse(&s->args, words, argc, argv);
    if (exit == EXIT_DONE)
        exit = args_expect(&s->args, least, most);
    return exit == EXIT_DONE ? remote_open(&s->remote, &s->args) : exit;
}

void session_close(struct session *s)
{
    remote_close(&s->remote);
    buf_free(&s->path);
    args_fini(&s->args);
}

static int path_result(int code)
{
    return code == ERR_OK ? EXIT_DONE : say_error(EXIT_USAGE, "an argument is too long");
}

int session_path(struct session *s, const char *fixed, const char *name, const char *tail)
{
    buf_clear(&s->path);
    int code = buf_adds(&s->path, fixed);
    if (code == ERR_OK && name != NULL)
        code = call_encode(&s->path, name);
    if (code == ERR_OK)
        code = buf_adds(&s->path, tail);
    return path_result(code);
}

int session_query(struct session *s, const char *name, enum option_id option)
{
    return path_result(call_query(&s->path, name, args_value(&s->args, option, NULL)));
}

int session_query_when(struct session *s, const char *name, enum option_id option)
{
    char moment[HUMAN_MAX];
    struct err e;
    const char *text = args_value(&s->args, option, NULL);
    if (text == NULL)
        return EXIT_DONE;
    if (human_when(text, moment, &e) != ERR_OK)
        return say_error(EXIT_USAGE, "--%s: %s", option_rows[option].name, e.text);
    return path_result(call_query(&s->path, name, moment));
}

int session_json(struct session *s, const char *method, const char *body, json_t **out)
{
    return remote_json(&s->remote, method, buf_str(&s->path), body, out);
}

int session_list(struct session *s, json_t **out)
{
    if (!args_has(&s->args, OPT_JSON))
        return session_json(s, "GET", NULL, out);
    int exit = remote_ask(&s->remote, "GET", buf_str(&s->path), NULL);
    if (exit == EXIT_DONE)
        remote_print(&s->remote);
    return exit;
}
