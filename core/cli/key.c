/* `headgate key add|list|revoke`: the keys of a data directory.
 *
 * Works on the file, whether a daemon runs or not, and a running one notices within a second. Whoever may write the
 * data directory may make keys; so the first key needs no other one, and there is none that everybody knows. */
#include "cli/cli.h"

#include "access/audit.h"
#include "access/keyfile.h"
#include "base/sys.h"
#include "cli/flags.h"
#include "cli/grid.h"
#include "cli/human.h"
#include "cli/say.h"
#include "conf/value.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

struct keyed {
    struct args args;
    char dir[PATH_MAX];
    struct keyfile file;
    int lock;
};

static int dir_of(struct keyed *k)
{
    struct flags flags;
    struct conf *conf = NULL;
    int exit = flags_read(&flags, &k->args);
    if (exit == EXIT_DONE)
        exit = flags_load(&flags, &conf);
    if (exit == EXIT_DONE && snprintf(k->dir, sizeof k->dir, "%s", conf_settings(conf)->data_dir) >= PATH_MAX)
        exit = say_error(EXIT_CONFIG, "data.dir is too long");
    conf_free(&conf);
    flags_fini(&flags);
    return exit;
}

static int fault(int code, const struct err *e)
{
    return say_error(code == ERR_VERSION || code == ERR_LIMIT ? EXIT_REFUSED
                     : code == ERR_NOMEM                      ? EXIT_INTERNAL
                                                              : EXIT_DISK,
                     "%s", e->text);
}

static int keyed_open(struct keyed *k, const char *words, int argc, char **argv, int least, int most)
{
    *k = (struct keyed){.lock = -1};
    int exit = args_parse(&k->args, words, argc, argv);
    if (exit == EXIT_DONE)
        exit = args_expect(&k->args, least, most);
    return exit == EXIT_DONE ? dir_of(k) : exit;
}

/* For a change: nobody else may make one until it is written. */
static int keyed_lock(struct keyed *k)
{
    struct err e = {0};
    if (sys->mkdir(k->dir, 0750) != 0 && errno != EEXIST)
        return say_error(EXIT_DISK, "%s: %s", k->dir, strerror(errno));
    int code = keyfile_lock(k->dir, &k->lock, &e);
    return code == ERR_OK ? EXIT_DONE : fault(code, &e);
}

static int keyed_read(struct keyed *k)
{
    struct err e = {0};
    int code = keyfile_read(k->dir, &k->file, &e);
    return code == ERR_OK ? EXIT_DONE : fault(code, &e);
}

static int keyed_write(struct keyed *k)
{
    struct err e = {0};
    int code = keyfile_write(k->dir, &k->file, &e);
    return code == ERR_OK ? EXIT_DONE : fault(code, &e);
}

static void keyed_close(struct keyed *k)
{
    keyfile_fini(&k->file);
    if (k->lock >= 0)
        sys->close(k->lock);
    args_fini(&k->args);
}

/* --- add --- */

static int roles_given(const struct args *a, unsigned *roles)
{
    size_t at = 0;
    const char *text;
    *roles = 0;
    while ((text = args_next(a, OPT_ROLE, &at)) != NULL) {
        struct err e = {0};
        unsigned more = 0;
        if (roles_parse(text, &more, &e) != ERR_OK)
            return say_error(EXIT_USAGE, "key add: --role: %s", e.text);
        *roles |= more;
    }
    return *roles != 0
               ? EXIT_DONE
               : say_error(EXIT_USAGE, "key add: --role says what the key may do: ingest, read, operate, admin");
}

/* How long from now, or until when. */
static int expires_given(const struct args *a, int64_t now_s, int64_t *expires_s)
{
    struct err e = {0};
    char moment[HUMAN_MAX];
    int64_t ms;
    const char *text = args_value(a, OPT_EXPIRES, NULL);
    if (text == NULL)
        return EXIT_DONE;
    if (value_duration(text, &ms, NULL) == ERR_OK)
        *expires_s = now_s + ms / 1000;
    else if (human_when(text, moment, &e) != ERR_OK || moment_parse(moment, expires_s) != ERR_OK)
        return say_error(EXIT_USAGE, "key add: --expires: write a moment as 2027-01-31T12:00:00Z or a time as 30d");
    return *expires_s > now_s ? EXIT_DONE : say_error(EXIT_USAGE, "key add: --expires: that is over already");
}

