/* Bringing the daemon up, first half: settings, the data folder, the journal. Before the loop runs. */
#include "api/parts.h"

#include <sys/vfs.h>

int daemon_say_faults(struct buf *faults)
{
    for (const char *at = buf_str(faults); *at != '\0'; at += strcspn(at, "\n") + 1) {
        char line[1024];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        LOG(LOG_ERROR, "settings.fault", line);
        if (at[strcspn(at, "\n")] == '\0')
            break;
    }
    return EXIT_CONFIG_FAULT;
}

void daemon_set_log(const struct settings *s)
{
    bool json = s->log_format == LOG_FORMAT_JSON || (s->log_format == LOG_FORMAT_AUTO && isatty(STDERR_FILENO) == 0);
    log_setup((enum log_level)s->log_level, json);
}

int daemon_load_settings(struct daemon *d)
{
    struct buf faults, notices;
    buf_init(&faults, FAULTS_MAX_BYTES);
    buf_init(&notices, FAULTS_MAX_BYTES);
    int code = conf_load(&d->options->input, &d->conf, &faults, &notices);
    int exit_code = EXIT_OK;
    if (code == ERR_OK) {
        d->settings = conf_settings(d->conf);
        daemon_set_log(d->settings);
    }
    for (const char *at = buf_str(&notices); *at != '\0';) {
        char line[1024];
        size_t len = strcspn(at, "\n");
        snprintf(line, sizeof line, "%.*s", (int)len, at);
        LOG(LOG_INFO, "settings.notice", line);
        at += len + (at[len] == '\n');
    }
    if (code != ERR_OK)
        exit_code = faults.len > 0 ? daemon_say_faults(&faults) : EXIT_INTERNAL_FAULT;
    buf_free(&faults);
    buf_free(&notices);
    return exit_code;
}

static int make_dirs(const char *path)
{
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *at = part + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (sys->mkdir(part, 0755) != 0 && errno != EEXIST)
            return err_from_errno(errno);
        *at = '/';
    }
    return sys->mkdir(part, 0750) != 0 && errno != EEXIST ? err_from_errno(errno) : ERR_OK;
}

/* Kinds of file systems that do not keep what they are given through a power cut, or not as one expects. */
const char *data_file_system(const char *dir)
{
    static const struct {
        long type;
        const char *what;
    } kinds[] = {
        {0x01021994, "tmpfs: it is lost with the machine"},
        {0x794C7630, "overlay: it is lost with the container; mount a volume"},
        {0x6969, "NFS: fsync depends on the server"},
        {0x517B, "SMB: fsync depends on the server"},
        {0xFF534D42, "CIFS: fsync depends on the server"},
        {0x65735546, "FUSE: fsync depends on its program"},
    };
    struct statfs fs;
    for (size_t i = 0; statfs(dir, &fs) == 0 && i < COUNT_OF(kinds); i++)
        if ((long)fs.f_type == kinds[i].type)
            return kinds[i].what;
    return NULL;
}

/* `auto`: the smaller of 10 GiB and half of what the journal has and could have. */
static uint64_t journal_limit(const struct settings *s, uint64_t has)
{
    struct statvfs fs;
    if (s->journal_max_bytes > 0)
        return s->journal_max_bytes;
    if (sys->statvfs(s->data_dir, &fs) != 0)
        return UINT64_C(10) << 30;
    uint64_t could = has + (uint64_t)fs.f_bavail * fs.f_frsize, all = (uint64_t)fs.f_blocks * fs.f_frsize;
    if (s->journal_max_bytes_percent > 0)
        return all / 100 * (uint64_t)s->journal_max_bytes_percent;
    uint64_t limit = could / 2 < UINT64_C(10) << 30 ? could / 2 : UINT64_C(10) << 30;
    return limit > 2 * s->journal_segment ? limit : 2 * s->journal_segment;
}

static void journal_woke(void *arg)
{
    struct daemon *d = arg;
    (void)uv_async_send(&d->journal_changed);
}

struct journal_options daemon_journal_options(struct daemon *d, const char *dir, uint64_t has)
{
    const struct settings *s = d->settings;
    return (struct journal_options){
        .dir = dir,
        .segment_bytes = s->journal_segment,
        .max_bytes = journal_limit(s, has),
        .min_free = s->journal_min_free,
        .durability = (enum durability)s->journal_durability,
        .interval_ms = (uint32_t)s->journal_durability_ms,
        .keep_ms = s->journal_keep,
        .keep_bytes = s->journal_keep_bytes,
        .changed = journal_woke,
        .arg = d,
    };
}

static uint64_t dir_bytes(const char *dir)
{
    char path[PATH_MAX + 8];
    struct stat st;
    uint64_t sum = 0;
    uv_fs_t scan;
    uv_dirent_t entry;
    if (uv_fs_scandir(NULL, &scan, dir, 0, NULL) < 0) {
        uv_fs_req_cleanup(&scan);
        return 0;
    }
    while (uv_fs_scandir_next(&scan, &entry) == 0)
        if (snprintf(path, sizeof path, "%s/%s", dir, entry.name) < (int)sizeof path && sys->stat(path, &st) == 0)
            sum += (uint64_t)st.st_size;
    uv_fs_req_cleanup(&scan);
    return sum;
}

int daemon_open_journal(struct daemon *d, bool *fresh)
{
    const char *data = d->settings->data_dir;
    char dir[PATH_MAX];
    struct stat st;
    struct err e = {0};
    snprintf(d->data_dir, sizeof d->data_dir, "%s", data);
    int code = make_dirs(data);
    if (code != ERR_OK) {
        LOG(LOG_ERROR, "data.not_made", err_text(code), LOG_S("dir", data));
        return EXIT_DISK_FAULT;
    }
    const char *kind = data_file_system(data);
    if (kind != NULL)
        LOG(LOG_WARN, "data.file_system", kind, LOG_S("dir", data));
    snprintf(dir, sizeof dir, "%s/journal", data);
    *fresh = sys->stat(dir, &st) != 0;
    struct journal_options options = daemon_journal_options(d, dir, dir_bytes(dir));
    struct journal_report report = {0};
    code = journal_open(&d->journal, &options, &report, &e);
    if (code != ERR_OK) {
        LOG(LOG_ERROR, "journal.not_opened", e.text, LOG_S("dir", dir));
        return code == ERR_VERSION ? EXIT_CONFIG_FAULT : EXIT_DISK_FAULT;
    }
    LOG(LOG_INFO, "journal.opened", "the journal is open", LOG_S("dir", dir), LOG_N("segments", report.segments),
        LOG_N("torn_bytes", report.torn_bytes), LOG_N("damages", report.damages));
    if (report.unverified_medium)
        LOG(LOG_WARN, "journal.unverified_medium",
            "this file system refuses O_DIRECT: what was read back at start may be the cache, not the medium");
    return EXIT_OK;
}
