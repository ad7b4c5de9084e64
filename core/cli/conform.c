/* What the items of the conformance run stand on: a host with the test's settings, rows, the far end's commands, and a
 * watch over every push for what is wrong wherever it happens. An item is a function that ends with conform_fail,
 * conform_skip, or nothing, which is passed. Each begins with a fresh host; the far end stays as the one before left
 * it, up. */
#include "cli/conform.h"

#include "base/check.h"
#include "base/sys.h"
#include "cli/nap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRIES = 20, WAIT_LEAST_MS = 10, WAIT_MOST_MS = 250, GRACE_MS = 2000, FAR_MS = 120000, STATUS_LOST = 127 };

/* --- findings --- */

bool conform_fail(struct conform *c, const char *mend, const char *format, ...)
{
    va_list args;
    if (c->finding->state != ITEM_PASSED)
        return false;
    c->finding->state = ITEM_FAILED;
    va_start(args, format);
    vsnprintf(c->finding->text, sizeof c->finding->text, format, args);
    va_end(args);
    snprintf(c->finding->mend, sizeof c->finding->mend, "%s", mend);
    return false;
}

bool conform_skip(struct conform *c, const char *why)
{
    if (c->finding->state != ITEM_PASSED)
        return false;
    c->finding->state = ITEM_NOT_EXERCISED;
    snprintf(c->finding->text, sizeof c->finding->text, "%s", why);
    return false;
}

bool conform_applies(const struct conform *c, enum item_id id)
{
    static const bool pullers[ITEM_COUNT] = {
        [ITEM_LOAD] = true, [ITEM_SYMBOLS] = true,   [ITEM_OPTIONS] = true, [ITEM_OPEN] = true,    [ITEM_PULL] = true,
        [ITEM_STOP] = true, [ITEM_OPEN_DOWN] = true, [ITEM_PROBE] = true,   [ITEM_SECRETS] = true,
    };
    bool far = id == ITEM_OPEN_DOWN || id == ITEM_DOWN || id == ITEM_REOPEN || id == ITEM_PROBE;
    uint32_t kind = c->loaded ? c->subject.about.kind : HG_PUSHER;
    if (kind == HG_PULLER)
        return pullers[id];
    return id != ITEM_PULL && (kind != HG_PROCESSOR || !far); /* a processor has no far end */
}

void conform_item(struct conform *c, enum item_id id, struct finding *out)
{
    *out = (struct finding){.state = ITEM_PASSED};
    c->finding = out;
    buf_clear(&c->log);
    if (id != ITEM_LOAD && !c->loaded)
        (void)conform_skip(c, "it does not load");
    else if (id >= ITEM_IDLE && id <= ITEM_VALGRIND)
        conform_cost(c, id);
    else if (id == ITEM_LOAD || id == ITEM_SYMBOLS || id == ITEM_OPTIONS || id == ITEM_OPEN || id == ITEM_OPEN_DOWN ||
             id == ITEM_STOP || id == ITEM_PULL || id == ITEM_INSTANCES || id == ITEM_REOPEN || id == ITEM_PROBE ||
             id == ITEM_SECRETS)
        conform_life(c, id);
    else
        conform_rows_in(c, id);
    solo_kill(&c->solo);
}

/* --- rows --- */

size_t conform_set(struct conform *c, const char *json)
{
    struct err e = {.text = ""};
    size_t first = c->tape.count;
    if (tape_add(&c->tape, slice_of(json), false, &e) == ERR_OK && c->tape.count > first)
        return first;
    (void)conform_fail(c, "correct the row in check.ini", "a row of the test is none: %s", e.text);
    return c->tape.count;
}

size_t conform_rows(struct conform *c, const char *data, size_t count)
{
    struct buf json;
    buf_init(&json, 64 << 20);
    int code = buf_addf(&json, "{\"uuid\":\"check-%u\",\"rows\":[", ++c->uuids);
    for (size_t i = 0; code == ERR_OK && i < count; i++)
        code = buf_addf(&json, "%s{\"index\":%zu,\"data\":%s}", i == 0 ? "" : ",", i, data);
    if (code == ERR_OK)
        code = buf_adds(&json, "]}");
    size_t first = code == ERR_OK ? conform_set(c, buf_str(&json)) : c->tape.count;
    buf_free(&json);
    return first;
}

/* --- the watch --- */

/* A row that was delivered behind one of its uuid that was not. */
static void watch_order(struct conform *c, const struct solo_push *push)
{
    for (uint32_t i = 0; i < push->count; i++) {
        if (push->rows[i].verdict != 0 && push->rows[i].verdict != HG_RETRY)
            continue;
        for (uint32_t n = i + 1; n < push->count; n++) {
            bool same = c->tape.rows[push->rows[n].row].uuid_hash == c->tape.rows[push->rows[i].row].uuid_hash;
            if (!same || push->rows[n].verdict != HG_OK)
                continue;
            snprintf(c->watch.order, sizeof c->watch.order,
                     "in one push row %u was to be tried again, and row %u of the same uuid was delivered", i, n);
            return;
        }
    }
}

