/* The daemon's half of the control channel, for one process that somebody watches. What crosses is the same as in
 * operation (descriptors, ranges, verdicts), so that what a plugin does here it does there; what is missing is all that
 * delivery makes of the verdicts. Everything the host says is waited for with a deadline, its log is read meanwhile.
 * Time in which the host waited for a processor does not count (starved.h): who is late is the plugin, not the machine.
 */
#include "cli/solo.h"

#include "base/check.h"
#include "base/sys.h"
#include "cli/starved.h"
#include "delivery/place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SETUP_MAX = 1 << 20,
    LINE_MAX_BYTES = 1 << 16,
    LOOK_MS = 20,
    KILLED_MS = 5000,
    STATUS_LOST = 127,
    EMISSION_MAX = 256 << 20
};

void solo_init(struct solo *s, const char *program)
{
    *s = (struct solo){.program = program, .channel = -1, .logs = -1};
    buf_init(&s->line, LINE_MAX_BYTES);
    buf_init(&s->emission, EMISSION_MAX);
}

/* --- starting --- */

static int setup_file(const struct setup *setup, struct err *e)
{
    struct buf text;
    int fd = memfd_create("setup", MFD_CLOEXEC);
    buf_init(&text, SETUP_MAX);
    int code = setup_write(setup, &text);
    bool written = fd >= 0 && code == ERR_OK && sys->write(fd, text.ptr, text.len) == (ssize_t)text.len;
    if (text.ptr != NULL)
        explicit_bzero(text.ptr, text.cap);
    buf_free(&text);
    if (written)
        return fd;
    if (fd >= 0)
        sys->close(fd);
    (void)err_set(e, ERR_NOMEM, "no memory for the settings");
    return -1;
}

/* In the child, which may only call what is safe after fork(). */
static _Noreturn void solo_exec(const struct solo *s, char **argv, const int wanted[5])
{
    static char *const plain[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC", NULL};
    int high[5];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = s->terminal ? 3 : 0; i < 5; i++)
        high[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, 100);
    for (int i = s->terminal ? 3 : 0; i < 5; i++)
        if (high[i] < 0 || dup2(high[i], i) < 0)
            _exit(STATUS_LOST);
    if (s->wrapper != NULL)
        execvp(argv[0], argv);
    else
        execve(argv[0], argv, plain);
    _exit(STATUS_LOST);
}

static char **solo_words(const struct solo *s)
{
    size_t count = 0;
    while (s->wrapper != NULL && s->wrapper[count] != NULL)
        count++;
    char **words = calloc(count + 2, sizeof *words);
    if (words == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        words[i] = (char *)(uintptr_t)s->wrapper[i];
    words[count] = (char *)(uintptr_t)s->program;
    return words;
}

static int solo_fork(struct solo *s, int setup, struct err *e)
{
    int channel[2], logs[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) != 0)
        return err_errno(e, errno, "no socket pair");
    if (pipe2(logs, O_CLOEXEC) != 0) {
        int error = errno;
        sys->close(channel[0]);
        sys->close(channel[1]);
        return err_errno(e, error, "no pipe");
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    char **words = solo_words(s);
    const int wanted[5] = {null, logs[1], logs[1], channel[1], setup};
    s->pid = words == NULL || null < 0 ? -1 : sys->fork();
    if (s->pid == 0)
        solo_exec(s, words, wanted);
    int error = errno;
    free(words);
    sys->close(null);
    sys->close(logs[1]);
    sys->close(channel[1]);
    s->channel = channel[0];
    s->logs = logs[0];
    (void)fcntl(s->logs, F_SETFL, O_NONBLOCK);
    if (s->pid > 0)
        return ERR_OK;
    s->pid = 0;
    return err_errno(e, error, "no process");
}

int solo_start(struct solo *s, struct err *e)
{
    CHECK(s->pid == 0);
    s->ready = s->confined = false;
    s->crash_signal = 0;
    s->reason[0] = '\0';
    memset(s->lanes, 0, sizeof s->lanes);
    int setup = setup_file(&s->setup, e);
    if (setup < 0)
        return ERR_NOMEM;
    int code = solo_fork(s, setup, e);
    sys->close(setup);
    return code;
}

/* --- sending --- */

static int solo_send(struct solo *s, const void *message, size_t len, int fd)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof fd)];
    } control = {.bytes = {0}};
    struct iovec part = {(void *)(uintptr_t)message, len};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        control.head = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    return sys->sendmsg(s->channel, &m, MSG_NOSIGNAL) == (ssize_t)len ? ERR_OK : ERR_CLOSED;
}

