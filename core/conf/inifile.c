/* The settings file. inih does the reading, but as Debian builds it, it is silent about much: lines over 199 bytes are
 * split in two, section names are cut at 49, ` ;` starts a comment anywhere, an indented line continues the one before,
 * what follows `]` vanishes. Each of these would put a wrong setting in force without a word. So the text is scanned
 * first; what the two could understand differently is refused with its line and the way out, and in the end inih's
 * entries are compared with the scan's, one by one.
 *
 * Runs at start and at a reload, on the thread that loads the configuration. Everything is bounded: bytes, lines, keys.
 */
#include "conf/inifile.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>

struct scan {
    const char *path;
    struct inifile *out;
    struct lines *faults, *notices;
    char section[INIFILE_SECTION_MAX + 1];
    bool in_section, in_refused_section;
    int line;
    int code; /* ERR_NOMEM ends the scan */
};

static void say(const struct scan *s, struct lines *to, const char *format, ...) PRINTF_LIKE(3, 4);
static void say(const struct scan *s, struct lines *to, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    lines_add(to, "file %s:%d: %s", s->path, s->line, text);
}

void inifile_fini(struct inifile *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->entries[i].section);
        free(f->entries[i].key);
        free(f->entries[i].value);
    }
    free(f->entries);
    *f = (struct inifile){0};
}

/* --- characters --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = slice_make(s.ptr + 1, s.len - 1);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(struct slice s)
{
    static const struct {
        unsigned char from, to, second_from, second_to, more;
    } forms[] = {{0x00, 0x7F, 0, 0, 0},       {0xC2, 0xDF, 0x80, 0xBF, 1}, {0xE0, 0xE0, 0xA0, 0xBF, 2},
                 {0xE1, 0xEC, 0x80, 0xBF, 2}, {0xED, 0xED, 0x80, 0x9F, 2}, {0xEE, 0xEF, 0x80, 0xBF, 2},
                 {0xF0, 0xF0, 0x90, 0xBF, 3}, {0xF1, 0xF3, 0x80, 0xBF, 3}, {0xF4, 0xF4, 0x80, 0x8F, 3}};
    const unsigned char *p = (const unsigned char *)s.ptr, *end = p + s.len;
    while (p < end) {
        size_t f = 0;
        while (f < COUNT_OF(forms) && (*p < forms[f].from || *p > forms[f].to))
            f++;
        if (f == COUNT_OF(forms) || end - p <= forms[f].more)
            return false;
        for (size_t i = 1; i <= forms[f].more; i++)
            if (p[i] < (i == 1 ? forms[f].second_from : 0x80) || p[i] > (i == 1 ? forms[f].second_to : 0xBF))
                return false;
        p += 1 + forms[f].more;
    }
    return true;
}

static bool has_control(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.ptr[i] < 0x20 && s.ptr[i] != '\t') || s.ptr[i] == 0x7F)
            return true;
    return false;
}

/* A semicolon after a blank: where inih begins a comment. */
static bool has_inline_comment(struct slice s)
{
    for (size_t i = 1; i < s.len; i++)
        if (s.ptr[i] == ';' && is_blank(s.ptr[i - 1]))
            return true;
    return false;
}

static bool is_key(struct slice s)
{
    if (s.len == 0 || s.ptr[0] < 'a' || s.ptr[0] > 'z')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return true;
}

/* --- lines --- */

static const struct inifile_entry *find(const struct inifile *f, const char *section, struct slice key)
{
    for (size_t i = 0; i < f->count; i++)
        if (slice_is(key, f->entries[i].key) && strcmp(f->entries[i].section, section) == 0)
            return &f->entries[i];
    return NULL;
}

