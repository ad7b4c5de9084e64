/* `headgate journal repair`: a new journal of what is whole, beside the old one, which is not touched.
 *
 * Every record keeps its position and epoch, so ids stay what they were. What is damaged becomes empty room, so readers
 * of the new journal meet no damage; the chain of segments is written anew over those that are there. */
#include "base/sys.h"
#include "journal/chain.h"
#include "journal/files.h"
#include "journal/journal.h"
#include "journal/offline.h"
#include "journal/salvage.h"

#include <errno.h>
#include <fcntl.h>

struct repair {
    const struct offline *from;
    const char *to;
    struct segment_header before; /* the last one written */
    uint64_t before_end;
    bool any;
};

static int segment_write(struct repair *p, struct reader *r, const struct segment_header *header, uint64_t end,
                         struct err *e)
{
    char path[PATH_MAX];
    int code = file_path(p->to, header->base, FILE_SEGMENT, path);
    if (code != ERR_OK)
        return err_set(e, code, "too long a name");
    int fd = file_open(path, O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0)
        return err_errno(e, errno, "%s", path);
    code = salvage_copy(r, header, end, true, fd);
    sys->close(fd);
    return code == ERR_OK ? ERR_OK : err_set(e, code, "%s: %s", path, err_text(code));
}

static int segment_repair(struct repair *p, const struct survey_file *f, struct err *e)
{
    struct reader r;
    uint64_t end, torn_end;
    struct segment_header header = f->header;
    header.stream = p->from->stream;
    header.prev_base = p->any ? p->before.base : UINT64_MAX;
    header.prev_end = p->any ? p->before_end : UINT64_MAX;
    header.prev_epoch = p->any ? p->before.epoch : (struct epoch){.bytes = {0}};
    if (salt_draw(&header.salt) != ERR_OK)
        return err_set(e, ERR_IO, "the system has no random numbers");
    int code = offline_segment(p->from, f, &r, &end, &torn_end, e);
    if (code != ERR_OK)
        return code;
    if (end > f->base + SEGMENT_HEADER) {
        code = segment_write(p, &r, &header, end, e);
        p->before = header;
        p->before_end = end;
        p->any = true;
    }
    offline_segment_close(&r);
    return code;
}

static int lock_write(const struct repair *p, struct err *e)
{
    char path[PATH_MAX];
    int code = path_join(p->to, "lock", path);
    if (code != ERR_OK)
        return err_set(e, code, "too long a name");
    int fd = file_open(path, O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0)
        return err_errno(e, errno, "%s", path);
    code = survey_stream_write(fd, &p->from->stream);
    sys->close(fd);
    return code == ERR_OK ? ERR_OK : err_set(e, code, "%s: %s", path, err_text(code));
}

int journal_repair(const char *from, const char *to, struct err *e)
{
    struct offline o;
    int code = offline_open(from, &o, e);
    if (code != ERR_OK)
        return code;
    struct repair p = {.from = &o, .to = to};
    if (sys->mkdir(to, 0750) != 0)
        code = err_errno(e, errno, "%s", to);
    for (uint32_t i = 0; code == ERR_OK && i < o.survey.count; i++)
        (void)chain_follow(&o.survey, &o.survey.files[i]);
    for (uint32_t i = 0; code == ERR_OK && i < o.survey.count; i++)
        if (chain_holds_rows(&o.survey.files[i]))
            code = segment_repair(&p, &o.survey.files[i], e);
    if (code == ERR_OK)
        code = lock_write(&p, e);
    if (code == ERR_OK && dir_sync(to) != ERR_OK)
        code = err_errno(e, errno, "%s", to);
    offline_close(&o);
    return code;
}
