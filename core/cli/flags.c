/* Flags to settings: --listen A:P is http.listen, --admin is admin.listen, --data is data.dir, --plugins is
 * plugins.dir. */
#include "cli/flags.h"

#include "cli/say.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int add(struct flags *f, const struct args *a, enum option_id option, const char *key)
{
    struct buf text;
    size_t at = 0;
    const char *value;
    bool any = false;
    buf_init(&text, 1 << 16);
    while ((value = args_next(a, option, &at)) != NULL) {
        int code = any ? buf_addf(&text, ",%s", value) : buf_addf(&text, "%s=%s", key, value);
        any = true;
        if (code != ERR_OK) {
            buf_free(&text);
            return code == ERR_NOMEM ? say_error(EXIT_INTERNAL, "out of memory")
                                     : say_error(EXIT_USAGE, "--%s is too long", option_rows[option].name);
        }
    }
    if (any)
        f->texts[f->count++] = strdup(buf_str(&text));
    buf_free(&text);
    return any && f->texts[f->count - 1] == NULL ? say_error(EXIT_INTERNAL, "out of memory") : EXIT_DONE;
}

int flags_read(struct flags *f, const struct args *a)
{
    static const struct {
        enum option_id option;
        const char *key;
    } table[] = {{OPT_LISTEN, "http.listen"},
                 {OPT_RUN_ADMIN, "admin.listen"},
                 {OPT_DATA, "data.dir"},
                 {OPT_PLUGINS, "plugins.dir"}};
    *f = (struct flags){.count = 0};
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int exit = add(f, a, table[i].option, table[i].key);
        if (exit != EXIT_DONE)
            return exit;
    }
    f->input = (struct conf_input){
        .file = args_value(a, OPT_CONFIG, NULL),
        .flags = (const char *const *)f->texts,
        .environment = environ,
    };
    return EXIT_DONE;
}

void flags_fini(struct flags *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->texts[i]);
    f->count = 0;
}

int flags_load(const struct flags *f, struct conf **conf)
{
    struct buf faults, notices;
    buf_init(&faults, 1 << 20);
    buf_init(&notices, 1 << 20);
    int code = conf_load(&f->input, conf, &faults, &notices);
    say_notes(buf_str(&notices));
    say_notes(buf_str(&faults));
    buf_free(&faults);
    buf_free(&notices);
    return code == ERR_OK ? EXIT_DONE : code == ERR_CONFIG ? (int)EXIT_CONFIG : exit_of(code);
}