static int describe(const struct args *a, struct key *k)
{
    const char *client = args_value(a, OPT_CLIENT, ""), *name = a->rest_count > 0 ? a->rest[0] : "";
    if (client[0] != '\0' && !client_valid(slice_of(client)))
        return say_error(EXIT_USAGE, "key add: a client's name is 1 to %d of letters, digits and ._@-", CLIENT_MAX);
    if (!key_name_valid(slice_of(name)))
        return say_error(EXIT_USAGE, "key add: a name has at most %d bytes and no control character", KEY_NAME_MAX);
    snprintf(k->client, sizeof k->client, "%s", client);
    snprintf(k->name, sizeof k->name, "%s", name);
    k->created_s = clock_wall_us() / 1000000;
    int exit = roles_given(a, &k->roles);
    return exit == EXIT_DONE ? expires_given(a, k->created_s, &k->expires_s) : exit;
}

/* The key alone on standard output, so that it can be sent into a file. */
static void show_once(const struct args *a, const struct key *k, const char *text)
{
    if (args_has(a, OPT_JSON)) {
        printf("{\"id\":\"%s\",\"key\":\"%s\"}\n", k->id, text);
        return;
    }
    printf("%s\n", text);
    say_note("key %s is shown here and never again; it is kept as a digest only", k->id);
}

/* What was done stands. That it is not in the log is said. */
static void keyed_note(const struct keyed *k, const char *action, const char *id)
{
    struct err e = {0};
    char who[64], path[64];
    snprintf(who, sizeof who, "user %ld of this machine", (long)geteuid());
    snprintf(path, sizeof path, "keys/%s", id);
    const struct audit_note note = {.action = action,
                                    .who = slice_of(who),
                                    .path = slice_of(path),
                                    .why = slice_of(args_value(&k->args, OPT_WHY, ""))};
    int code = audit_append(k->dir, &note, 0, &e);
    if (code == ERR_OK)
        code = audit_sync(k->dir, &e);
    if (code != ERR_OK)
        say_note("this is not in the audit log: %s", e.text);
}

int verb_key_add(int argc, char **argv)
{
    struct keyed k;
    struct key key = {.expires_s = 0};
    struct err e = {0};
    char text[KEY_TEXT + 1];
    int exit = keyed_open(&k, "key add", argc, argv, 0, 1);
    if (exit == EXIT_DONE)
        exit = describe(&k.args, &key);
    if (exit == EXIT_DONE)
        exit = keyed_lock(&k);
    if (exit == EXIT_DONE)
        exit = keyed_read(&k);
    if (exit == EXIT_DONE && key_draw(&key, text) != ERR_OK)
        exit = say_error(EXIT_INTERNAL, "there are no random numbers to make a key from");
    int code = exit == EXIT_DONE ? keyfile_add(&k.file, &key, &e) : ERR_OK;
    if (code != ERR_OK)
        exit = fault(code, &e);
    if (exit == EXIT_DONE)
        exit = keyed_write(&k);
    if (exit == EXIT_DONE) {
        keyed_note(&k, "key.add", key.id);
        show_once(&k.args, &key, text);
    }
    explicit_bzero(text, sizeof text);
    keyed_close(&k);
    return exit;
}

/* --- list --- */

static const struct grid_column columns[] = {{.title = "ID"},      {.title = "NAME", .cut = true},
                                             {.title = "ROLES"},   {.title = "CLIENT"},
                                             {.title = "EXPIRES"}, {.title = "LAST USED"}};

/* Days are enough for people; --json has the second. */
static void day(int64_t seconds, const char *never, char out[MOMENT_MAX])
{
    moment_text(seconds, out);
    if (seconds == 0)
        snprintf(out, MOMENT_MAX, "%s", never);
    else
        out[strcspn(out, "T")] = '\0';
}

static int list_grid(const struct keyfile *f, const int64_t *used)
{
    struct grid grid;
    grid_init(&grid, columns, COUNT_OF(columns));
    int64_t now_s = clock_wall_us() / 1000000;
    for (size_t i = 0; i < f->count; i++) {
        const struct key *k = &f->keys[i];
        char until[MOMENT_MAX], last[MOMENT_MAX];
        struct buf roles;
        buf_init(&roles, 256);
        day(k->expires_s, "never", until);
        day(used[i], "-", last);
        if (roles_show(k->roles, &roles) != ERR_OK)
            grid.failed = true;
        grid_cell(&grid, "%s", k->id);
        grid_cell(&grid, "%s", k->name);
        grid_cell(&grid, "%s", buf_str(&roles));
        grid_cell(&grid, "%s", k->client[0] == '\0' ? "-" : k->client);
        grid_cell(&grid, "%s", k->expires_s != 0 && k->expires_s <= now_s ? "expired" : until);
        grid_cell(&grid, "%s", last);
        buf_free(&roles);
    }
    int code = grid_print(&grid, stdout);
    grid_fini(&grid);
    return code == ERR_OK ? EXIT_DONE : say_error(EXIT_INTERNAL, "out of memory");
}

