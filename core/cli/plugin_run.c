/* `headgate plugin run F.so < rows.ndjson`: a plugin in its real host, alone. Rows come from a file or standard input,
 * verdicts go to the terminal, a line a row; what the plugin logs goes to standard error. There is no journal and no
 * daemon: RETRY and not-now are tried again a few times here, and nothing is kept.
 *
 * A processor runs before the pusher `stdout`, so what it makes of the rows is shown as well.
 * A puller is called until it has nothing more; what it emits goes to standard output, a document a line.
 *
 * --gdb and --valgrind put the host under the one or the other. --fault makes the repeats that a plugin meets in
 * operation: rows that it delivered come again, or the host is killed in the middle of a push. */
#include "cli/nap.h"
#include "cli/parcel.h"
#include "cli/say.h"
#include "cli/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TRIES_MAX = 5,
    WAIT_MAX_MS = 1000,
    GRACE_MS = 2000,
    FOREVER_MS = 24 * 3600 * 1000, /* somebody sits at a debugger */
    VALGRIND_FACTOR = 20,
    VALGRIND_FOUND = 99,
    RULE_ROWS = 100000, /* as http.max_rows and rows.max_depth are by default */
    RULE_DEPTH = 32,
};

enum strike { STRIKE_NONE, STRIKE_RETRY, STRIKE_KILL };

struct plugin_run {
    struct args args;
    struct subject subject;
    struct solo solo;
    struct tape tape;
    enum strike strike;
    double share;
    int64_t batch, timeout_ms;
    uint64_t told[HG_REJECT + 1], given_up, pushes, faults;
    int64_t push_us;
};

static const char *const valgrind_words[] = {"valgrind",
                                             "--quiet",
                                             "--leak-check=full",
                                             "--errors-for-leak-kinds=definite",
                                             "--num-callers=30",
                                             "--error-exitcode=99",
                                             NULL};
static const char *const gdb_words[] = {
    "gdb", "--quiet", "-ex", "set breakpoint pending on", "-ex", "handle SIGPIPE nostop noprint pass", "--args", NULL};

/* --- what is shown --- */

static void show_log(void *arg, int level, struct slice text)
{
    static const char *const words[] = {"error", "warn", "info", "debug"};
    char raw[4096], clean[4096];
    const struct plugin_run *r = arg;
    if (r->subject.about.kind == HG_PROCESSOR && level == HG_LOG_INFO && text.len > 0 && text.ptr[0] == '{') {
        printf(SLICE_FMT "\n", SLICE_ARG(text)); /* a row, by `stdout` */
        return;
    }
    snprintf(raw, sizeof raw, SLICE_FMT, SLICE_ARG(text));
    say_clean(clean, sizeof clean, raw, sizeof clean);
    fprintf(stderr, "%-5s %s\n", words[level & 3], clean);
}

static const char *verdict_word(uint32_t verdict)
{
    static const char *const words[] = {"not now", "OK", "DUPLICATE", "SKIP", "RETRY", "REJECT"};
    return words[verdict <= HG_REJECT ? verdict : 0];
}

static void show_row(const struct plugin_run *r, const struct solo_row *row, uint32_t attempt)
{
    char id[ROW_ID_LEN + 1], raw[512], data[128], reason[400];
    tape_row_id(&r->tape, row->row, id);
    snprintf(raw, sizeof raw, SLICE_FMT, SLICE_ARG(tape_data(&r->tape, row->row)));
    say_clean(data, sizeof data, raw, 60);
    say_clean(reason, sizeof reason, row->reason, 200);
    printf("%-9s %s %u  %s", verdict_word(row->verdict), id, attempt, data);
    if (row->after_ms > 0)
        printf("  after %lld ms", (long long)row->after_ms);
    if (row->unjudged)
        printf("  (forgotten by the plugin)");
    if (reason[0] != '\0')
        printf("  %s", reason);
    putchar('\n');
}

/* --- rows in --- */

