/* Whether the disk still takes what is written, while nobody sends rows: a failed disk shows only when it is written
 * to, and readiness is asked just so that nobody has to find out with rows of theirs.
 *
 * Who asks for readiness asks for a trial, too (journal_try). Where the last sync that went well is a while ago, the
 * helper writes a page of a file of its own and syncs it. What comes of it is told by journal_health and changes
 * nothing else: intake tries by itself, and each group that is synced is as good a trial. What only says that something
 * else is short (room, descriptors, memory) is no verdict about the disk; for room there is intake's own.
 *
 * The file is `trial` in the journal's folder, one page, of no meaning to anyone. */
#include "base/sys.h"
#include "journal/files.h"
#include "journal/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum {
    PROOF_MS = 5000,     /* so long a sync that went well is proof enough */
    PATIENCE_MS = 30000, /* a disk that has not answered by then does not */
};

void journal_try(struct journal *j)
{
    CHECK_MAGIC(j, JOURNAL_MAGIC);
    struct trial *t = &j->trial;
    int64_t now = clock_ms();
    journal_lock(j);
    if (t->asked_ms == 0 && now - t->told_ms >= (t->code == ERR_OK ? PROOF_MS : (int64_t)j->options.retry_ms)) {
        t->asked_ms = now;
        helper_call(j);
    }
    journal_unlock(j);
}

void trial_passed(struct journal *j)
{
    j->trial.code = ERR_OK;
    j->trial.told_ms = clock_ms();
}

void trial_health(const struct journal *j, struct journal_health *out)
{
    const struct trial *t = &j->trial;
    int64_t waits = t->asked_ms == 0 ? 0 : clock_ms() - t->asked_ms;
    out->trial = waits >= PATIENCE_MS ? ERR_TIMEOUT : t->code;
    if (waits >= PATIENCE_MS)
        snprintf(out->trial_text, sizeof out->trial_text, "%.200s has not taken a page in %lld seconds", j->options.dir,
                 (long long)waits / 1000);
    else
        memcpy(out->trial_text, t->text, sizeof t->text);
}

/* The page is another one each time, so that it has to be written. */
static int page_write(const struct journal *j, int64_t now_ms)
{
    char path[PATH_MAX], page[FILE_PAGE] = {0};
    int code = path_join(j->options.dir, "trial", path);
    if (code != ERR_OK)
        return code;
    int fd = file_open(path, O_RDWR | O_CREAT | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    memcpy(page, &now_ms, sizeof now_ms);
    code = file_write(fd, page, sizeof page, 0);
    if (code == ERR_OK && sys->fdatasync(fd) != 0)
        code = err_from_errno(errno);
    int number = errno;
    sys->close(fd);
    errno = number;
    return code;
}

bool trial_step(struct journal *j, int64_t now_ms)
{
    struct trial *t = &j->trial;
    journal_lock(j);
    bool wanted = t->asked_ms != 0;
    journal_unlock(j);
    if (!wanted)
        return false;
    int code = page_write(j, now_ms), number = errno;
    if (code == ERR_FULL || code == ERR_FILES || code == ERR_NOMEM || code == ERR_LIMIT)
        code = ERR_OK;
    journal_lock(j);
    t->asked_ms = 0;
    t->told_ms = clock_ms();
    bool news = code != t->code;
    t->code = code;
    if (code != ERR_OK) {
        struct err e;
        err_errno(&e, number, "%.160s takes nothing", j->options.dir);
        snprintf(t->text, sizeof t->text, "%.*s", (int)sizeof t->text - 1, e.text);
    }
    journal_unlock(j);
    if (news)
        journal_tell(j);
    return true;
}
