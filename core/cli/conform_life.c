/* Items about a host's life: loading, settings, opening, stopping, what comes between pushes. */
#include "cli/conform.h"

#include "base/sys.h"
#include "conf/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VARIATIONS_MAX = 80, LONG_TEXT = 4000, ROUNDS = 3, GRACE_MS = 2000, STOP_PART = 2 };

static void item_load(struct conform *c)
{
    if (!c->loaded)
        (void)conform_fail(c, "docs/abi.md of the SDK has the rules; an unresolved symbol or library must be linked",
                           "%s", c->refused.text);
}

static void item_symbols(struct conform *c)
{
    char names[600];
    int count = conform_exports(c->subject.path, names, sizeof names);
    if (count < 0)
        (void)conform_skip(c, "its symbols cannot be read");
    else if (count > 0)
        (void)conform_fail(c,
                           "-fvisibility=hidden, and link with -Wl,-Bsymbolic -Wl,--exclude-libs,ALL (plugin.mk does)",
                           "it exports %d symbols more: %s", count, names);
}

/* --- options --- */

/* It opens, or says why not; nothing else may come of a setting that is allowed. */
static bool option_try(struct conform *c, const char *name, const char *value)
{
    struct solo *s = &c->solo;
    struct err e = {.text = ""};
    struct setting *saved = &c->subject.settings[c->subject.count];
    size_t count = c->subject.count, at = 0;
    while (at < count && strcmp(c->subject.settings[at].name, name) != 0)
        at++;
    if (at == SUBJECT_SETTINGS)
        return true;
    char *before = at < count ? c->subject.settings[at].value : NULL;
    c->subject.settings[at].value = (char *)(uintptr_t)value;
    if (at == count) {
        saved->name = (char *)(uintptr_t)name;
        c->subject.count++;
    }
    conform_prepare(c, s);
    enum solo_wait wait = solo_start(s, &e) == ERR_OK ? solo_ready(s, c->timeout_ms + GRACE_MS) : SOLO_ENDED;
    char when[160];
    snprintf(when, sizeof when, "in open() with %.40s=%.60s", name, value);
    bool good = wait == SOLO_OK ? conform_end(c, s) : wait == SOLO_FAILED || conform_lost(c, s, wait, when);
    if (wait == SOLO_FAILED && s->reason[0] == '\0')
        good =
            conform_fail(c, "api->fail(host, why) before it returns", "it did not open %s, and did not say why", when);
    c->subject.settings[at].value = before;
    c->subject.count = count;
    if (at == count)
        *saved = (struct setting){0};
    return good;
}

/* The next limit or choice of a|b or a..b; moves `*at`. */
static bool option_next(const struct described_option *o, const char **at, char *out, size_t size)
{
    const char *separator = o->type == HG_CHOICE ? "|" : "..";
    while (*at != NULL) {
        const char *end = strstr(*at, separator);
        size_t len = end == NULL ? strlen(*at) : (size_t)(end - *at);
        snprintf(out, size, "%.*s", (int)len, *at);
        *at = end == NULL ? NULL : end + strlen(separator);
        if (len > 0)
            return true;
    }
    return false;
}

static bool option_vary(struct conform *c, const struct described_option *o, int *left)
{
    char value[LONG_TEXT + 1];
    const char *at = o->limits;
    bool good = true;
    switch (o->type) {
    case HG_BOOLEAN: return option_try(c, o->name, "yes") && option_try(c, o->name, "no");
    case HG_STRING:
        if (o->group != NULL)
            return true;
        memset(value, 'x', LONG_TEXT);
        value[LONG_TEXT] = '\0';
        return option_try(c, o->name, value);
    case HG_INTEGER:
    case HG_NUMBER:
    case HG_DURATION:
    case HG_SIZE:
    case HG_CHOICE:
        while (good && (*left)-- > 0 && option_next(o, &at, value, sizeof value))
            good = option_try(c, o->name, value);
        return good;
    default: return true; /* paths and addresses are the test's own */
    }
}