void conform_watch(struct conform *c, const struct solo_push *push)
{
    struct watch *w = &c->watch;
    if (push->bad_result)
        snprintf(w->bad_result, sizeof w->bad_result, "%.190s", push->reason);
    if (push->result == HG_NOT_NOW && !push->bad_result && push->reason[0] == '\0')
        snprintf(w->no_reason, sizeof w->no_reason, "push() returned HG_NOT_NOW without saying why (api->not_now)");
    for (uint32_t i = 0; i < push->count; i++) {
        const struct solo_row *row = &push->rows[i];
        if (row->unjudged)
            snprintf(w->forgotten, sizeof w->forgotten, "HG_JUDGED was returned, but row %u of %u was not judged", i,
                     push->count);
        if (row->verdict == HG_REJECT && row->reason[0] == '\0')
            snprintf(w->no_reason, sizeof w->no_reason, "a row was refused without a reason");
    }
    watch_order(c, push);
}

static void conform_hear(void *arg, int level, struct slice text)
{
    struct conform *c = arg;
    (void)level;
    (void)!buf_addf(&c->log, SLICE_FMT "\n", SLICE_ARG(text));
    const char *found = memmem(text.ptr, text.len, "verdicts that are none", 22);
    if (found != NULL)
        snprintf(c->watch.wild, sizeof c->watch.wild, SLICE_FMT, (int)(text.len < 190 ? text.len : 190), text.ptr);
    for (size_t i = 0; i < c->subject.about.count; i++)
        for (size_t n = 0; n < c->subject.count; n++) {
            const struct setting *s = &c->subject.settings[n];
            bool secret = (c->subject.about.options[i].flags & HG_SECRET) != 0 &&
                          strcmp(c->subject.about.options[i].name, s->name) == 0 && strlen(s->value) >= 6;
            if (secret && memmem(text.ptr, text.len, s->value, strlen(s->value)) != NULL)
                snprintf(c->watch.secret, sizeof c->watch.secret, "the value of %.60s stands in a line of the log",
                         s->name);
        }
}

/* --- hosts --- */

void conform_prepare(struct conform *c, struct solo *s)
{
    subject_solo(&c->subject, s);
    s->setup.timeout_ms = c->timeout_ms;
    s->log = conform_hear;
    s->arg = c;
}

bool conform_lost(struct conform *c, struct solo *s, enum solo_wait wait, const char *when)
{
    char how[128];
    const char *tail = buf_str(&c->log);
    size_t len = strlen(tail);
    tail += len > 300 ? len - 300 : 0;
    switch (wait) {
    case SOLO_OK: return true;
    case SOLO_FAILED:
        return conform_fail(c, "check the options in check.ini; headgate plugin run tries it by hand",
                            "it does not open (%s): %s", s->result == HG_OPEN_NOT_NOW ? "not now" : "broken",
                            s->reason[0] != '\0' ? s->reason : "no reason given");
    case SOLO_ENDED:
        solo_status_text(s, how, sizeof how);
        return conform_fail(c, "headgate plugin run --gdb (or --valgrind) F.so FILE shows where",
                            "the process ended %s: %s%s%s", when, how, tail[0] != '\0' ? "; its last words: " : "",
                            tail);
    case SOLO_LATE:
        solo_kill(s);
        return conform_fail(c, "give every call of the far end a time limit; ask api->time_left, wait with api->wait",
                            "it did not return within %lld ms %s", (long long)c->timeout_ms, when);
    case SOLO_NONSENSE:
        solo_kill(s);
        return conform_fail(c, "close only what the plugin opened; descriptors 0 to 4 are the host's", "%s", s->reason);
    }
    return false;
}

bool conform_begin(struct conform *c, struct solo *s)
{
    struct err e = {.text = ""};
    conform_prepare(c, s);
    if (solo_start(s, &e) != ERR_OK)
        return conform_fail(c, "", "%s", e.text);
    return conform_lost(c, s, solo_ready(s, c->timeout_ms + GRACE_MS), "in start() or open()");
}

bool conform_end(struct conform *c, struct solo *s)
{
    enum solo_wait wait = solo_stop(s, c->timeout_ms + GRACE_MS);
    if (wait == SOLO_ENDED && s->status == 0)
        return true;
    return conform_lost(c, s, wait, "in flush(), close() or stop()");
}

bool conform_push(struct conform *c, struct solo *s, size_t first, const size_t *list, size_t count, uint32_t attempt)
{
    if (solo_hand(s, 0, &c->tape, first, list, count, attempt, &c->push) != ERR_OK)
        return conform_lost(c, s, solo_end(s, GRACE_MS), "between two pushes");
    enum solo_wait wait = solo_done(s, 0, c->timeout_ms + GRACE_MS);
    if (wait != SOLO_OK)
        return conform_lost(c, s, wait, "in push()");
    conform_watch(c, &c->push);
    return true;
}