static struct wire_head solo_head(enum wire_type type, uint16_t lane, uint64_t token)
{
    return (struct wire_head){.magic = WIRE_MAGIC, .type = (uint16_t)type, .lane = lane, .token = token};
}

static void solo_simple(struct solo *s, enum wire_type type, uint64_t token)
{
    const struct wire_head head = solo_head(type, 0, token);
    if (s->pid > 0)
        (void)solo_send(s, &head, sizeof head, -1);
}

/* The tape as a segment; a host that has it already closes the second descriptor. */
static int solo_lend(struct solo *s, const struct tape *tape)
{
    struct wire_segment m = {
        .head = solo_head(WIRE_SEGMENT, 0, 0), .store = STORE_JOURNAL, .base = TAPE_BASE, .salt = tape->salt};
    memcpy(m.epoch, tape->epoch.bytes, sizeof m.epoch);
    return solo_send(s, &m, sizeof m, tape->fd);
}

static uint32_t list_items(const struct solo *s, const struct tape *tape, const size_t *list, size_t count,
                           uint32_t attempt, struct wire_item *items)
{
    uint32_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct tape_row *row = &tape->rows[list[i]];
        if (s->whole_sets && i > 0 && tape->rows[list[i - 1]].set == row->set)
            continue;
        items[n] =
            (struct wire_item){.store = STORE_JOURNAL, .attempt = attempt, .base = TAPE_BASE, .place = row->place};
        if (s->whole_sets)
            items[n].place.row = PLACE_SET;
        n++;
    }
    return n;
}

int solo_hand(struct solo *s, uint16_t lane, const struct tape *tape, size_t first, const size_t *list, size_t count,
              uint32_t attempt, struct solo_push *push)
{
    static union {
        struct wire_hand head;
        char bytes[WIRE_MAX];
    } out;
    CHECK(lane < SOLO_LANES && count > 0 && count <= SOLO_ROWS_MAX && s->pid > 0);
    size_t from = list == NULL ? first : list[0];
    push->count = 0;
    s->lanes[lane] =
        (struct solo_lane){.push = push, .tape = tape, .token = ++s->token, .listed = list, .first = first};
    out.head = (struct wire_hand){
        .head = solo_head(WIRE_HAND, lane, s->token),
        .kind = list == NULL ? HAND_RANGE : HAND_LIST,
        .max_rows = (uint32_t)count,
        .max_bytes = UINT32_MAX,
        .base = TAPE_BASE,
        .from = tape->rows[from].place,
        .limit = tape->end,
        .attempt = attempt,
        .timeout_ms = (int32_t)s->setup.timeout_ms,
    };
    if (list != NULL)
        out.head.items = list_items(s, tape, list, count, attempt, (struct wire_item *)(void *)(&out.head + 1));
    int code = solo_lend(s, tape);
    size_t len = sizeof out.head + out.head.items * sizeof(struct wire_item);
    return code == ERR_OK ? solo_send(s, &out, len, -1) : code;
}

void solo_reopen(struct solo *s)
{
    solo_simple(s, WIRE_REOPEN, 0);
}

/* --- what it logs --- */

static void solo_say(struct solo *s)
{
    int level = 2; /* what a plugin prints is information */
    struct slice text = buf_slice(&s->line);
    if (text.len >= 3 && text.ptr[0] == '<' && text.ptr[1] >= '0' && text.ptr[1] <= '3' && text.ptr[2] == '>') {
        level = text.ptr[1] - '0';
        text = slice_make(text.ptr + 3, text.len - 3);
    }
    if (text.len > 0 && s->log != NULL)
        s->log(s->arg, level, text);
    buf_clear(&s->line);
}

