/* Looking at a journal's directory: names, sizes, headers. Nothing is changed, so that a newer version's journal, or a
 * wrong directory, is left exactly as it was.
 *
 * A segment whose header is lost is still known by its groups: each holds its own position, so the first group that
 * fits its place tells salt and epoch. Called at open (and by verify and repair), before any thread exists. */
#include "journal/survey.h"

#include "base/sys.h"
#include "journal/files.h"
#include "journal/scan.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define BASE_MAX (UINT64_C(1) << 62) /* a name beyond it is no position of ours */

enum { FILES_FIRST = 64, STREAM_DIGITS = 2 * EPOCH_BYTES };

/* --- names --- */

struct listing {
    struct survey *survey;
    uint64_t span;
};

static void base_seen(struct survey *s, uint64_t base, uint64_t span)
{
    uint64_t end = base > BASE_MAX || span > BASE_MAX ? 0 : (base + span + FILE_PAGE - 1) / FILE_PAGE * FILE_PAGE;
    if (end > s->next_base)
        s->next_base = end;
}

static int file_add(struct survey *s, uint64_t base)
{
    if (s->count == s->cap) {
        uint32_t cap = s->cap == 0 ? FILES_FIRST : s->cap * 2;
        struct survey_file *files = realloc(s->files, cap * sizeof *files);
        if (files == NULL)
            return ERR_NOMEM;
        s->files = files;
        s->cap = cap;
    }
    s->files[s->count++] = (struct survey_file){.base = base};
    return ERR_OK;
}

static int name_seen(void *arg, const char *name)
{
    struct listing *l = arg;
    uint64_t base;
    enum file_kind kind;
    if (!file_name_parse(name, &base, &kind) || kind == FILE_INDEX)
        return 0;
    base_seen(l->survey, base, l->span);
    return kind == FILE_SEGMENT ? file_add(l->survey, base) : 0;
}

static int damaged_seen(void *arg, const char *name)
{
    struct listing *l = arg;
    if (strspn(name, "0123456789abcdef") == 16)
        base_seen(l->survey, strtoull(name, NULL, 16), l->span);
    return 0;
}

static int by_base(const void *a, const void *b)
{
    const struct survey_file *x = a, *y = b;
    return x->base < y->base ? -1 : x->base > y->base;
}

static int names_read(const char *dir, uint64_t span, struct survey *s, struct err *e)
{
    char damaged[PATH_MAX];
    struct listing listing = {.survey = s, .span = span};
    int result = sys->list(dir, name_seen, &listing);
    if (result == ERR_NOMEM)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (result != 0)
        return err_errno(e, errno, "%s", dir);
    if (path_join(dir, "damaged", damaged) == ERR_OK && sys->list(damaged, damaged_seen, &listing) != 0 &&
        errno != ENOENT)
        return err_errno(e, errno, "%s", damaged);
    if (s->count > 0)
        qsort(s->files, s->count, sizeof *s->files, by_base);
    return ERR_OK;
}

/* --- one file --- */

int medium_open(const char *path, bool *direct)
{
    _Alignas(FILE_PAGE) static _Thread_local char page[FILE_PAGE];
    int fd = file_open(path, O_RDONLY | O_DIRECT);
    *direct = true;
    if (fd >= 0 && (sys->pread(fd, page, FILE_PAGE, 0) >= 0 || errno != EINVAL))
        return fd;
    if (fd >= 0)
        sys->close(fd);
    else if (errno != EINVAL)
        return -1;
    *direct = false;
    fd = file_open(path, O_RDONLY);
    if (fd >= 0 && file_sync(fd) == ERR_OK)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return fd;
}

static bool page_blank(const unsigned char page[SEGMENT_HEADER])
{
    for (int i = 0; i < SEGMENT_HEADER; i++)
        if (page[i] != 0)
            return false;
    return true;
}

