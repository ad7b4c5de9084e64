/* One parcel after the other, in order, each until it is acknowledged or refused.
 *
 * A network fault leaves open whether the rows were taken; the same key on the next try makes that harmless. */
#include "cli/post.h"

#include "base/sys.h"
#include "cli/cli.h"
#include "cli/human.h"
#include "cli/js.h"
#include "cli/nap.h"
#include "cli/refused.h"
#include "cli/say.h"

#include <inttypes.h>

enum { BACKOFF_MIN_MS = 200, BACKOFF_MAX_MS = 10000, BACKOFF_STEPS = 6 };

void post_begin(struct post *p, const char *file, struct progress *progress)
{
    p->file = file;
    p->progress = progress;
    p->rows = p->replayed = 0;
    p->forgotten = p->fresh = p->told_ignored = p->waiting = false;
    p->durability[0] = '\0';
    p->progress_ms = clock_ms();
}

/* Full jitter: anywhere between nothing and the doubled step. */
static int64_t backoff(int attempt)
{
    uint32_t dice = 0;
    int64_t top = (int64_t)BACKOFF_MIN_MS << (attempt < BACKOFF_STEPS ? attempt : BACKOFF_STEPS);
    if (top > BACKOFF_MAX_MS)
        top = BACKOFF_MAX_MS;
    if (sys->random(&dice, sizeof dice) != (ssize_t)sizeof dice)
        dice = UINT32_MAX / 2;
    return (int64_t)((double)top * ((double)dice / UINT32_MAX));
}

static bool status_again(long status)
{
    return status == 408 || status == 425 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

/* What stands in the way, for the message. */
static void describe(const struct post *p, int code, const struct err *e, char *out, size_t size)
{
    json_t *problem = code == ERR_OK ? js_parse(buf_slice(&p->call.body)) : NULL;
    const char *detail = js_text(problem, "detail");
    if (code != ERR_OK)
        snprintf(out, size, "%s", e->text);
    else
        snprintf(out, size, "HTTP status %ld%s%.400s", p->call.status, detail[0] != '\0' ? ": " : "", detail);
    json_decref(problem);
}

/* Wait before the next try; an exit code when it is no use any more. */
static int post_wait(struct post *p, int code, const struct err *e, int attempt)
{
    char why[640], left[HUMAN_MAX];
    int64_t remaining = p->progress_ms + p->retry_for_ms - clock_ms();
    int64_t wait = backoff(attempt);
    if (code == ERR_OK && p->call.retry_after_ms > wait)
        wait = p->call.retry_after_ms;
    describe(p, code, e, why, sizeof why);
    if (wait >= remaining) {
        progress_clear(p->progress);
        return say_error(EXIT_UNREACHABLE,
                         "%s: %s; gave up. %" PRIu64 " rows were acknowledged; run the same command again to go on",
                         p->call.target.shown, why, p->rows);
    }
    if (!p->waiting) {
        progress_clear(p->progress);
        human_seconds((double)remaining / 1000, left);
        say_note("%s: %s; trying again for %s", p->call.target.shown, why, left);
    }
    p->waiting = true;
    nap_ms(wait);
    return EXIT_DONE;
}

/* One answer object; the rows it acknowledges. */
static uint64_t answer_rows(struct post *p, const json_t *answer)
{
    const json_t *ignored = json_object_get(answer, "ignored");
    if (json_array_size(ignored) > 0 && !p->told_ignored) {
        progress_clear(p->progress);
        const char *first = json_string_value(json_array_get(ignored, 0));
        say_note("%s: the gateway ignored keys it does not know, such as %s", p->file, first == NULL ? "?" : first);
        p->told_ignored = true;
    }
    if (js_text(answer, "durability")[0] != '\0')
        snprintf(p->durability, sizeof p->durability, "%s", js_text(answer, "durability"));
    return (uint64_t)js_integer(answer, "rows");
}

/* One object, or one a line. */
static uint64_t answers_rows(struct post *p)
{
    struct slice rest = buf_slice(&p->call.body);
    uint64_t rows = 0;
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
        json_t *answer = js_parse(slice_make(rest.ptr, len));
        rows += answer == NULL ? 0 : answer_rows(p, answer);
        json_decref(answer);
        rest = slice_make(rest.ptr + len + (end != NULL), rest.len - len - (end != NULL));
    }
    return rows;
}

static int post_acknowledged(struct post *p, const struct parcel *parcel)
{
    uint64_t rows = answers_rows(p);
    if (!parcel->documents && rows != parcel->body_count) {
        progress_clear(p->progress);
        return say_error(EXIT_INTERNAL,
                         "%s acknowledged %" PRIu64 " rows where %zu were sent: is that a headgate's rows address?",
                         p->call.target.shown, rows, parcel->body_count);
    }
    if (p->call.replayed) {
        p->replayed += rows;
        p->forgotten = p->forgotten || p->fresh;
    } else {
        p->fresh = true;
    }
    p->rows += rows;
    p->progress_ms = clock_ms();
    p->waiting = false;
    return EXIT_DONE;
}

int post_parcel(struct post *p, const struct parcel *parcel, const char *key, bool *too_large)
{
    struct call_request request = {.method = "POST",
                                   .path = "/v1/rows",
                                   .type = parcel->documents ? "application/x-ndjson" : "application/json",
                                   .key = key,
                                   .body = buf_slice(&parcel->body)};
    *too_large = false;
    for (int attempt = 0;; attempt++) {
        struct err e = {0};
        int code = call_send(&p->call, &request, &e);
        if (code == ERR_SYNTAX || code == ERR_NOMEM || code == ERR_LIMIT)
            return say_error(exit_of(code), "%s: %s", p->call.target.shown, e.text);
        if (code == ERR_OK && p->call.status / 100 == 2)
            return post_acknowledged(p, parcel);
        if (code == ERR_OK && !status_again(p->call.status)) {
            *too_large = p->call.status == 413 && parcel->body_count > 1;
            progress_clear(p->progress);
            return *too_large ? EXIT_REFUSED : refused_say(&p->call, parcel, p->file, p->rows);
        }
        int exit = post_wait(p, code, &e, attempt);
        if (exit != EXIT_DONE)
            return exit;
    }
}
