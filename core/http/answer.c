/* Answers as text. The head is built in a buffer that the server keeps; the body goes out beside it without being
 * copied. Every answer has a Date, a length (or none is allowed) and says when the connection will close. */
#include "http/answer.h"

#include "base/sys.h"

#include <time.h>

const char *http_reason(int status)
{
    switch (status) {
#define STATUS(code, reason)                                                                                           \
    case code:                                                                                                         \
        return reason;
#include "http/status.def"
#undef STATUS
    default: return "Unknown"; /* an int, not an enum: a route may answer what the table does not name */
    }
}

bool answer_bodiless(int status)
{
    return status < 200 || status == 204 || status == 304;
}

static const char *date_line(struct answer_date *date)
{
    int64_t second = clock_wall_us() / 1000000;
    if (second == date->second && date->line[0] != '\0')
        return date->line;
    time_t now = (time_t)second;
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(date->line, sizeof date->line, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts); /* the C locale's names */
    date->second = second;
    return date->line;
}

static int add_line(struct buf *out, const char *name, const char *value)
{
    int code = buf_adds(out, name);
    if (code == ERR_OK)
        code = buf_adds(out, value);
    return code != ERR_OK ? code : buf_add(out, "\r\n", 2);
}

static int add_length(struct buf *out, const struct answer_head *head)
{
    if (answer_bodiless(head->status))
        return ERR_OK;
    int code = head->content_type == NULL ? ERR_OK : add_line(out, "Content-Type: ", head->content_type);
    if (code == ERR_OK && head->stream)
        return ERR_OK;
    if (code == ERR_OK)
        code = buf_adds(out, "Content-Length: ");
    if (code == ERR_OK)
        code = buf_addn(out, head->length);
    return code != ERR_OK ? code : buf_add(out, "\r\n", 2);
}

int answer_write_head(struct buf *out, struct answer_date *date, const struct answer_head *head)
{
    buf_clear(out);
    int code = buf_adds(out, "HTTP/1.1 ");
    if (code == ERR_OK)
        code = buf_addn(out, (uint64_t)head->status);
    if (code == ERR_OK)
        code = add_line(out, " ", http_reason(head->status));
    if (code == ERR_OK)
        code = buf_adds(out, date_line(date));
    if (code == ERR_OK)
        code = add_length(out, head);
    if (code == ERR_OK && (head->close || head->http10_keep))
        code = add_line(out, "Connection: ", head->close ? "close" : "keep-alive");
    if (code == ERR_OK && head->fields != NULL)
        code = buf_adds(out, head->fields);
    if (code == ERR_OK && head->more != NULL)
        code = buf_adds(out, head->more);
    return code != ERR_OK ? code : buf_add(out, "\r\n", 2);
}

int answer_write_problem(struct buf *out, const struct http_problem *problem)
{
    buf_clear(out);
    int code = buf_adds(out, "{\"type\":\"/problems/");
    if (code == ERR_OK)
        code = buf_adds(out, problem->word == NULL ? "syntax" : problem->word);
    if (code == ERR_OK)
        code = buf_adds(out, "\",\"title\":");
    if (code == ERR_OK)
        code = buf_add_json(out, slice_of(http_reason(problem->status)));
    if (code == ERR_OK)
        code = buf_addf(out, ",\"status\":%d", problem->status);
    if (code == ERR_OK && problem->detail != NULL)
        code = buf_adds(out, ",\"detail\":");
    if (code == ERR_OK && problem->detail != NULL)
        code = buf_add_json(out, slice_of(problem->detail));
    if (code == ERR_OK && problem->errors.len > 0)
        code = buf_adds(out, ",\"errors\":");
    if (code == ERR_OK && problem->errors.len > 0)
        code = buf_add(out, problem->errors.ptr, problem->errors.len);
    return code != ERR_OK ? code : buf_addc(out, '}');
}
