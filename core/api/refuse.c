/* Refusals: one sentence, or every fault that the scanner found, as a problem (RFC 9457) or in the older gateway's
 * shape. What is known of the first fault is noted for the list of refusals, which is written when the answer goes out
 * (intake.c). */
#include "api/pending.h"

#include <stdio.h>

struct http_problem refusal_plain(int status, const char *word, const char *detail)
{
    return (struct http_problem){
        .status = status,
        .word = word,
        .detail = detail,
        .allow = status == 405 ? "POST" : NULL,
        .retry_after = status == 503 ? 1 : 0,
        .close = status == 411, /* whatever follows is not a request */
    };
}

void refuse_plain(struct http_request *r, int status, const char *word, const char *detail)
{
    const struct http_problem problem = refusal_plain(status, word, detail);
    http_problem(r, &problem);
}

void refuse_code(struct http_request *r, int code)
{
    static const struct {
        int code, status;
        const char *word, *detail;
    } table[] = {
        {ERR_LIMIT, 413, "too-large", "the request is larger than a journal segment takes; send several requests"},
        {ERR_FULL, 503, "budget", "there is no room left for rows: the disk or journal.max_bytes is used up"},
        {ERR_IO, 503, "disk", "a disk error: it is not known whether the rows are safe; send them again"},
        {ERR_CLOSED, 503, "draining", "headgate is stopping; send the rows again"},
        {ERR_NOMEM, 503, "memory", "out of memory; send the rows again"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (table[i].code == code) {
            refuse_plain(r, table[i].status, table[i].word, table[i].detail);
            return;
        }
    refuse_plain(r, 503, "unavailable", "the rows could not be stored; send them again");
}

/* --- faults --- */

static int add_member(struct buf *b, const char *name, struct slice text)
{
    int code = buf_addf(b, "\"%s\":", name);
    return code != ERR_OK ? code : buf_add_json(b, text);
}

static int add_place(struct buf *b, const struct fault *f, bool ndjson)
{
    int code = ERR_OK;
    if (f->kind == FAULT_SYNTAX || ndjson)
        code = buf_addf(b, ",\"line\":%llu", (unsigned long long)f->line);
    if (code == ERR_OK && f->kind == FAULT_SYNTAX)
        code =
            buf_addf(b, ",\"column\":%llu,\"byte\":%llu", (unsigned long long)f->column, (unsigned long long)f->byte);
    return code;
}

static int add_fault(struct buf *b, const struct fault *f, bool ndjson)
{
    int code = buf_addc(b, '{');
    if (code == ERR_OK)
        code = add_member(b, "pointer", f->pointer);
    if (code == ERR_OK)
        code = buf_addc(b, ',');
    if (code == ERR_OK)
        code = add_member(b, "detail", f->detail);
    if (code == ERR_OK)
        code = buf_addc(b, ',');
    if (code == ERR_OK)
        code = add_member(b, "type", slice_of(f->type));
    if (code == ERR_OK)
        code = add_place(b, f, ndjson);
    return code != ERR_OK ? code : buf_addc(b, '}');
}

static int add_older_fault(struct buf *b, const struct fault *f)
{
    int code = buf_adds(b, "{\"loc\":");
    if (code == ERR_OK)
        code = fault_loc_json(f->pointer, b);
    if (code == ERR_OK)
        code = buf_addc(b, ',');
    if (code == ERR_OK)
        code = add_member(b, "msg", f->detail);
    if (code == ERR_OK)
        code = buf_addc(b, ',');
    if (code == ERR_OK)
        code = add_member(b, "type", slice_of(fault_legacy_type(f->type)));
    return code != ERR_OK ? code : buf_addc(b, '}');
}

static int add_faults(struct buf *b, const struct fault *faults, uint32_t count, bool older, bool ndjson)
{
    buf_clear(b);
    int code = buf_adds(b, older ? "{\"detail\":[" : "[");
    for (uint32_t f = 0; code == ERR_OK && f < count; f++) {
        code = f == 0 ? ERR_OK : buf_addc(b, ',');
        if (code == ERR_OK)
            code = older ? add_older_fault(b, &faults[f]) : add_fault(b, &faults[f], ndjson);
    }
    return code != ERR_OK ? code : buf_adds(b, older ? "]}" : "]");
}

static void older_answer(struct http_request *r, struct slice body)
{
    http_respond(r, &(struct http_answer){.status = 422, .content_type = "application/json", .body = body});
}

static void problem_answer(struct http_request *r, int code, const struct fault *first, uint32_t count,
                           struct slice errors)
{
    const char *word = code == ERR_SYNTAX ? "syntax" : code == ERR_LIMIT ? "too-large" : "schema";
    char detail[512];
    size_t len = 0;
    if (count > 1)
        len = (size_t)snprintf(detail, sizeof detail, "%u faults; the first: ", count);
    if (code == ERR_SYNTAX)
        snprintf(detail + len, sizeof detail - len, "line %llu, column %llu: " SLICE_FMT,
                 (unsigned long long)first->line, (unsigned long long)first->column, SLICE_ARG(first->detail));
    else
        snprintf(detail + len, sizeof detail - len, SLICE_FMT, SLICE_ARG(first->detail));
    http_problem(r, &(struct http_problem){
                        .status = code == ERR_SYNTAX  ? 400
                                  : code == ERR_LIMIT ? 413
                                                      : 422,
                        .word = word,
                        .detail = detail,
                        .errors = errors,
                    });
}

void refuse_faults(struct intake *i, struct http_request *r, int code, bool older, bool ndjson)
{
    uint32_t count;
    const struct fault *faults = scan_faults(i->scan, &count);
    if (code == ERR_NOMEM || count == 0) {
        refuse_code(r, ERR_NOMEM);
        return;
    }
    i->note = (struct refusal_note){
        .uuid = scan_uuid(i->scan),
        .detail = faults[0].detail,
        .type = slice_of(faults[0].type),
        .pointer = faults[0].pointer,
        .line = faults[0].line,
    };
    if (add_faults(&i->answer, faults, count, older, ndjson) != ERR_OK)
        buf_clear(&i->answer); /* the answer goes out without the list */
    if (older)
        older_answer(r, buf_slice(&i->answer));
    else
        problem_answer(r, code, &faults[0], count, buf_slice(&i->answer));
    i->note = (struct refusal_note){0};
}