static int rows_flush(struct plugin_run *r, struct parcel *parcel, struct err *e)
{
    if (parcel->count == 0)
        return ERR_OK;
    int code = parcel_build(parcel, args_value(&r->args, OPT_UUID, "run"), 0, parcel->count);
    if (code != ERR_OK)
        return err_set(e, code, "no memory for the rows");
    struct err fault = {.text = ""};
    code = tape_add(&r->tape, buf_slice(&parcel->body), parcel->documents, &fault);
    if (code != ERR_OK)
        err_set(e, code, "line %llu: %.300s", (unsigned long long)parcel_line_of_byte(parcel, r->tape.fault_at),
                fault.text);
    parcel_clear(parcel);
    return code;
}

static int rows_read(struct plugin_run *r, struct rowfile *file, struct err *e)
{
    struct parcel parcel;
    struct row row;
    int code = parcel_init(&parcel, PARCEL_ROWS, file->documents);
    while (code == ERR_OK && (code = rowfile_next(file, &row, e)) == ERR_OK) {
        parcel.documents = file->documents;
        if (!parcel_takes(&parcel, &row))
            code = rows_flush(r, &parcel, e);
        if (code == ERR_OK)
            code = parcel_add(&parcel, &row);
    }
    code = code == ERR_NOTFOUND ? rows_flush(r, &parcel, e) : code;
    parcel_fini(&parcel);
    return code;
}

static int rows_open(struct plugin_run *r)
{
    const char *path = r->args.rest_count > 1 ? r->args.rest[1] : NULL;
    struct err e = {.text = ""};
    struct input input;
    struct rowfile file;
    struct rowfile_options options = {.format = path == NULL ? ROWFILE_NDJSON : ROWFILE_UNKNOWN,
                                      .csv = {.decimal = '.'}};
    const char *format = args_value(&r->args, OPT_FORMAT, NULL);
    if (format != NULL && rowfile_format(format, &options) != ERR_OK)
        return say_error(EXIT_USAGE, "--format: expected ndjson, json, csv or tsv, found \"%s\"", format);
    int code = tape_open(&r->tape, &e);
    if (code != ERR_OK)
        return say_error(exit_of(code), "%s", e.text);
    if ((code = input_open(&input, path, &e)) != ERR_OK)
        return say_error(exit_of(code), "%s", e.text);
    code = rowfile_open(&file, &input, &options, &e);
    if (code == ERR_OK)
        code = rowfile_begin(&file, &e);
    if (code == ERR_OK)
        code = rows_read(r, &file, &e);
    if (code != ERR_OK)
        (void)say_error(exit_of(code), "%s: %s", input.name, e.text);
    rowfile_close(&file);
    input_close(&input);
    return exit_of(code);
}

/* --- the host --- */

/* What became of it, for people; EXIT_REFUSED. */
static int host_lost(struct plugin_run *r, enum solo_wait wait, const char *when)
{
    struct solo *s = &r->solo;
    char how[128];
    switch (wait) {
    case SOLO_FAILED:
        return say_error(s->result == HG_OPEN_NOT_NOW ? EXIT_UNREACHABLE : EXIT_CONFIG, "%s: it does not open%s: %s",
                         r->subject.about.name, s->result == HG_OPEN_NOT_NOW ? " now" : "",
                         s->reason[0] != '\0' ? s->reason : "no reason given (api->fail)");
    case SOLO_ENDED:
        solo_status_text(s, how, sizeof how);
        return say_error(EXIT_REFUSED, "the host ended %s: %s; --gdb and --valgrind tell more", when, how);
    case SOLO_LATE:
        solo_kill(s);
        return say_error(EXIT_REFUSED, "it took longer than %lld ms %s; the daemon would have killed it",
                         (long long)r->timeout_ms, when);
    case SOLO_NONSENSE: solo_kill(s); return say_error(EXIT_REFUSED, "%s", s->reason);
    case SOLO_OK: break;
    }
    return EXIT_DONE;
}

static int host_start(struct plugin_run *r)
{
    struct err e = {.text = ""};
    int code = solo_start(&r->solo, &e);
    if (code != ERR_OK)
        return say_error(exit_of(code), "%s", e.text);
    enum solo_wait wait = solo_ready(&r->solo, r->timeout_ms + GRACE_MS);
    return wait == SOLO_OK ? EXIT_DONE : host_lost(r, wait, "in start() or open()");
}