static void add(struct scan *s, struct slice key, struct slice value)
{
    struct inifile *f = s->out;
    if (f->count == INIFILE_ENTRIES_MAX) {
        say(s, s->faults, "the file has more than %d keys", INIFILE_ENTRIES_MAX);
        s->code = ERR_LIMIT;
        return;
    }
    if ((f->count & (f->count + 1)) == 0) { /* 0, 1, 3, 7 …: full */
        struct inifile_entry *more = realloc(f->entries, (f->count * 2 + 1) * sizeof *more);
        if (more == NULL) {
            s->code = ERR_NOMEM;
            return;
        }
        f->entries = more;
    }
    struct inifile_entry *entry = &f->entries[f->count++];
    *entry =
        (struct inifile_entry){strdup(s->section), strndup(key.ptr, key.len), strndup(value.ptr, value.len), s->line};
    if (entry->section == NULL || entry->key == NULL || entry->value == NULL)
        s->code = ERR_NOMEM;
}

static void scan_section(struct scan *s, struct slice line)
{
    s->in_section = true;
    s->in_refused_section = true;
    const char *end = memchr(line.ptr, ']', line.len);
    if (end == NULL) {
        say(s, s->faults, "the section has no closing bracket");
        return;
    }
    struct slice name = slice_make(line.ptr + 1, (size_t)(end - line.ptr - 1));
    struct slice rest = trim(slice_make(end + 1, line.len - (size_t)(end + 1 - line.ptr)));
    if (rest.len > 0)
        say(s, s->faults, "nothing may stand behind a section's bracket; put it on a line of its own");
    else if (trim(name).len != name.len || name.len == 0 || has_inline_comment(name))
        say(s, s->faults, "a section is written as [http] or [plugin file], without further blanks");
    else if (name.len > INIFILE_SECTION_MAX)
        say(s, s->faults, "a section's name has at most %d bytes; use the environment (PLUGIN_<NAME>_...) for this one",
            INIFILE_SECTION_MAX);
    else {
        memcpy(s->section, name.ptr, name.len);
        s->section[name.len] = '\0';
        s->in_refused_section = false;
    }
}

static void scan_key(struct scan *s, struct slice line)
{
    size_t at = 0;
    while (at < line.len && line.ptr[at] != '=' && line.ptr[at] != ':')
        at++;
    struct slice key = trim(slice_make(line.ptr, at));
    if (has_inline_comment(line)) {
        say(s, s->faults,
            "` ;` would begin a comment here; put comments on lines of their own, and a value that holds ` ;` into the "
            "environment");
        return;
    }
    if (at == line.len) {
        say(s, s->faults, "this is neither `key = value`, nor [section], nor a comment");
        return;
    }
    if (!is_key(key)) {
        say(s, s->faults, "a key is written in small letters, digits and `_`, as in max_body = 16MiB");
        return;
    }
    if (!s->in_section) {
        say(s, s->faults, "`%.*s` stands before the first [section]", (int)key.len, key.ptr);
        return;
    }
    if (s->in_refused_section)
        return; /* its section was reported; where the key belongs is not known */
    const struct inifile_entry *before = find(s->out, s->section, key);
    if (before != NULL) {
        say(s, s->faults, "`%s` of [%s] is set in line %d already; remove one of the two", before->key, s->section,
            before->line);
        return;
    }
    struct slice value = trim(slice_make(line.ptr + at + 1, line.len - at - 1));
    for (size_t i = 1; i < value.len; i++)
        if (value.ptr[i] == '#' && is_blank(value.ptr[i - 1])) {
            say(s, s->notices, "` #` begins no comment here, it is part of the value");
            break;
        }
    add(s, key, value);
}

static void scan_line(struct scan *s, struct slice line)
{
    if (line.len > INIFILE_LINE_MAX) {
        say(s, s->faults,
            "a line has at most %d bytes; put a longer value into the environment, or a secret into a file",
            INIFILE_LINE_MAX);
        return;
    }
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    struct slice content = trim(line);
    if (has_control(line))
        say(s, s->faults, "there is a control character in this line");
    else if (!is_utf8(line))
        say(s, s->faults, "this line is not valid UTF-8");
    else if (content.len == 0 || content.ptr[0] == '#' || content.ptr[0] == ';')
        return;
    else if (content.ptr != line.ptr)
        say(s, s->faults, "an indented line would continue the one before; begin it at the first column");
    else if (content.ptr[0] == '[')
        scan_section(s, content);
    else
        scan_key(s, content);
}