static int add_text(struct buf *b, const char *name, const char *value)
{
    int code = buf_addf(b, ",\"%s\":", name);
    if (code == ERR_OK)
        code = value[0] == '\0' ? buf_adds(b, "null") : buf_add_json(b, slice_of(value));
    return code;
}

static int add_moment(struct buf *b, const char *name, int64_t seconds)
{
    char text[MOMENT_MAX] = "";
    if (seconds != 0)
        moment_text(seconds, text);
    return add_text(b, name, text);
}

static int add_roles(struct buf *b, unsigned roles)
{
    bool more = false;
    int code = buf_adds(b, ",\"roles\":[");
    for (unsigned i = 0; code == ERR_OK && i < ROLE_COUNT; i++)
        if ((roles & 1u << i) != 0) {
            code = buf_addf(b, "%s\"%s\"", more ? "," : "", role_word((enum role_number)i));
            more = true;
        }
    return code == ERR_OK ? buf_addc(b, ']') : code;
}

static int list_json(const struct keyfile *f, const int64_t *used)
{
    struct buf b;
    buf_init(&b, KEYFILE_BYTES);
    int code = buf_adds(&b, "{\"keys\":[");
    for (size_t i = 0; code == ERR_OK && i < f->count; i++) {
        const struct key *k = &f->keys[i];
        code = buf_addf(&b, "%s{\"id\":\"%s\"", i > 0 ? "," : "", k->id);
        if (code == ERR_OK)
            code = add_text(&b, "name", k->name);
        if (code == ERR_OK)
            code = add_roles(&b, k->roles);
        if (code == ERR_OK)
            code = add_text(&b, "client", k->client);
        if (code == ERR_OK)
            code = add_moment(&b, "created", k->created_s);
        if (code == ERR_OK)
            code = add_moment(&b, "expires", k->expires_s);
        if (code == ERR_OK)
            code = add_moment(&b, "used", used[i]);
        if (code == ERR_OK)
            code = buf_addc(&b, '}');
    }
    if (code == ERR_OK)
        code = buf_adds(&b, "]}\n");
    if (code == ERR_OK)
        fwrite(b.ptr, 1, b.len, stdout);
    buf_free(&b);
    return code == ERR_OK ? EXIT_DONE : say_error(EXIT_INTERNAL, "out of memory");
}

int verb_key_list(int argc, char **argv)
{
    struct keyed k;
    int exit = keyed_open(&k, "key list", argc, argv, 0, 0);
    if (exit == EXIT_DONE)
        exit = keyed_read(&k);
    int64_t *used = exit == EXIT_DONE ? calloc(k.file.count + 1, sizeof *used) : NULL;
    if (exit == EXIT_DONE && used == NULL) {
        exit = say_error(EXIT_INTERNAL, "out of memory");
    } else if (exit == EXIT_DONE) {
        keyfile_used_read(k.dir, &k.file, used);
        exit = args_has(&k.args, OPT_JSON) ? list_json(&k.file, used) : list_grid(&k.file, used);
    }
    free(used);
    keyed_close(&k);
    return exit;
}

/* --- revoke --- */

/* All of them, or none: a typing error in the second id must not leave the first one gone unnoticed. */
int verb_key_revoke(int argc, char **argv)
{
    struct keyed k;
    int exit = keyed_open(&k, "key revoke", argc, argv, 1, -1);
    if (exit == EXIT_DONE)
        exit = keyed_lock(&k);
    if (exit == EXIT_DONE)
        exit = keyed_read(&k);
    for (int i = 0; exit == EXIT_DONE && i < k.args.rest_count; i++)
        if (!key_id_valid(slice_of(k.args.rest[i])) || !keyfile_remove(&k.file, k.args.rest[i]))
            exit = say_error(EXIT_REFUSED,
                             "there is no key with the id %s; headgate key list shows them; nothing was revoked",
                             k.args.rest[i]);
    if (exit == EXIT_DONE)
        exit = keyed_write(&k);
    for (int i = 0; exit == EXIT_DONE && i < k.args.rest_count; i++) {
        keyed_note(&k, "key.revoke", k.args.rest[i]);
        printf("%s: revoked\n", k.args.rest[i]);
    }
    keyed_close(&k);
    return exit;
}