static bool looks_secret(const char *name)
{
    static const char *const words[] = {"PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "APIKEY", "CREDENTIAL"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strstr(name, words[i]) != NULL)
            return true;
    return false;
}

static void item_options(struct conform *c)
{
    int left = VARIATIONS_MAX;
    for (size_t i = 0; i < c->subject.about.count; i++) {
        const struct described_option *o = &c->subject.about.options[i];
        if (!option_vary(c, o, &left))
            return;
    }
}

static bool is_set(const struct conform *c, const char *name)
{
    for (size_t n = 0; n < c->subject.count; n++)
        if (strcmp(c->subject.settings[n].name, name) == 0)
            return true;
    return false;
}

/* A secret that check.ini leaves out, because only one of several can be set: opening with it may fail, not show it. */
static bool secret_try(struct conform *c, const struct described_option *o)
{
    static const char value[] = "hunter2-hunter2";
    if (!option_try(c, o->name, value))
        return false;
    if (strstr(c->solo.reason, value) != NULL)
        snprintf(c->watch.secret, sizeof c->watch.secret, "the value of %.60s is part of why it did not open", o->name);
    return true;
}

static void item_secrets(struct conform *c)
{
    size_t secrets = 0, set = 0;
    for (size_t i = 0; i < c->subject.about.count; i++) {
        const struct described_option *o = &c->subject.about.options[i];
        bool secret = (o->flags & HG_SECRET) != 0;
        if (!secret && o->type == HG_STRING && looks_secret(o->name)) {
            (void)conform_fail(c, ".flags = HG_SECRET hides it, and lets it be given as a file",
                               "%s looks like a secret and is shown like any other option", o->name);
            return;
        }
        bool given = secret && is_set(c, o->name);
        secrets += secret;
        set += given;
        if (secret && !given && o->type == HG_STRING && !secret_try(c, o))
            return;
    }
    if (c->watch.secret[0] != '\0')
        (void)conform_fail(c, "name the option, never its value", "%s", c->watch.secret);
    else if (secrets > 0 && set == 0)
        (void)conform_skip(c, "check.ini gives no value to an option with HG_SECRET; it was not looked for in logs");
}

/* --- opening and closing --- */

static void item_open(struct conform *c)
{
    for (int i = 0; i < ROUNDS; i++)
        if (!conform_begin(c, &c->solo) || !conform_end(c, &c->solo))
            return;
    if (c->subject.about.kind == HG_PULLER)
        return;
    size_t row = c->good == NULL ? c->tape.count : conform_rows(c, c->good, 1);
    if (row == c->tape.count || !conform_begin(c, &c->solo) || !conform_deliver(c, &c->solo, row, 1, 1))
        return;
    (void)conform_end(c, &c->solo);
}

static void open_down(struct conform *c)
{
    struct err e = {.text = ""};
    struct solo *s = &c->solo;
    conform_prepare(c, s);
    enum solo_wait wait = solo_start(s, &e) == ERR_OK ? solo_ready(s, c->timeout_ms + GRACE_MS) : SOLO_ENDED;
    if (wait == SOLO_OK)
        (void)conform_end(c, s); /* connecting at the first push is as good */
    else if (wait != SOLO_FAILED)
        (void)conform_lost(c, s, wait, "in open(), while the far end was down");
    else if (s->result == HG_OPEN_BROKEN)
        (void)conform_fail(c, "HG_OPEN_NOT_NOW for everything that may mend by itself",
                           "open() said HG_OPEN_BROKEN to a far end that is only down: %s", s->reason);
    else if (s->reason[0] == '\0')
        (void)conform_fail(c, "api->fail(host, why) before it returns", "open() said not now, and did not say why");
}

static void item_open_down(struct conform *c)
{
    if (c->down == NULL || c->up == NULL) {
        (void)conform_skip(c, "check.ini has no [far] up and down");
        return;
    }
    if (conform_far(c, c->down))
        open_down(c);
    (void)conform_far(c, c->up);
}

/* --- stopping --- */

static void stop_amid(struct conform *c, size_t first, size_t count)
{
    struct solo *s = &c->solo;
    if (solo_hand(s, 0, &c->tape, first, NULL, count, 1, &c->push) != ERR_OK) {
        (void)conform_lost(c, s, solo_end(s, GRACE_MS), "between two pushes");
        return;
    }
    enum solo_wait wait = solo_taken(s, 0, GRACE_MS);
    if (wait != SOLO_OK) {
        (void)conform_lost(c, s, wait, "in push()");
        return;
    }
    wait = solo_stop(s, c->timeout_ms / STOP_PART);
    if (wait == SOLO_LATE)
        (void)conform_fail(c, "look at api->stopping in every loop, and wait with api->wait, which a stop interrupts",
                           "it was told to stop in the middle of a push, and did not end within %lld ms",
                           (long long)(c->timeout_ms / STOP_PART));
    else if (wait != SOLO_ENDED || s->status != 0)
        (void)conform_lost(c, s, wait, "when it was told to stop in the middle of a push");
}

/* --- pulling --- */

struct pulled {
    struct scan *scan;
    uint64_t rows;
    bool bad;
};

static int take_emission(void *arg, struct slice documents, const struct slice *position, char reason[200],
                         uint32_t *bad_set)
{
    struct pulled *p = arg;
    const struct scan_rules rules = {.max_rows = 100000, .max_depth = 32, .ndjson = true};
    uint32_t count;
    (void)position;
    if (documents.len == 0 || scan_body(p->scan, &rules, documents) == ERR_OK) {
        p->rows += documents.len > 0 ? scan_rows(p->scan) : 0;
        return HG_EMITTED;
    }
    const struct fault *f = scan_faults(p->scan, &count);
    snprintf(reason, 200, SLICE_FMT, SLICE_ARG(f->detail));
    *bad_set = f->line > 0 ? (uint32_t)f->line - 1 : 0;
    p->bad = true;
    return HG_EMIT_REFUSED;
}

/* Until rows have come, or there is nothing; false: the item has ended. */
static bool pull_some(struct conform *c, struct pulled *p)
{
    struct solo_pull pull = {.emitted = take_emission, .arg = p};
    int64_t until = clock_ms() + c->timeout_ms;
    do {
        solo_pull(&c->solo, &pull);
        if (!conform_lost(c, &c->solo, solo_pulled(&c->solo, c->timeout_ms + GRACE_MS), "in pull()"))
            return false;
        if (strstr(pull.reason, "which is no result") != NULL)
            return conform_fail(c, "return one of enum hg_pull_result", "%s", pull.reason);
        if (pull.result >= HG_PULL_NOT_NOW && pull.reason[0] == '\0')
            return conform_fail(c, "api->fail(host, why) before it returns", "pull() could not, and did not say why");
    } while (pull.result == HG_PULLED && p->rows == 0 && clock_ms() < until);
    return true;
}

static void pull_twice(struct conform *c, struct pulled *p)
{
    if (!conform_begin(c, &c->solo) || !pull_some(c, p))
        return;
    if (p->rows == 0) {
        (void)conform_skip(c, p->bad ? "all that it emitted was refused"
                                     : "it emitted no rows: let check.ini bring it some ([far] up)");
        return;
    }
    solo_kill(&c->solo); /* and once more, from the position that was told */
    if (conform_begin(c, &c->solo) && pull_some(c, p))
        (void)conform_end(c, &c->solo);
}

static void item_pull(struct conform *c)
{
    struct pulled p = {.scan = scan_new()};
    if (p.scan == NULL)
        (void)conform_skip(c, "out of memory");
    else
        pull_twice(c, &p);
    scan_free(&p.scan);
}

static void stop_pulling(struct conform *c)
{
    struct solo_pull pull = {.emitted = NULL};
    if (!conform_begin(c, &c->solo))
        return;
    solo_pull(&c->solo, &pull);
    enum solo_wait wait = solo_stop(&c->solo, c->timeout_ms / STOP_PART);
    if (wait == SOLO_LATE)
        (void)conform_fail(c, "look at api->stopping in every loop, and wait with api->wait, which a stop interrupts",
                           "it was told to stop while it pulled, and did not end within %lld ms",
                           (long long)(c->timeout_ms / STOP_PART));
    else if (wait != SOLO_ENDED || c->solo.status != 0)
        (void)conform_lost(c, &c->solo, wait, "when it was told to stop while it pulled");
}

static void item_stop(struct conform *c)
{
    if (c->subject.about.kind == HG_PULLER) {
        stop_pulling(c);
        return;
    }
    size_t first = c->good == NULL ? c->tape.count : conform_rows(c, c->good, 200);
    if (first == c->tape.count) {
        (void)conform_skip(c, "check.ini has no [rows] good");
        return;
    }
    bool down = c->down != NULL && c->up != NULL;
    if (!conform_begin(c, &c->solo))
        return;
    if (!down || conform_far(c, c->down))
        stop_amid(c, first, 200);
    if (!down || !conform_far(c, c->up) || !conform_begin(c, &c->solo))
        return;
    if (conform_deliver(c, &c->solo, first, 200, 2))
        (void)conform_end(c, &c->solo);
}

/* --- two instances --- */

static bool second_settings(struct conform *c, struct setting *all, size_t *count)
{
    memcpy(all, c->subject.settings, c->subject.count * sizeof *all);
    *count = c->subject.count;
    for (size_t i = 0; i < c->second_count; i++) {
        size_t at = 0;
        while (at < *count && strcmp(all[at].name, c->second[i].name) != 0)
            at++;
        if (at == SUBJECT_SETTINGS)
            return false;
        all[at] = c->second[i];
        *count += at == *count;
    }
    return true;
}

static void instances_run(struct conform *c, struct solo *second)
{
    static struct setting all[SUBJECT_SETTINGS];
    static struct setup step; /* of a processor: its own part */
    struct err e = {.text = ""};
    static char lock[128]; /* as `second` is: what it points at must not end before it */
    size_t first = conform_rows(c, c->good, 3), count = 0;
    snprintf(lock, sizeof lock, "%s-second", c->subject.lock);
    conform_prepare(c, second);
    second->setup.instance = (char *)(uintptr_t) "second";
    second->setup.lock = lock;
    if (!second_settings(c, all, &count) || !conform_begin(c, &c->solo))
        return;
    struct setup *own = second->setup.processor_count > 0 ? &step : &second->setup;
    if (own == &step) {
        step = second->setup.processors[0];
        second->setup.processors = own;
    }
    own->settings = all;
    own->count = count;
    enum solo_wait wait = solo_start(second, &e) == ERR_OK ? solo_ready(second, c->timeout_ms + GRACE_MS) : SOLO_ENDED;
    if (wait == SOLO_FAILED)
        (void)conform_fail(c, "no fixed names, ports or files; options that must differ go into [second] of check.ini",
                           "a second instance does not open beside the first: %s", second->reason);
    bool good = conform_lost(c, second, wait, "in open(), as a second instance") &&
                conform_deliver(c, second, first, 3, 1) && conform_deliver(c, &c->solo, first, 3, 1) &&
                conform_deliver(c, second, first, 3, 2);
    if (good && conform_end(c, second))
        (void)conform_end(c, &c->solo);
    (void)remove(lock);
}

static void item_instances(struct conform *c)
{
    static struct solo second;
    if (c->good == NULL) {
        (void)conform_skip(c, "check.ini has no [rows] good");
        return;
    }
    instances_run(c, &second);
    solo_kill(&second);
}

/* --- between pushes --- */

static void item_reopen(struct conform *c)
{
    struct solo *s = &c->solo;
    size_t first = c->good == NULL ? c->tape.count : conform_rows(c, c->good, 4);
    if (first == c->tape.count) {
        (void)conform_skip(c, "check.ini has no [rows] good");
        return;
    }
    if (!conform_begin(c, s))
        return;
    for (size_t i = 0; i < 4; i++) {
        solo_reopen(s);
        if (!conform_deliver(c, s, first + i, 1, 1))
            return;
    }
    (void)conform_end(c, s);
}

static bool probe_is(struct conform *c, bool up)
{
    struct solo *s = &c->solo;
    enum solo_wait wait = solo_probe(s, c->timeout_ms + GRACE_MS);
    if (wait != SOLO_OK)
        return conform_lost(c, s, wait, "in probe()");
    if (up == (s->result == HG_OPEN_OK) && (up || s->reason[0] != '\0'))
        return true;
    return conform_fail(c, "probe() asks the far end anew, and says why it is not there (api->fail)",
                        up                        ? "the far end is up, and probe() said: %s"
                        : s->result == HG_OPEN_OK ? "the far end is down, and probe() said that all is well%s"
                                                  : "probe() did not say why%s",
                        s->reason);
}

static void probe_down(struct conform *c)
{
    if (conform_far(c, c->down) && probe_is(c, false))
        (void)conform_end(c, &c->solo);
}

static void item_probe(struct conform *c)
{
    if (!conform_begin(c, &c->solo) || !probe_is(c, true))
        return;
    if (c->down == NULL || c->up == NULL) {
        (void)conform_skip(c, "check.ini has no [far] up and down");
        return;
    }
    probe_down(c);
    (void)conform_far(c, c->up);
}

void conform_life(struct conform *c, enum item_id id)
{
    static void (*const items[ITEM_COUNT])(struct conform *) = {
        [ITEM_LOAD] = item_load,           [ITEM_SYMBOLS] = item_symbols, [ITEM_OPTIONS] = item_options,
        [ITEM_OPEN] = item_open,           [ITEM_STOP] = item_stop,       [ITEM_OPEN_DOWN] = item_open_down,
        [ITEM_INSTANCES] = item_instances, [ITEM_REOPEN] = item_reopen,   [ITEM_PROBE] = item_probe,
        [ITEM_SECRETS] = item_secrets,     [ITEM_PULL] = item_pull,
    };
    items[id](c);
}