static void scan_text(struct scan *s, struct slice text)
{
    if (text.len >= 3 && memcmp(text.ptr, "\xEF\xBB\xBF", 3) == 0) {
        s->line = 1;
        say(s, s->faults, "the file begins with a byte order mark; save it as plain UTF-8");
        text = slice_make(text.ptr + 3, text.len - 3);
    }
    for (size_t at = 0; at < text.len && s->code == ERR_OK;) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t len = end == NULL ? text.len - at : (size_t)(end - text.ptr) - at;
        s->line++;
        scan_line(s, slice_make(text.ptr + at, len));
        at += len + 1;
    }
}

/* --- inih --- */

struct check {
    struct slice left;
    const struct inifile *expected;
    size_t at;
    bool same;
};

/* As fgets: one line, or as much of it as fits. */
static char *next_line(char *to, int size, void *arg)
{
    struct check *c = arg;
    if (c->left.len == 0 || size < 2)
        return NULL;
    const char *end = memchr(c->left.ptr, '\n', c->left.len);
    size_t len = end == NULL ? c->left.len : (size_t)(end - c->left.ptr) + 1;
    if (len > (size_t)size - 1)
        len = (size_t)size - 1;
    memcpy(to, c->left.ptr, len);
    to[len] = '\0';
    c->left = slice_make(c->left.ptr + len, c->left.len - len);
    return to;
}

static int compare_entry(void *arg, const char *section, const char *name, const char *value)
{
    struct check *c = arg;
    c->same = c->same && c->at < c->expected->count && value != NULL;
    if (c->same) {
        const struct inifile_entry *e = &c->expected->entries[c->at++];
        c->same = strcmp(e->section, section) == 0 && strcmp(e->key, name) == 0 && strcmp(e->value, value) == 0;
    }
    return 1;
}

/* Does inih read the same entries in the same order? */
static bool inih_agrees(struct slice text, const struct inifile *expected)
{
    struct check c = {.left = text, .expected = expected, .same = true};
    int line = ini_parse_stream(next_line, &c, compare_entry, &c);
    return line == 0 && c.same && c.at == expected->count;
}

int inifile_parse(struct slice text, const char *path, struct inifile *out, struct lines *faults, struct lines *notices)
{
    *out = (struct inifile){0};
    struct scan s = {.path = path, .out = out, .faults = faults, .notices = notices};
    size_t before = faults->count;
    scan_text(&s, text);
    if (s.code == ERR_NOMEM)
        return ERR_NOMEM;
    if (faults->count == before && !inih_agrees(text, out))
        lines_add(faults, "file %s: the ini library reads this file in another way than it is written", path);
    return ERR_OK;
}

/* --- the disk --- */

/* Everything up to the end; ERR_LIMIT when it is longer than the buffer may get. */
static int read_all(int fd, struct buf *text)
{
    for (;;) {
        char part[4096];
        ssize_t got = sys->read(fd, part, sizeof part);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? ERR_OK : ERR_IO;
        int code = buf_add(text, part, (size_t)got);
        if (code != ERR_OK)
            return code;
    }
}

int inifile_read(const char *path, bool may_be_absent, struct inifile *out, struct lines *faults, struct lines *notices)
{
    *out = (struct inifile){0};
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0) {
        if (errno != ENOENT || !may_be_absent)
            lines_add(faults, "file %s: cannot be opened: %s", path, strerror(errno));
        return ERR_OK;
    }
    struct buf text;
    buf_init(&text, INIFILE_MAX);
    errno = 0;
    int code = read_all(fd, &text);
    if (code == ERR_LIMIT)
        lines_add(faults, "file %s: has more than %d bytes", path, INIFILE_MAX);
    else if (code == ERR_IO)
        lines_add(faults, "file %s: cannot be read: %s", path, strerror(errno));
    else if (code == ERR_OK)
        code = inifile_parse(buf_slice(&text), path, out, faults, notices);
    sys->close(fd);
    buf_free(&text);
    return code == ERR_NOMEM ? code : ERR_OK;
}