/* Rows of the last push that come again; false: one never will be delivered. */
static bool deliver_rest(struct conform *c, size_t *list, size_t *count, int64_t *wait_ms)
{
    *count = 0;
    *wait_ms = c->push.after_ms;
    for (uint32_t i = 0; i < c->push.count; i++) {
        const struct solo_row *row = &c->push.rows[i];
        if (row->verdict == HG_REJECT || row->verdict == HG_SKIP)
            return conform_fail(c, "is the row in check.ini good?", "a good row was %s: %s",
                                row->verdict == HG_SKIP ? "skipped" : "refused", row->reason);
        if (row->verdict == HG_OK || row->verdict == HG_DUPLICATE)
            continue;
        list[(*count)++] = row->row;
        *wait_ms = row->after_ms > *wait_ms ? row->after_ms : *wait_ms;
    }
    return true;
}

bool conform_deliver(struct conform *c, struct solo *s, size_t first, size_t count, uint32_t attempt)
{
    static size_t list[SOLO_ROWS_MAX];
    const size_t *rows = NULL;
    int64_t wait_ms = 0, deadline = clock_ms() + c->timeout_ms;
    for (uint32_t tries = 0;; tries++) {
        if (!conform_push(c, s, first, rows, count, attempt + tries) || !deliver_rest(c, list, &count, &wait_ms))
            return false;
        rows = list;
        if (count == 0)
            return true;
        if (tries >= TRIES && clock_ms() > deadline)
            break;
        nap_ms(wait_ms < WAIT_LEAST_MS ? WAIT_LEAST_MS : wait_ms < WAIT_MOST_MS ? wait_ms : WAIT_MOST_MS);
    }
    return conform_fail(c, "is the far end up? does it connect again after it was away?",
                        "good rows were not delivered in %d tries and %lld ms; the last answer: %s", TRIES,
                        (long long)c->timeout_ms, c->push.reason[0] != '\0' ? c->push.reason : c->push.rows[0].reason);
}

/* --- the far end --- */

static _Noreturn void far_exec(const struct conform *c, const char *command, int out)
{
    int null = open("/dev/null", O_RDONLY);
    if (chdir(c->folder) == 0 && null >= 0 && dup2(null, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0)
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(STATUS_LOST);
}

/* Output into `out`; 0, or how the shell ended. A command may leave a server behind that keeps what it prints open, so
 * the output goes into a file, and only the shell itself is waited for. */
static int far_run(struct conform *c, const char *command, char *out, size_t size)
{
    int status = -1, file = memfd_create("output", MFD_CLOEXEC);
    pid_t pid = file < 0 ? -1 : sys->fork();
    if (pid == 0)
        far_exec(c, command, file);
    int64_t deadline = clock_ms() + FAR_MS;
    pid_t ended = pid < 0 ? pid : 0;
    bool late = false;
    while (ended == 0 && (ended = waitpid(pid, &status, WNOHANG)) == 0) {
        nap_ms(1);
        if (clock_ms() <= deadline)
            continue;
        late = true;
        (void)kill(pid, SIGKILL);
    }
    ssize_t n = file < 0 ? -1 : sys->pread(file, out, size - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    if (late)
        snprintf(out, size, "it took more than %d s", FAR_MS / 1000);
    if (file >= 0)
        sys->close(file);
    return status;
}

bool conform_far(struct conform *c, const char *command)
{
    char out[400];
    if (command == NULL)
        return true;
    int status = far_run(c, command, out, sizeof out);
    return status == 0 ? true
                       : conform_fail(c, "correct the command in check.ini", "`%.200s` failed: %s", command, out);
}

int64_t conform_count(struct conform *c)
{
    char out[400];
    if (c->count == NULL)
        return -1;
    (void)far_run(c, c->count, out, sizeof out);
    return strtoll(out, NULL, 10);
}

bool conform_grew(struct conform *c, int64_t before, int64_t more, const char *after_what)
{
    int64_t now = conform_count(c);
    if (before < 0 || now == before + more)
        return true;
    return conform_fail(c,
                        now < before + more
                            ? "say OK only when the far end has confirmed the row"
                            : "make the row id the key at the far end, or keep what was sent in the durable state",
                        "%s the far end should hold %lld rows more, and holds %lld", after_what, (long long)more,
                        (long long)(now - before));
}

void conform_fini(struct conform *c)
{
    solo_kill(&c->solo);
    for (size_t i = 0; i < c->second_count; i++) {
        free(c->second[i].name);
        free(c->second[i].value);
    }
    free(c->good);
    free(c->bad);
    free(c->up);
    free(c->down);
    free(c->count);
    buf_free(&c->log);
    tape_close(&c->tape);
    subject_close(&c->subject);
}
