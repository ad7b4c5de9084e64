/* `headgate journal verify|dump|repair`: a stopped daemon's journal, read-only; `repair` writes a new one beside it.
 *
 * All walking is journal_walk's; this counts and prints. Damage makes the exit code 65, a disk that fails 74. */
#include "cli/cli.h"

#include "base/sys.h"
#include "cli/args.h"
#include "cli/human.h"
#include "cli/say.h"
#include "common/csvcell.h"
#include "conf/conf.h"
#include "journal/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 16, LINE_MAX_BYTES = 64 << 20 };

/* --- which directory --- */

/* The journal's directory: `dir` itself, or the one named `journal` in it, when there is one. */
static void journal_below(const char *dir, char out[PATH_MAX])
{
    struct stat st;
    int len = snprintf(out, PATH_MAX, "%s/journal", dir);
    if (len < 0 || len >= PATH_MAX || sys->stat(out, &st) != 0 || !S_ISDIR(st.st_mode))
        snprintf(out, PATH_MAX, "%s", dir);
}

static int journal_configured(const struct args *a, char out[PATH_MAX])
{
    struct conf_input input = {.file = args_value(a, OPT_CONFIG, NULL), .environment = environ};
    struct conf *conf = NULL;
    struct buf faults, notices;
    buf_init(&faults, TEXT_MAX);
    buf_init(&notices, TEXT_MAX);
    int code = conf_load(&input, &conf, &faults, &notices);
    if (code == ERR_OK)
        journal_below(conf_settings(conf)->data_dir, out);
    else
        say_note("the settings do not say where the journal is; give its directory:\n%s", buf_str(&faults));
    conf_free(&conf);
    buf_free(&faults);
    buf_free(&notices);
    return code == ERR_OK ? EXIT_DONE : EXIT_CONFIG;
}

static int journal_dir(const struct args *a, char out[PATH_MAX])
{
    if (a->rest_count == 0)
        return journal_configured(a, out);
    struct stat st;
    if (strlen(a->rest[0]) >= PATH_MAX - sizeof "/journal")
        return say_error(EXIT_USAGE, "that path is too long");
    if (sys->stat(a->rest[0], &st) != 0)
        return say_error(EXIT_DISK, "%s: %s", a->rest[0], strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return say_error(EXIT_DISK, "%s is no directory", a->rest[0]);
    journal_below(a->rest[0], out);
    return EXIT_DONE;
}

static int walk_failed(int code, const char *dir, const struct err *e)
{
    if (code == ERR_BUSY)
        return say_error(EXIT_UNREACHABLE, "%s: a daemon has it open; stop it first", dir);
    return say_error(exit_of(code), "%s: %s", dir, e->text[0] != '\0' ? e->text : err_text(code));
}

/* --- verify --- */

struct verify {
    uint64_t segments, records, rows, bytes, damages, damaged_bytes;
    bool json;
    struct epoch first, last;
    uint64_t first_at, last_at;
};

static int verify_segment(void *arg, const struct segment_header *header, const char *file)
{
    (void)file;
    struct verify *v = arg;
    v->segments++;
    v->bytes += header->size;
    return 0;
}

static int verify_record(void *arg, const struct record *record, const struct epoch *epoch)
{
    struct verify *v = arg;
    if (v->records++ == 0) {
        v->first = *epoch;
        v->first_at = record->position;
    }
    v->last = *epoch;
    v->last_at = record->position;
    v->rows += record->rows;
    return 0;
}

static int verify_damage(void *arg, struct read_damage damage, const char *what)
{
    struct verify *v = arg;
    v->damages++;
    v->damaged_bytes += damage.to - damage.from;
    if (!v->json)
        printf("damage: positions %" PRIu64 " to %" PRIu64 " (%" PRIu64 " bytes): %s\n", damage.from, damage.to,
               damage.to - damage.from, what == NULL ? "not readable" : what);
    return 0;
}

static void verify_report(const struct verify *v, const char *dir)
{
    char first[BATCH_ID_LEN + 1] = "", last[BATCH_ID_LEN + 1] = "", bytes[HUMAN_MAX];
    if (v->records > 0) {
        batch_id_text(&v->first, v->first_at, first);
        batch_id_text(&v->last, v->last_at, last);
    }
    if (v->json) {
        printf("{\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"row_sets\":%" PRIu64 ",\"rows\":%" PRIu64
               ",\"damages\":%" PRIu64 ",\"damaged_bytes\":%" PRIu64 ",\"first\":\"%s\",\"last\":\"%s\"}\n",
               v->segments, v->bytes, v->records, v->rows, v->damages, v->damaged_bytes, first, last);
        return;
    }
    human_bytes((double)v->bytes, bytes);
    printf("%s: %" PRIu64 " segments (%s), %" PRIu64 " row sets, %" PRIu64 " rows\n", dir, v->segments, bytes,
           v->records, v->rows);
    if (v->records > 0)
        printf("first %s\nlast  %s\n", first, last);
    if (v->damages == 0)
        puts("whole: every group and record is as it was written");
    else
        printf("%" PRIu64 " damaged ranges, %" PRIu64 " bytes; `headgate journal repair` copies what is whole\n",
               v->damages, v->damaged_bytes);
}

int verb_journal_verify(int argc, char **argv)
{
    struct args a;
    struct err e = {0};
    char dir[PATH_MAX];
    int exit = args_parse(&a, "journal verify", argc, argv);
    if (exit == EXIT_DONE)
        exit = args_expect(&a, 0, 1);
    if (exit == EXIT_DONE)
        exit = journal_dir(&a, dir);
    if (exit == EXIT_DONE) {
        struct verify v = {.json = args_has(&a, OPT_JSON)};
        struct journal_visitor visitor = {verify_segment, verify_record, verify_damage, &v};
        int code = journal_walk(dir, &visitor, &e);
        if (code == ERR_OK)
            verify_report(&v, dir);
        exit = code != ERR_OK ? walk_failed(code, dir, &e) : v.damages > 0 ? EXIT_REFUSED : EXIT_DONE;
    }
    args_fini(&a);
    return exit;
}

/* --- dump --- */

struct dump {
    struct buf line;
    bool rows;
    bool damaged;
};

static void stamp(int64_t us, char out[40])
{
    struct tm parts;
    time_t seconds = (time_t)(us / 1000000);
    gmtime_r(&seconds, &parts);
    size_t len = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out + len, 40 - len, ".%06dZ", (int)(us % 1000000));
}