/* What the first group can tell about a segment whose header is lost. */
static int header_guess(struct reader *r, const struct survey_file *f, uint64_t span, struct segment_header *out)
{
    struct group_header g;
    const unsigned char *bytes;
    struct record first;
    uint64_t limit = f->base + f->bytes / RECORD_ALIGN * RECORD_ALIGN;
    int code = scan_first_group(r, limit, &g);
    if (code != ERR_OK)
        return code;
    struct segment_header h = {.base = f->base,
                               .size = span > f->bytes ? span : f->bytes,
                               .epoch = g.epoch,
                               .salt = g.salt,
                               .prev_base = UINT64_MAX,
                               .prev_end = UINT64_MAX};
    code = reader_bytes(r, g.position + GROUP_HEADER, RECORD_HEADER, limit, &bytes);
    if (code == ERR_OK && record_peek(bytes, g.position + GROUP_HEADER, &first) == ERR_OK) {
        h.first_row = first.first_row;
        h.created_us = first.received_us;
    }
    *out = h;
    return code == ERR_NOMEM ? code : ERR_OK;
}

static int groups_look(struct survey *s, const char *path, uint64_t span, struct survey_file *f)
{
    bool direct;
    int fd = medium_open(path, &direct);
    if (fd < 0)
        return errno == ENOMEM ? ERR_NOMEM : ERR_OK;
    struct reader r;
    reader_init(&r, fd, f->base, 0);
    r.blank = true;
    int code = header_guess(&r, f, span, &f->header);
    if (code == ERR_OK)
        f->kind = SURVEY_LOST;
    if (!direct)
        s->unverified = true;
    reader_fini(&r);
    sys->close(fd);
    return code == ERR_NOMEM ? code : ERR_OK;
}

/* A file that cannot be read counts as damaged: until then it is one. */
static int file_read_header(int fd, struct survey_file *f, unsigned char page[SEGMENT_HEADER], struct err *e)
{
    struct stat st;
    f->kind = SURVEY_NOTHING;
    if (sys->fstat(fd, &st) != 0)
        return errno == ENOMEM ? ERR_NOMEM : ERR_OK;
    f->bytes = (uint64_t)st.st_size;
    f->mtime_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
    int code = file_read(fd, page, SEGMENT_HEADER, 0);
    if (code != ERR_OK)
        return code == ERR_NOMEM ? code : ERR_OK;
    code = segment_header_read(page, &f->header, e);
    if (code == ERR_OK)
        f->kind = f->header.base == f->base ? SURVEY_GOOD : SURVEY_FOREIGN;
    else if (code == ERR_DAMAGED && page_blank(page))
        f->kind = SURVEY_BLANK;
    return code == ERR_VERSION ? code : ERR_OK;
}

static int file_look(const char *dir, uint64_t span, struct survey *s, struct survey_file *f, struct err *e)
{
    char path[PATH_MAX];
    unsigned char page[SEGMENT_HEADER];
    int code = file_path(dir, f->base, FILE_SEGMENT, path);
    if (code != ERR_OK)
        return err_set(e, code, "the journal's directory has too long a name");
    int fd = file_open(path, O_RDONLY);
    if (fd < 0)
        return err_errno(e, errno, "%s", path);
    code = file_read_header(fd, f, page, e);
    sys->close(fd);
    if (code == ERR_OK && (f->kind == SURVEY_BLANK || f->kind == SURVEY_NOTHING))
        code = groups_look(s, path, span, f);
    if (code == ERR_OK && f->kind == SURVEY_GOOD)
        base_seen(s, f->base, f->header.size);
    base_seen(s, f->base, f->bytes);
    return code == ERR_NOMEM ? err_set(e, ERR_NOMEM, "out of memory") : code;
}

