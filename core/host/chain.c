/* Processors run where their pusher runs: in its host, in its workers' threads, between reading the journal and push().
 * So nothing of the daemon has to know of them but which files to load; a processor that crashes or hangs is the
 * pusher's crash or hang, with the same evidence; and a row that comes again goes through them again, from the bytes
 * that were posted.
 *
 * A row they drop keeps its place in the push, with its verdict, and is only out of the sight of whoever comes next. A
 * row they want again later holds back later rows of its uuid, as the pusher's own would. */
#include "host/chain.h"

#include "host/fill.h"
#include "host/hostapi.h"
#include "host/hostlog.h"

#include <stdio.h>
#include <stdlib.h>

enum { FAULTS_MAX_BYTES = HG_REASON_MAX };

static const struct hg_processor *chain_table(const struct processor *p)
{
    return p->plugin.plugin->processor;
}

/* --- loading --- */

static int processor_fill(struct processor *p, struct err *e)
{
    struct buf faults;
    buf_init(&faults, FAULTS_MAX_BYTES);
    int code = fill_config(p->plugin.plugin, p->setup, &p->config, &faults);
    if (code != ERR_OK) {
        while (faults.len > 0 && faults.ptr[faults.len - 1] == '\n')
            faults.len--;
        err_set(e, code, "processor %s: %s", p->setup->instance, faults.len > 0 ? buf_str(&faults) : err_text(code));
    }
    buf_free(&faults);
    return code;
}

static int processor_load(struct processor *p, struct err *e)
{
    struct err why = {.text = ""};
    int code = loader_open(p->setup->plugin, &p->plugin, &why);
    if (code == ERR_OK && p->plugin.plugin->kind != HG_PROCESSOR)
        code = err_set(&why, ERR_DENIED, "it is no processor");
    return code == ERR_OK ? processor_fill(p, e) : err_set(e, code, "processor %s: %s", p->setup->instance, why.text);
}

/* The host's side of one processor, for the thread of `of`. */
static struct hg_host processor_host(struct host *h, struct hg_host *of, const struct processor *p)
{
    return (struct hg_host){.magic = WORKER_MAGIC, .lane = of->lane, .host = h, .of = of, .name = p->setup->instance};
}

int chain_load(struct host *h, struct err *e)
{
    size_t count = h->setup.processor_count;
    if (count == 0)
        return ERR_OK;
    h->processors = calloc(count, sizeof *h->processors);
    if (h->processors == NULL)
        return err_set(e, ERR_NOMEM, "no memory for %zu processors", count);
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < count; i++) {
        struct processor *p = &h->processors[i];
        p->setup = &h->setup.processors[i];
        code = processor_load(p, e);
        h->processor_count += code == ERR_OK;
    }
    return code;
}

/* --- opening --- */

static int chain_outcome(struct hg_host *w, const struct hg_host *step, const char *what, int result)
{
    if (result == HG_OPEN_OK)
        return result;
    bool known = result == HG_OPEN_NOT_NOW || result == HG_OPEN_BROKEN;
    if (known)
        snprintf(w->reason, sizeof w->reason, "%s: %.*s", step->name, HG_REASON_MAX - 80, step->reason);
    else
        snprintf(w->reason, sizeof w->reason, "%s: %s() returned %d, which is no result", step->name, what, result);
    return known ? result : HG_OPEN_BROKEN;
}

/* Two instances of one plugin share its variables, and so one start() and one stop(): those of the first. */
static bool chain_shares(const struct host *h, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (h->processors[i].plugin.plugin == h->processors[n].plugin.plugin)
            return true;
    return false;
}

int chain_start(struct hg_host *w)
{
    struct host *h = w->host;
    for (size_t i = 0; i < h->processor_count; i++) {
        struct processor *p = &h->processors[i];
        const struct hg_processor *table = chain_table(p);
        if (chain_shares(h, i))
            continue;
        p->self = processor_host(h, w, p);
        int result = table->start == NULL ? HG_OPEN_OK : table->start(&p->self, &hostapi, p->config);
        result = chain_outcome(w, &p->self, "start", result);
        if (result != HG_OPEN_OK)
            return result;
        p->started = true;
    }
    return HG_OPEN_OK;
}

void chain_stop(struct host *h)
{
    for (size_t i = h->processor_count; i-- > 0;)
        if (h->processors[i].started && chain_table(&h->processors[i])->stop != NULL)
            chain_table(&h->processors[i])->stop();
}