static int dump_line(struct dump *d)
{
    fwrite(d->line.ptr, 1, d->line.len, stdout);
    return putchar('\n') == EOF ? ERR_IO : ERR_OK;
}

static int dump_tags(struct buf *line, struct slice context)
{
    size_t at = 0;
    uint16_t tag;
    struct slice value;
    int code = buf_adds(line, ",\"tags\":{");
    for (bool first = true; code == ERR_OK && context_next(context, &at, &tag, &value);) {
        size_t name = value.len > 0 ? (unsigned char)value.ptr[0] : 0;
        if (tag != CONTEXT_TAG || name + 1 > value.len)
            continue;
        if (!first)
            code = buf_addc(line, ',');
        if (code == ERR_OK)
            code = buf_add_json(line, slice_make(value.ptr + 1, name));
        if (code == ERR_OK)
            code = buf_addc(line, ':');
        if (code == ERR_OK)
            code = buf_add_json(line, slice_make(value.ptr + 1 + name, value.len - 1 - name));
        first = false;
    }
    return code == ERR_OK ? buf_addc(line, '}') : code;
}

static int dump_set(struct dump *d, const struct record *record, const char *id, struct slice uuid)
{
    char received[40];
    stamp(record->received_us, received);
    int code = buf_addf(&d->line, "{\"id\":\"%s\",\"position\":%" PRIu64 ",\"uuid\":", id, record->position);
    if (code == ERR_OK)
        code = buf_add_json(&d->line, uuid);
    if (code == ERR_OK)
        code = buf_addf(&d->line, ",\"rows\":%" PRIu32 ",\"bytes\":%" PRIu32 ",\"received\":\"%s\"", record->rows,
                        record->length, received);
    if (code == ERR_OK)
        code = dump_tags(&d->line, record->context);
    if (code == ERR_OK)
        code = buf_addc(&d->line, '}');
    return code == ERR_OK ? dump_line(d) : code;
}

/* Where a puller was: text where it is text, for people. */
static int dump_position(struct dump *d, const struct record *record, const char *id)
{
    char received[40];
    struct slice name = {"", 0};
    (void)context_get(record->context, CONTEXT_PULLER, &name);
    stamp(record->received_us, received);
    int code = buf_addf(&d->line, "{\"id\":\"%s\",\"position\":%" PRIu64 ",\"puller\":", id, record->position);
    if (code == ERR_OK)
        code = buf_add_json(&d->line, name);
    if (code == ERR_OK)
        code = buf_addf(&d->line, ",\"received\":\"%s\",\"at\":", received);
    bool text = csvcell_utf8((struct hg_text){record->data.ptr, record->data.len}) == record->data.len;
    if (code == ERR_OK && text)
        code = buf_add_json(&d->line, record->data);
    for (size_t i = 0; code == ERR_OK && !text && i < record->data.len; i++)
        code = buf_addf(&d->line, "%s%02x", i == 0 ? "\"" : "", (unsigned)(unsigned char)record->data.ptr[i]);
    if (code == ERR_OK)
        code = buf_adds(&d->line, text ? "}" : "\"}");
    return code == ERR_OK ? dump_line(d) : code;
}