int survey_read(const char *dir, uint64_t segment_bytes, struct survey *out, struct err *e)
{
    struct survey s = {.count = 0};
    int code = names_read(dir, segment_bytes, &s, e);
    for (uint32_t i = 0; code == ERR_OK && i < s.count; i++)
        code = file_look(dir, segment_bytes, &s, &s.files[i], e);
    if (code != ERR_OK) {
        survey_fini(&s);
        return code;
    }
    *out = s;
    return ERR_OK;
}

void survey_fini(struct survey *s)
{
    free(s->files);
    *s = (struct survey){.count = 0};
}

struct survey_file *survey_find(const struct survey *s, uint64_t base)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->files[i].base == base)
            return &s->files[i];
    return NULL;
}

/* --- whose files --- */

static bool stream_parse(const char *text, struct epoch *out)
{
    for (int i = 0; i < STREAM_DIGITS; i++)
        if (!isxdigit((unsigned char)text[i]))
            return false;
    for (int i = 0; i < EPOCH_BYTES; i++) {
        const char two[3] = {text[2 * i], text[2 * i + 1], '\0'};
        out->bytes[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return true;
}

static bool stream_of_lock(const char *dir, struct epoch *out)
{
    char path[PATH_MAX], text[STREAM_DIGITS];
    if (path_join(dir, "lock", path) != ERR_OK)
        return false;
    int fd = file_open(path, O_RDONLY);
    if (fd < 0)
        return false;
    bool is = file_read(fd, text, sizeof text, 0) == ERR_OK && stream_parse(text, out);
    sys->close(fd);
    return is;
}

int survey_stream_write(int fd, const struct epoch *stream)
{
    char text[STREAM_DIGITS + 2];
    for (int i = 0; i < EPOCH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", stream->bytes[i]);
    text[STREAM_DIGITS] = '\n';
    int code = file_write(fd, text, STREAM_DIGITS + 1, 0);
    return code == ERR_OK ? file_sync(fd) : code;
}

static uint32_t stream_votes(const struct survey *s, const struct epoch *stream)
{
    uint32_t votes = 0;
    for (uint32_t i = 0; i < s->count; i++)
        votes += s->files[i].kind == SURVEY_GOOD && memcmp(&s->files[i].header.stream, stream, sizeof *stream) == 0;
    return votes;
}

/* Anyone may have touched `lock`: it counts only if no segment, or at least one, agrees. */
bool survey_stream(const char *dir, const struct survey *s, struct epoch *out, bool *noted)
{
    struct epoch best = {.bytes = {0}}, named;
    uint32_t most = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t votes = s->files[i].kind == SURVEY_GOOD ? stream_votes(s, &s->files[i].header.stream) : 0;
        if (votes > most) {
            most = votes;
            best = s->files[i].header.stream;
        }
    }
    *noted = stream_of_lock(dir, &named) && (most == 0 || stream_votes(s, &named) > 0);
    if (*noted) {
        *out = named;
        return true;
    }
    *out = best;
    return most > 0;
}

/* Two of one life that follow the same one: the first write into the elder was said to have failed, so it was given up
 * and nothing in it was announced; whoever waited for it may have sent his rows again. (As long as nothing follows it,
 * it may count as well as not.) */
static bool given_up(const struct survey *s, uint32_t number)
{
    const struct segment_header *h = &s->files[number].header;
    for (uint32_t i = number + 1; i < s->count; i++) {
        const struct segment_header *later = &s->files[i].header;
        if (s->files[i].kind == SURVEY_GOOD && memcmp(&later->epoch, &h->epoch, sizeof h->epoch) == 0 &&
            later->prev_base == h->prev_base && later->prev_end == h->prev_end)
            return true;
    }
    return false;
}

void survey_judge(struct survey *s, const struct epoch *stream)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->files[i].kind == SURVEY_GOOD && memcmp(&s->files[i].header.stream, stream, sizeof *stream) != 0)
            s->files[i].kind = SURVEY_FOREIGN;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->files[i].kind == SURVEY_GOOD && given_up(s, i))
            s->files[i].kind = SURVEY_VOID;
}