static void solo_read_log(struct solo *s)
{
    char bytes[4096];
    ssize_t n;
    while (s->logs >= 0 && (n = sys->read(s->logs, bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < n; i++)
            if (bytes[i] == '\n' || buf_addc(&s->line, bytes[i]) != ERR_OK)
                solo_say(s);
}

/* --- what it says --- */

/* The rows of a push, in order, with what the call said of those that are not listed. */
static void push_expect(struct solo_lane *l, uint32_t rows)
{
    struct solo_push *p = l->push;
    p->count = rows < SOLO_ROWS_MAX ? rows : SOLO_ROWS_MAX;
    for (uint32_t i = 0; i < p->count; i++)
        p->rows[i] = (struct solo_row){.row = l->listed == NULL ? l->first + i : l->listed[i]};
}

static struct solo_row *push_find(struct solo_lane *l, struct wire_place place)
{
    size_t row = tape_find(l->tape, place);
    for (uint32_t i = 0; i < l->push->count; i++)
        if (l->push->rows[i].row == row)
            return &l->push->rows[i];
    return NULL;
}

static bool told_verdicts(struct solo_lane *l, const struct wire_verdicts *m, size_t len)
{
    const char *at = (const char *)(m + 1);
    size_t left = len - sizeof *m;
    for (uint32_t i = 0; i < m->count; i++) {
        struct wire_row told;
        if (left < sizeof told)
            return false;
        memcpy(&told, at, sizeof told);
        size_t step = sizeof told + (((size_t)told.reason + 7) & ~(size_t)7);
        struct solo_row *row = push_find(l, told.place);
        if (step > left || row == NULL)
            return false;
        row->verdict = told.verdict;
        row->unjudged = told.unjudged != 0;
        row->after_ms = told.after_ms;
        snprintf(row->reason, sizeof row->reason, "%.*s", (int)told.reason, at + sizeof told);
        at += step;
        left -= step;
    }
    return true;
}

static bool told_done(struct solo *s, struct solo_lane *l, const struct wire_done *m, size_t len)
{
    struct solo_push *p = l->push;
    if (m->state > sizeof s->state || len < sizeof *m + m->state + m->reason)
        return false;
    const char *state = (const char *)(m + 1);
    if (m->has_state) {
        memcpy(s->state, state, m->state);
        s->setup.state = s->state;
        s->setup.state_len = m->state;
    }
    p->result = m->result;
    p->bad_result = m->bad_result != 0;
    p->push_us = m->push_us;
    p->after_ms = m->after_ms;
    snprintf(p->reason, sizeof p->reason, "%.*s", (int)m->reason, state + m->state);
    for (uint32_t i = 0; i < p->count; i++) {
        struct solo_row *row = &p->rows[i];
        if (row->verdict == 0 && m->result != HG_NOT_NOW)
            row->verdict = HG_OK;
        else if (row->unjudged && m->result == HG_NOT_NOW) {
            row->verdict = 0; /* listed only because others were judged */
            row->unjudged = false;
        }
    }
    l->done = true;
    return true;
}

static bool told_outcome(struct solo *s, const struct wire_outcome *m, size_t len)
{
    if (len < sizeof *m + m->reason)
        return false;
    s->result = m->result;
    snprintf(s->reason, sizeof s->reason, "%.*s", (int)m->reason, (const char *)(m + 1));
    return true;
}

static void emission_answer(struct solo *s, const struct wire_emit *m)
{
    struct {
        struct wire_emitted head;
        char reason[200];
    } out = {.head = {.head = solo_head(WIRE_EMITTED, 0, m->head.token), .result = HG_EMITTED}};
    const struct slice position = slice_make(s->emission.ptr, m->position);
    const struct slice documents = slice_make(s->emission.ptr + m->position, s->emission.len - m->position);
    if (s->pull->emitted != NULL)
        out.head.result = (uint32_t)s->pull->emitted(s->pull->arg, documents, m->has_position != 0 ? &position : NULL,
                                                     out.reason, &out.head.bad_set);
    if (out.head.result == HG_EMITTED && m->has_position != 0) {
        memcpy(s->state, position.ptr, position.len);
        s->setup.state = s->state;
        s->setup.state_len = position.len;
    }
    s->pull->emissions++;
    out.head.reason = (uint32_t)strlen(out.reason);
    (void)solo_send(s, &out, sizeof out.head + out.head.reason, -1);
    buf_clear(&s->emission);
}

static bool told_emit(struct solo *s, const struct wire_emit *m, size_t len)
{
    if (s->pull == NULL || m->length != len - sizeof *m || m->offset != s->emission.len ||
        m->position > sizeof s->state || m->position > m->total || buf_add(&s->emission, m + 1, m->length) != ERR_OK)
        return false;
    if (s->emission.len == m->total)
        emission_answer(s, m);
    return true;
}

static bool told_pulled(struct solo *s, const struct wire_pulled *m, size_t len)
{
    if (s->pull == NULL || m->reason != len - sizeof *m)
        return false;
    s->pull->result = m->result;
    snprintf(s->pull->reason, sizeof s->pull->reason, "%.*s", (int)m->reason, (const char *)(m + 1));
    s->pull->done = true;
    return true;
}

/* Type of the message, 0: it is none. */
static int solo_take_in(struct solo *s, const struct wire_head *head, size_t len)
{
    struct solo_lane *l = &s->lanes[head->lane < SOLO_LANES ? head->lane : 0];
    bool mine = l->push != NULL && l->token == head->token;
    switch (head->type) {
    case WIRE_READY: {
        const struct wire_ready *m = (const void *)head;
        s->ready = true;
        s->confined = m->confined != 0;
        s->workers = m->workers;
        return WIRE_READY;
    }
    case WIRE_OPEN_FAILED:
    case WIRE_PROBED: return told_outcome(s, (const void *)head, len) ? head->type : 0;
    case WIRE_TAKEN: {
        const struct wire_taken *m = (const void *)head;
        if (!mine || m->rows == 0)
            return 0;
        push_expect(l, m->rows);
        l->taken = true;
        return WIRE_TAKEN;
    }
    case WIRE_VERDICTS: return mine && told_verdicts(l, (const void *)head, len) ? WIRE_VERDICTS : 0;
    case WIRE_DONE: return mine && told_done(s, l, (const void *)head, len) ? WIRE_DONE : 0;
    case WIRE_EMIT: return told_emit(s, (const void *)head, len) ? WIRE_EMIT : 0;
    case WIRE_PULLED: return told_pulled(s, (const void *)head, len) ? WIRE_PULLED : 0;
    case WIRE_CRASH: s->crash_signal = ((const struct wire_crash *)(const void *)head)->signal; return WIRE_CRASH;
    case WIRE_COUNT: s->counted += ((const struct wire_count *)(const void *)head)->add; return WIRE_COUNT;
    default: return head->type;
    }
}

static size_t least_size(uint16_t type)
{
    switch (type) {
    case WIRE_READY: return sizeof(struct wire_ready);
    case WIRE_OPEN_FAILED:
    case WIRE_PROBED: return sizeof(struct wire_outcome);
    case WIRE_TAKEN: return sizeof(struct wire_taken);
    case WIRE_VERDICTS: return sizeof(struct wire_verdicts);
    case WIRE_DONE: return sizeof(struct wire_done);
    case WIRE_CRASH: return sizeof(struct wire_crash);
    case WIRE_COUNT: return sizeof(struct wire_count);
    case WIRE_EMIT: return sizeof(struct wire_emit);
    case WIRE_PULLED: return sizeof(struct wire_pulled);
    default: return sizeof(struct wire_head);
    }
}

enum { GOT_NOTHING = 0, GOT_END = -1, GOT_NONSENSE = -2, NEVER = -3 };

/* One message: its type, or what there was instead. */
static int solo_receive(struct solo *s)
{
    static union {
        struct wire_head head;
        char bytes[WIRE_MAX];
    } in;
    struct iovec part = {&in, sizeof in};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t n = sys->recvmsg(s->channel, &m, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return GOT_NOTHING;
    if (n <= 0)
        return GOT_END;
    size_t len = (size_t)n;
    bool good = len >= sizeof in.head && in.head.magic == WIRE_MAGIC && len >= least_size(in.head.type);
    int type = good ? solo_take_in(s, &in.head, len) : 0;
    if (type != 0)
        return type;
    snprintf(s->reason, sizeof s->reason, "it wrote to descriptor 3, which is the host's");
    return GOT_NONSENSE;
}

/* --- waiting --- */

static void solo_close(struct solo *s)
{
    solo_read_log(s);
    solo_say(s);
    sys->close(s->channel);
    sys->close(s->logs);
    s->channel = s->logs = -1;
    s->pid = 0;
    buf_free(&s->line);
    buf_free(&s->emission);
    s->pull = NULL;
}

static bool solo_reaped(struct solo *s)
{
    return s->pid == 0 || waitpid(s->pid, &s->status, WNOHANG) == s->pid;
}

/* What is left of `ms` since `began`; the host had waited so long for a processor by then. */
static int64_t solo_left(const struct solo *s, int64_t ms, int64_t began, int64_t starved)
{
    int64_t spent = clock_ms() - began;
    return spent < ms ? ms - spent : ms - starved_less(spent, starved_ms(s->pid) - starved);
}

/* Until a message of this type for this lane has come. */
static enum solo_wait solo_await(struct solo *s, int type, uint16_t lane, int64_t ms)
{
    int64_t began = clock_ms(), starved = s->pid > 0 ? starved_ms(s->pid) : 0;
    while (s->pid > 0) {
        int got = s->channel < 0 ? 0 : solo_receive(s);
        if (got == type && (type == WIRE_READY || type == WIRE_PROBED || type == WIRE_PULLED || s->lanes[lane].done ||
                            (type == WIRE_TAKEN && s->lanes[lane].taken)))
            return SOLO_OK;
        if (got == GOT_NONSENSE)
            return SOLO_NONSENSE;
        if (got > 0)
            continue;
        solo_read_log(s);
        if (solo_reaped(s)) {
            while (solo_receive(s) > 0)
                continue;
            solo_close(s);
            return s->result != 0 && !s->ready ? SOLO_FAILED : SOLO_ENDED;
        }
        int64_t left = solo_left(s, ms, began, starved);
        if (left <= 0)
            return SOLO_LATE;
        /* A process that ends closes its ends of both; where something else holds them, it is looked at now and then.
         */
        struct pollfd fds[] = {{.fd = got < 0 ? -1 : s->channel, .events = POLLIN}, {.fd = s->logs, .events = POLLIN}};
        (void)poll(fds, COUNT_OF(fds), left < LOOK_MS ? (int)left : LOOK_MS);
    }
    return SOLO_ENDED;
}

enum solo_wait solo_ready(struct solo *s, int64_t ms)
{
    s->result = 0;
    return solo_await(s, WIRE_READY, 0, ms);
}

enum solo_wait solo_taken(struct solo *s, uint16_t lane, int64_t ms)
{
    return s->lanes[lane].taken ? SOLO_OK : solo_await(s, WIRE_TAKEN, lane, ms);
}

enum solo_wait solo_done(struct solo *s, uint16_t lane, int64_t ms)
{
    enum solo_wait wait = s->lanes[lane].done ? SOLO_OK : solo_await(s, WIRE_DONE, lane, ms);
    solo_read_log(s); /* what was written before it was done is told before it */
    return wait;
}

enum solo_wait solo_probe(struct solo *s, int64_t ms)
{
    s->result = 0;
    solo_simple(s, WIRE_PROBE, ++s->token);
    return solo_await(s, WIRE_PROBED, 0, ms);
}

void solo_pull(struct solo *s, struct solo_pull *pull)
{
    pull->done = false;
    pull->emissions = 0;
    pull->reason[0] = '\0';
    s->pull = pull;
    buf_clear(&s->emission);
    solo_simple(s, WIRE_PULL, ++s->token);
}

enum solo_wait solo_pulled(struct solo *s, int64_t ms)
{
    return solo_await(s, WIRE_PULLED, 0, ms);
}

enum solo_wait solo_end(struct solo *s, int64_t ms)
{
    return solo_await(s, NEVER, 0, ms);
}

enum solo_wait solo_stop(struct solo *s, int64_t ms)
{
    solo_simple(s, WIRE_STOP, 0);
    enum solo_wait wait = solo_end(s, ms);
    if (wait == SOLO_LATE || wait == SOLO_NONSENSE)
        solo_kill(s);
    return wait;
}

void solo_kill(struct solo *s)
{
    if (s->pid <= 0)
        return;
    (void)kill(s->pid, SIGKILL);
    (void)solo_end(s, KILLED_MS);
}

void solo_status_text(const struct solo *s, char *out, size_t size)
{
    int number = WIFSIGNALED(s->status) ? WTERMSIG(s->status) : s->crash_signal;
    if (number != 0)
        snprintf(out, size, "signal %d (%s)", number, strsignal(number));
    else
        snprintf(out, size, "exit status %d", WEXITSTATUS(s->status));
}
