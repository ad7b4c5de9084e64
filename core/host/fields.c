/* Reading and writing of `name value` lines with counted bytes. Numbers are plain decimal, so that what was written is
 * the only thing that reads back. What was read is not shown in errors: it may be a secret. Pure; any thread. */
#include "host/fields.h"

#include <stdlib.h>

int fields_next(struct fields *f, struct slice *name, struct slice *value, struct err *e)
{
    if (f->left.len == 0)
        return ERR_NOTFOUND;
    const char *end = memchr(f->left.ptr, '\n', f->left.len);
    if (end == NULL)
        return err_set(e, ERR_SYNTAX, "the last line does not end");
    struct slice line = slice_make(f->left.ptr, (size_t)(end - f->left.ptr));
    const char *space = memchr(line.ptr, ' ', line.len);
    if (space == NULL || space == line.ptr)
        return err_set(e, ERR_SYNTAX, "a line is not a name and a value");
    *name = slice_make(line.ptr, (size_t)(space - line.ptr));
    *value = slice_make(space + 1, line.len - name->len - 1);
    f->left = slice_make(end + 1, f->left.len - line.len - 1);
    return ERR_OK;
}

int fields_number(struct slice value, uint64_t max, struct slice *before, uint64_t *out, struct err *e)
{
    size_t start = value.len;
    while (start > 0 && value.ptr[start - 1] >= '0' && value.ptr[start - 1] <= '9')
        start--;
    uint64_t n = 0;
    bool fits = start < value.len && (value.ptr[start] != '0' || start + 1 == value.len);
    for (size_t i = start; fits && i < value.len; i++) {
        unsigned digit = (unsigned)(value.ptr[i] - '0');
        fits = n <= (UINT64_MAX - digit) / 10;
        n = n * 10 + digit;
    }
    if (!fits || n > max)
        return err_set(e, ERR_SYNTAX, "a number is missing or too large");
    if (before == NULL ? start != 0 : start < 2 || value.ptr[start - 1] != ' ')
        return err_set(e, ERR_SYNTAX, "a number is not where it belongs");
    if (before != NULL)
        *before = slice_make(value.ptr, start - 1);
    *out = n;
    return ERR_OK;
}

int fields_bytes(struct fields *f, uint64_t count, char **out, struct err *e)
{
    if (count >= f->left.len || f->left.ptr[count] != '\n')
        return err_set(e, ERR_SYNTAX, "a value is shorter or longer than announced");
    char *copy = malloc((size_t)count + 1);
    if (copy == NULL)
        return err_set(e, ERR_NOMEM, "out of memory");
    memcpy(copy, f->left.ptr, (size_t)count);
    copy[count] = '\0';
    f->left = slice_make(f->left.ptr + count + 1, f->left.len - (size_t)count - 1);
    *out = copy;
    return ERR_OK;
}

int fields_text(struct fields *f, struct slice value, uint64_t max, char **out, struct err *e)
{
    uint64_t count;
    int code = fields_number(value, max, NULL, &count, e);
    if (code == ERR_OK && count < f->left.len && memchr(f->left.ptr, '\0', (size_t)count) != NULL)
        code = err_set(e, ERR_SYNTAX, "a text holds a NUL byte");
    return code != ERR_OK ? code : fields_bytes(f, count, out, e);
}

int fields_put_number(struct buf *out, const char *name, uint64_t n)
{
    return buf_addf(out, "%s %llu\n", name, (unsigned long long)n);
}

int fields_put_bytes(struct buf *out, const char *name, const char *word, struct slice bytes)
{
    if (bytes.ptr == NULL)
        return ERR_OK;
    int code = buf_addf(out, "%s %s%s%zu\n", name, word == NULL ? "" : word, word == NULL ? "" : " ", bytes.len);
    if (code == ERR_OK)
        code = buf_add(out, bytes.ptr, bytes.len);
    return code != ERR_OK ? code : buf_addc(out, '\n');
}