static bool fault_strikes(struct plugin_run *r, enum strike kind)
{
    bool strikes = r->strike == kind && drand48() < r->share;
    r->faults += strikes;
    return strikes;
}

/* One hand-out and its end. `*killed`: by us, on purpose. */
static int push_once(struct plugin_run *r, size_t first, const size_t *list, size_t count, uint32_t attempt,
                     struct solo_push *push, bool *killed)
{
    *killed = false;
    if (solo_hand(&r->solo, 0, &r->tape, first, list, count, attempt, push) != ERR_OK)
        return host_lost(r, solo_end(&r->solo, GRACE_MS), "between two pushes");
    enum solo_wait wait = solo_taken(&r->solo, 0, r->timeout_ms + GRACE_MS);
    if (wait == SOLO_OK && fault_strikes(r, STRIKE_KILL)) {
        solo_kill(&r->solo);
        *killed = true;
        printf("killed in the middle of a push of %zu rows\n", count);
        return host_start(r);
    }
    if (wait == SOLO_OK)
        wait = solo_done(&r->solo, 0, r->timeout_ms + GRACE_MS);
    if (wait != SOLO_OK)
        return host_lost(r, wait, "in push()");
    r->pushes++;
    r->push_us += push->push_us;
    if (push->bad_result)
        say_note("%s", push->reason);
    return EXIT_DONE;
}

/* Rows that come again into `list`; how many there are. */
static size_t push_judge(struct plugin_run *r, const struct solo_push *push, uint32_t attempt, size_t *list,
                         int64_t *wait_ms)
{
    size_t again = 0;
    *wait_ms = push->result == HG_NOT_NOW ? push->after_ms : 0;
    for (uint32_t i = 0; i < push->count; i++) {
        const struct solo_row *row = &push->rows[i];
        show_row(r, row, attempt);
        bool comes_again = row->verdict == 0 || row->verdict == HG_RETRY;
        if (!comes_again && fault_strikes(r, STRIKE_RETRY) && row->verdict != HG_REJECT)
            comes_again = true;
        else
            r->told[row->verdict]++;
        if (!comes_again)
            continue;
        list[again++] = row->row;
        *wait_ms = row->after_ms > *wait_ms ? row->after_ms : *wait_ms;
    }
    return again;
}