static void chain_close_first(struct hg_host *w, size_t count)
{
    for (size_t i = count; i-- > 0;)
        chain_table(&w->host->processors[i])->close(w->steps[i].state);
    free(w->steps);
    w->steps = NULL;
}

int chain_open(struct hg_host *w)
{
    struct host *h = w->host;
    if (h->processor_count == 0)
        return HG_OPEN_OK;
    w->steps = calloc(h->processor_count, sizeof *w->steps);
    if (w->steps == NULL) {
        snprintf(w->reason, sizeof w->reason, "no memory for %zu processors", h->processor_count);
        return HG_OPEN_NOT_NOW;
    }
    for (size_t i = 0; i < h->processor_count; i++) {
        const struct processor *p = &h->processors[i];
        struct hg_host *step = &w->steps[i];
        *step = processor_host(h, w, p);
        int result = chain_table(p)->open(step, &hostapi, p->config, &step->state);
        result = chain_outcome(w, step, "open", result);
        if (result != HG_OPEN_OK) {
            chain_close_first(w, i);
            return result;
        }
    }
    return HG_OPEN_OK;
}

void chain_close(struct hg_host *w)
{
    if (w->steps != NULL)
        chain_close_first(w, w->host->processor_count);
}

/* --- rows --- */

/* Rows that wait for one that is to be tried again: later ones of its uuid, and all of its set where that is the unit.
 */
static void chain_hold(struct hg_host *w)
{
    struct hg_rows *l = &w->rows;
    bool ordered = (w->hand.head.flags & HAND_SPREAD) == 0, whole = w->gather.whole_sets;
    static const char why[] = "behind a row of its uuid that a processor wants again";
    for (uint32_t i = 0; i < l->count; i++) {
        const struct hg_row *again = &l->rows[i];
        if (again->verdict != HG_RETRY || again->step == 0)
            continue;
        for (uint32_t k = whole ? 0 : i + 1; k < l->count; k++) {
            struct hg_row *row = &l->rows[k];
            bool waits = (whole && row->record == again->record) ||
                         (ordered && k > i && row->record->uuid_hash == again->record->uuid_hash);
            if (row->verdict != 0 || !waits)
                continue;
            row->verdict = HG_RETRY;
            row->after_ms = again->after_ms;
            row->reason = why;
            row->reason_length = sizeof why - 1;
        }
    }
}

/* What a processor left of the rows. True: one of them is to be tried again. */
static bool chain_take(struct hg_rows *l, uint16_t step)
{
    bool again = false;
    for (size_t n = 0; n < lent_seen_count(l); n++) {
        struct hg_row *row = lent_seen(l, n);
        if (row->spoilt && row->verdict == 0)
            lent_judge(l, n, HG_RETRY, 0, "it could not be given its new data");
        row->step = row->verdict == 0 ? 0 : step;
        again = again || row->verdict == HG_RETRY;
    }
    return again;
}

static int chain_step(struct hg_host *w, uint16_t n, bool *bad, bool *again)
{
    struct hg_rows *l = &w->rows;
    struct hg_host *step = &w->steps[n];
    lent_change(l, step->name);
    int result = chain_table(&w->host->processors[n])->process(step->state, l);
    if (result == HG_ALL_OK)
        *again = chain_take(l, (uint16_t)(n + 1)) || *again;
    lent_change(l, NULL);
    *bad = result != HG_ALL_OK && result != HG_NOT_NOW;
    if (*bad) {
        char why[128];
        snprintf(why, sizeof why, "%s: process() returned %d, which is no result", step->name, result);
        lent_not_now(l, 0, why);
    }
    return result == HG_ALL_OK ? lent_narrow(l) : HG_NOT_NOW;
}

int chain_process(struct hg_host *w, bool *bad)
{
    bool again = false;
    int result = HG_ALL_OK;
    *bad = false;
    for (size_t i = 0; result == HG_ALL_OK && i < w->host->processor_count && lent_seen_count(&w->rows) > 0; i++)
        result = chain_step(w, (uint16_t)i, bad, &again);
    if (result == HG_ALL_OK && again) {
        chain_hold(w);
        result = lent_narrow(&w->rows);
    }
    if (result != HG_ALL_OK)
        chain_forget(&w->rows);
    return result;
}

void chain_forget(struct hg_rows *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        struct hg_row *row = &l->rows[i];
        row->verdict = 0;
        row->step = 0;
        row->reason = NULL;
        row->reason_length = 0;
        row->after_ms = 0;
    }
}