/* The shape that the `file` pusher writes. Newlines between tokens become blanks: a JSON string holds none. */
static int dump_row(struct dump *d, const struct record *record, const struct epoch *epoch, uint32_t row,
                    struct slice uuid)
{
    char id[ROW_ID_LEN + 1], received[40];
    struct slice data = record_row(record, row);
    struct row_span span = record_span(record, row);
    row_id_text(epoch, record->position, row, id);
    stamp(record->received_us, received);
    buf_clear(&d->line);
    int code = buf_addf(&d->line, "{\"id\":\"%s\",\"uuid\":", id);
    if (code == ERR_OK)
        code = buf_add_json(&d->line, uuid);
    if (code == ERR_OK && span.index != INDEX_NONE)
        code = buf_addf(&d->line, ",\"index\":%" PRIu64, span.index);
    if (code == ERR_OK)
        code = buf_addf(&d->line, ",\"received\":\"%s\",\"data\":", received);
    size_t from = d->line.len;
    if (code == ERR_OK)
        code = buf_add(&d->line, data.ptr, data.len);
    for (size_t i = from; i < d->line.len; i++)
        if (d->line.ptr[i] == '\n' || d->line.ptr[i] == '\r')
            d->line.ptr[i] = ' ';
    if (code == ERR_OK)
        code = buf_addc(&d->line, '}');
    return code == ERR_OK ? dump_line(d) : code;
}

static int dump_record(void *arg, const struct record *record, const struct epoch *epoch)
{
    struct dump *d = arg;
    char id[BATCH_ID_LEN + 1];
    struct slice uuid = {0};
    batch_id_text(epoch, record->position, id);
    context_get(record->context, CONTEXT_UUID, &uuid);
    buf_clear(&d->line);
    if (record->type == RECORD_POSITION)
        return d->rows ? ERR_OK : dump_position(d, record, id);
    if (!d->rows)
        return dump_set(d, record, id, uuid);
    int code = ERR_OK;
    for (uint32_t row = 0; code == ERR_OK && row < record->rows; row++)
        code = dump_row(d, record, epoch, row, uuid);
    return code;
}

static int dump_damage(void *arg, struct read_damage damage, const char *what)
{
    struct dump *d = arg;
    d->damaged = true;
    say_note("damage: positions %" PRIu64 " to %" PRIu64 ": %s", damage.from, damage.to,
             what == NULL ? "not readable" : what);
    return 0;
}

static int dump_segment(void *arg, const struct segment_header *header, const char *file)
{
    (void)arg;
    (void)header;
    (void)file;
    return 0;
}

int verb_journal_dump(int argc, char **argv)
{
    struct args a;
    struct err e = {0};
    char dir[PATH_MAX];
    int exit = args_parse(&a, "journal dump", argc, argv);
    if (exit == EXIT_DONE)
        exit = args_expect(&a, 0, 1);
    if (exit == EXIT_DONE)
        exit = journal_dir(&a, dir);
    if (exit == EXIT_DONE) {
        struct dump d = {.rows = args_has(&a, OPT_ROWS)};
        buf_init(&d.line, LINE_MAX_BYTES);
        struct journal_visitor visitor = {dump_segment, dump_record, dump_damage, &d};
        int code = journal_walk(dir, &visitor, &e);
        exit = code != ERR_OK ? walk_failed(code, dir, &e) : d.damaged ? EXIT_REFUSED : EXIT_DONE;
        buf_free(&d.line);
    }
    args_fini(&a);
    return exit;
}

/* --- repair --- */

int verb_journal_repair(int argc, char **argv)
{
    struct args a;
    struct err e = {0};
    char dir[PATH_MAX], beside[PATH_MAX + 16];
    int exit = args_parse(&a, "journal repair", argc, argv);
    if (exit == EXIT_DONE)
        exit = args_expect(&a, 0, 1);
    if (exit == EXIT_DONE)
        exit = journal_dir(&a, dir);
    if (exit == EXIT_DONE) {
        size_t len = strlen(dir);
        while (len > 1 && dir[len - 1] == '/')
            len--;
        snprintf(beside, sizeof beside, "%.*s.repaired", (int)len, dir);
        const char *into = args_value(&a, OPT_INTO, beside);
        int code = journal_repair(dir, into, &e);
        if (code == ERR_OK)
            printf("What is whole is in %s, with the same ids; the old journal is untouched.\n"
                   "To use it, stop the daemon, move %s away and %s into its place.\n",
                   into, dir, into);
        else
            exit = walk_failed(code, dir, &e);
    }
    args_fini(&a);
    return exit;
}