/* A batch, until every row of it has its verdict or was tried often enough. */
static int push_batch(struct plugin_run *r, size_t first, size_t count)
{
    static struct solo_push push;
    static size_t list[SOLO_ROWS_MAX];
    const size_t *rows = NULL;
    uint32_t tries = 1;
    for (uint32_t attempt = 1;; attempt++) {
        bool killed;
        int64_t wait_ms;
        int exit = push_once(r, first, rows, count, attempt, &push, &killed);
        if (exit != EXIT_DONE)
            return exit;
        if (killed)
            continue;
        if (push.result == HG_NOT_NOW)
            printf("not now   %s\n", push.reason[0] != '\0' ? push.reason : "no reason given");
        uint64_t faults = r->faults;
        count = push_judge(r, &push, attempt, list, &wait_ms);
        rows = list;
        if (count == 0)
            return EXIT_DONE;
        if (r->faults == faults && ++tries > TRIES_MAX) {
            r->given_up += count;
            return EXIT_DONE;
        }
        nap_ms(wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
    }
}

/* As many rows as go into one push; a row set is not split where that is the unit. */
static size_t batch_count(const struct plugin_run *r, size_t first)
{
    size_t count = r->tape.count - first;
    if (count <= (size_t)r->batch)
        return count;
    count = (size_t)r->batch;
    const struct tape_row *rows = &r->tape.rows[first];
    if (!r->solo.whole_sets)
        return count;
    while (count > 0 && rows[count].set == rows[count - 1].set)
        count--;
    while (count < SOLO_ROWS_MAX && first + count < r->tape.count &&
           (count == 0 || rows[count].set == rows[count - 1].set))
        count++;
    return count;
}

static int summary(const struct plugin_run *r)
{
    const uint64_t *n = r->told;
    fflush(stdout);
    say_note("%zu rows: %llu OK, %llu duplicate, %llu skipped, %llu refused, %llu given up; %llu pushes, %.1f ms each",
             r->tape.count, (unsigned long long)n[HG_OK], (unsigned long long)n[HG_DUPLICATE],
             (unsigned long long)n[HG_SKIP], (unsigned long long)n[HG_REJECT], (unsigned long long)r->given_up,
             (unsigned long long)r->pushes, r->pushes == 0 ? 0.0 : (double)r->push_us / 1000.0 / (double)r->pushes);
    return r->given_up > 0 ? EXIT_UNREACHABLE : n[HG_REJECT] > 0 ? EXIT_REFUSED : EXIT_DONE;
}

static int run_rows(struct plugin_run *r)
{
    int exit = host_start(r);
    for (size_t first = 0, count; exit == EXIT_DONE && first < r->tape.count; first += count) {
        count = batch_count(r, first);
        exit = push_batch(r, first, count);
    }
    if (exit != EXIT_DONE)
        return exit;
    enum solo_wait wait = solo_stop(&r->solo, r->timeout_ms + GRACE_MS);
    if (wait == SOLO_ENDED && WIFEXITED(r->solo.status) && WEXITSTATUS(r->solo.status) == VALGRIND_FOUND)
        return say_error(EXIT_REFUSED, "valgrind found something; see above");
    if (wait != SOLO_ENDED || r->solo.status != 0)
        return host_lost(r, wait, "in close() or stop()");
    return summary(r);
}

/* --- a puller --- */

struct shown {
    struct scan *scan;
    uint64_t rows, refused;
};

/* What it emits goes to standard output as it would go to the journal, when it is what the daemon would take. */
static int show_emission(void *arg, struct slice documents, const struct slice *position, char reason[200],
                         uint32_t *bad_set)
{
    struct shown *s = arg;
    const struct scan_rules rules = {.max_rows = RULE_ROWS, .max_depth = RULE_DEPTH, .ndjson = true};
    uint32_t count;
    if (documents.len > 0 && scan_body(s->scan, &rules, documents) != ERR_OK) {
        const struct fault *f = scan_faults(s->scan, &count);
        snprintf(reason, 200, SLICE_FMT "%s" SLICE_FMT, SLICE_ARG(f->pointer), f->pointer.len > 0 ? ": " : "",
                 SLICE_ARG(f->detail));
        *bad_set = f->line > 0 ? (uint32_t)f->line - 1 : 0;
        s->refused++;
        say_note("refused: %s", reason);
        return HG_EMIT_REFUSED;
    }
    s->rows += documents.len > 0 ? scan_rows(s->scan) : 0;
    fwrite(documents.ptr, 1, documents.len, stdout);
    fflush(stdout);
    if (position != NULL) {
        char raw[512], clean[512];
        snprintf(raw, sizeof raw, SLICE_FMT, SLICE_ARG(*position));
        say_clean(clean, sizeof clean, raw, 200);
        say_note("position: %s", clean);
    }
    return HG_EMITTED;
}

/* Until it has nothing more, or cannot. */
static int pull_all(struct plugin_run *r, struct shown *shown)
{
    static const char *const words[] = {"", "may have more", "has nothing more", "says not now", "is broken"};
    struct solo_pull pull = {.emitted = show_emission, .arg = shown};
    int exit = host_start(r);
    uint64_t calls = 0;
    while (exit == EXIT_DONE) {
        solo_pull(&r->solo, &pull);
        enum solo_wait wait = solo_pulled(&r->solo, FOREVER_MS);
        calls++;
        if (wait != SOLO_OK)
            return host_lost(r, wait, "in pull()");
        if (pull.result != HG_PULLED)
            break;
    }
    if (exit != EXIT_DONE)
        return exit;
    enum solo_wait wait = solo_stop(&r->solo, r->timeout_ms + GRACE_MS);
    if (wait != SOLO_ENDED || r->solo.status != 0)
        return host_lost(r, wait, "in close() or stop()");
    say_note("%s %s%s%s: %llu rows in %llu calls, %llu refused", r->subject.about.name,
             words[pull.result <= HG_PULL_BROKEN ? pull.result : 0], pull.reason[0] != '\0' ? ": " : "", pull.reason,
             (unsigned long long)shown->rows, (unsigned long long)calls, (unsigned long long)shown->refused);
    return pull.result == HG_PULL_BROKEN    ? EXIT_CONFIG
           : pull.result == HG_PULL_NOT_NOW ? EXIT_UNREACHABLE
           : shown->refused > 0             ? EXIT_REFUSED
                                            : EXIT_DONE;
}

static int run_puller(struct plugin_run *r)
{
    struct shown shown = {.scan = scan_new()};
    int exit = shown.scan == NULL ? say_error(EXIT_INTERNAL, "out of memory") : pull_all(r, &shown);
    scan_free(&shown.scan);
    return exit;
}

/* --- options --- */

static int read_fault(struct plugin_run *r)
{
    const char *text = args_value(&r->args, OPT_FAULT, NULL);
    if (text == NULL)
        return EXIT_DONE;
    const char *colon = strchr(text, ':'), *number = colon == NULL ? "" : colon + 1;
    char *end;
    r->share = strtod(number, &end);
    r->strike = strncmp(text, "retry:", 6) == 0  ? STRIKE_RETRY
                : strncmp(text, "kill:", 5) == 0 ? STRIKE_KILL
                                                 : STRIKE_NONE;
    if (r->strike == STRIKE_NONE || end == number || *end != '\0' || !(r->share >= 0 && r->share < 1))
        return say_error(EXIT_USAGE, "--fault: expected retry:P or kill:P with P from 0 to below 1, found \"%s\"",
                         text);
    return EXIT_DONE;
}

static int read_options(struct plugin_run *r)
{
    r->batch = 100;
    r->timeout_ms = 30000;
    int exit = args_number(&r->args, OPT_BATCH_ROWS, 1, SOLO_ROWS_MAX, &r->batch);
    if (exit == EXIT_DONE)
        exit = args_duration(&r->args, OPT_TIMEOUT, &r->timeout_ms);
    if (exit == EXIT_DONE)
        exit = read_fault(r);
    if (exit == EXIT_DONE && args_has(&r->args, OPT_GDB) && args_has(&r->args, OPT_VALGRIND))
        exit = say_error(EXIT_USAGE, "--gdb and --valgrind exclude each other");
    if (exit == EXIT_DONE && args_has(&r->args, OPT_GDB) && r->args.rest_count < 2)
        exit = say_error(EXIT_USAGE, "--gdb needs the terminal: give the rows as a file");
    return exit;
}

static int prepare(struct plugin_run *r)
{
    int exit = subject_open(&r->subject, r->args.rest[0], NULL);
    if (exit == EXIT_DONE)
        exit = subject_environment(&r->subject);
    if (exit == EXIT_DONE)
        exit = subject_arguments(&r->subject, &r->args);
    if (exit == EXIT_DONE && r->subject.about.kind == HG_PROCESSOR)
        exit = subject_carry(&r->subject, "stdout");
    if (exit == EXIT_DONE && r->subject.about.kind != HG_PULLER)
        exit = rows_open(r);
    if (exit != EXIT_DONE)
        return exit;
    subject_solo(&r->subject, &r->solo);
    r->solo.log = show_log;
    r->solo.arg = r;
    if (args_has(&r->args, OPT_GDB)) {
        r->solo.wrapper = gdb_words;
        r->solo.terminal = true;
        r->timeout_ms = FOREVER_MS;
    } else if (args_has(&r->args, OPT_VALGRIND)) {
        r->solo.wrapper = valgrind_words;
        r->timeout_ms *= VALGRIND_FACTOR;
    }
    r->solo.setup.timeout_ms = r->timeout_ms;
    return EXIT_DONE;
}

int verb_plugin_run(int argc, char **argv)
{
    static struct plugin_run r; /* large */
    r.tape.fd = -1;
    int exit = args_parse(&r.args, "plugin run", argc, argv);
    if (exit == EXIT_DONE)
        exit = args_expect(&r.args, 1, 2);
    if (exit == EXIT_DONE)
        exit = read_options(&r);
    if (exit == EXIT_DONE && (exit = prepare(&r)) == EXIT_DONE)
        exit = r.subject.about.kind == HG_PULLER ? run_puller(&r) : run_rows(&r);
    solo_kill(&r.solo);
    tape_close(&r.tape);
    subject_close(&r.subject);
    args_fini(&r.args);
    return exit;
}
