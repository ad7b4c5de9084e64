/* `headgate doctor`: settings, plugins, data folder, disk, certificates, clock, the running daemon, its pushers and
 * their far ends; for each what was found, and for what is wrong what to do about it.
 *
 * It looks as whoever calls it and changes nothing. Everything is looked at, whatever was found before; the exit code
 * is that of the first fault. Warnings do not count: they say what may go wrong later. */
#include "cli/cli.h"

#include "api/daemon.h"
#include "base/sys.h"
#include "cli/flags.h"
#include "cli/folders.h"
#include "cli/grid.h"
#include "cli/human.h"
#include "cli/say.h"
#include "cli/session.h"
#include "http/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

enum level { LEVEL_OK, LEVEL_WARN, LEVEL_FAULT };
enum { CERTIFICATE_SOON_S = 14 * 86400, LISTS_SOON_S = 6 * 3600 };

struct doctor {
    bool json;
    int exit; /* of the first fault */
    long long faults, warnings;
    struct buf out; /* the findings as JSON */
};

static const char *const words[] = {[LEVEL_OK] = "ok", [LEVEL_WARN] = "warning", [LEVEL_FAULT] = "fault"};

static int add_text(struct buf *b, const char *name, const char *text)
{
    int code = buf_addf(b, ",\"%s\":", name);
    return code == ERR_OK ? buf_add_json(b, slice_of(text)) : code;
}

static void keep(struct doctor *d, enum level level, const char *area, const char *text, const char *advice)
{
    int code = buf_addf(&d->out, "%s{\"area\":\"%s\",\"level\":\"%s\"", d->out.len > 0 ? "," : "", area, words[level]);
    if (code == ERR_OK)
        code = add_text(&d->out, "text", text);
    if (code == ERR_OK && advice != NULL)
        code = add_text(&d->out, "do", advice);
    if (code == ERR_OK)
        code = buf_addc(&d->out, '}');
    if (code != ERR_OK)
        d->exit = say_error(EXIT_INTERNAL, "out of memory");
}

/* `exit`: of a fault. `advice`: NULL when there is nothing to do. */
static void found(struct doctor *d, enum level level, int exit, const char *area, const char *text, const char *advice)
{
    char line[1500];
    d->faults += level == LEVEL_FAULT;
    d->warnings += level == LEVEL_WARN;
    if (level == LEVEL_FAULT && d->exit == EXIT_DONE)
        d->exit = exit;
    if (d->json) {
        keep(d, level, area, text, advice);
        return;
    }
    snprintf(line, sizeof line, "%-8s %s: %.1200s", words[level], area, text);
    say_wrapped(stdout, 0, GRID_WIDTH, line, true);
    if (advice != NULL)
        say_wrapped(stdout, 9, GRID_WIDTH, advice, false);
}

/* --- without a daemon --- */

static void look_at_rights(struct doctor *d, const char *dir)
{
    char text[600];
    struct stat st;
    if (sys->stat(dir, &st) != 0) {
        snprintf(text, sizeof text, "%s: %s", dir, strerror(errno));
        found(d, errno == ENOENT ? LEVEL_WARN : LEVEL_FAULT, EXIT_DISK, "data.dir", text,
              errno == ENOENT ? "run makes it at its first start, if its user may" : "name another folder in data.dir");
        return;
    }
    bool own = access(dir, R_OK | W_OK | X_OK) == 0;
    snprintf(text, sizeof text, "%s belongs to user %ld; this user (%ld) may%s write there", dir, (long)st.st_uid,
             (long)geteuid(), own ? "" : " not");
    if (!own)
        found(d, LEVEL_WARN, 0, "data.dir", text, "call doctor as the daemon's user to see what it sees");
    else if ((st.st_mode & S_IWOTH) != 0)
        found(d, LEVEL_FAULT, EXIT_DISK, "data.dir", "everybody may write there: who does makes keys, and rows",
              "chmod o-w it");
    else
        found(d, LEVEL_OK, 0, "data.dir", text, NULL);
}

static void look_at_disk(struct doctor *d, const struct settings *s)
{
    char text[400], left[HUMAN_MAX], least[HUMAN_MAX];
    struct statvfs fs;
    const char *kind = data_file_system(s->data_dir);
    if (sys->statvfs(s->data_dir, &fs) != 0)
        return; /* said above */
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    human_bytes((double)free_bytes, left);
    human_bytes((double)s->journal_min_free, least);
    snprintf(text, sizeof text, "%s free; journal.min_free keeps %s", left, least);
    if (free_bytes < s->journal_min_free)
        found(d, LEVEL_FAULT, EXIT_DISK, "disk", text,
              "no rows are taken like that: make room, or lower journal.min_free");
    else if (free_bytes / 2 < s->journal_min_free)
        found(d, LEVEL_WARN, 0, "disk", text, "make room: an outage of a destination needs it");
    else
        found(d, LEVEL_OK, 0, "disk", text, NULL);
    if (fs.f_files > 0 && fs.f_favail < 1000)
        found(d, LEVEL_FAULT, EXIT_DISK, "disk", "hardly any files can be made there", "remove some files");
    if (kind != NULL)
        found(d, LEVEL_WARN, 0, "disk", kind, "put data.dir on a local file system (ext4, xfs)");
}

static void look_at_clock(struct doctor *d)
{
    const int64_t year_2026 = INT64_C(1767225600);
    struct timex state = {.modes = 0};
    if (clock_wall_us() / 1000000 < year_2026)
        found(d, LEVEL_FAULT, EXIT_CONFIG, "clock", "it is years behind: rows would carry wrong times",
              "set it, or let a time service do so (chrony, systemd-timesyncd)");
    else if (adjtimex(&state) < 0 || (state.status & STA_UNSYNC) != 0)
        found(d, LEVEL_WARN, 0, "clock", "no time service keeps it right, as far as this system knows",
              "run one (chrony, systemd-timesyncd), unless the host outside a container does");
    else
        found(d, LEVEL_OK, 0, "clock", "a time service keeps it right", NULL);
}

static void look_at_plugins(struct doctor *d, const struct folders *f)
{
    char text[4200], why[4096];
    size_t good = 0;
    for (size_t i = 0; i < f->folder.count; i++) {
        if (!folder_refused(&f->folder.entries[i], why, sizeof why)) {
            good++;
            continue;
        }
        snprintf(text, sizeof text, "%.200s is refused: %.900s", f->folder.entries[i].file->path, why);
        found(d, LEVEL_FAULT, EXIT_CONFIG, "plugins", text, "mend the file, or take it out of plugins.dir");
    }
    snprintf(text, sizeof text, "%zu can be loaded", good);
    if (good == 0)
        found(d, LEVEL_FAULT, EXIT_CONFIG, "plugins", "there is none in plugins.dir", "set plugins.dir (--plugins)");
    else
        found(d, LEVEL_OK, 0, "plugins", text, NULL);
}

static void look_at_end(struct doctor *d, const char *area, int64_t end_s, int64_t soon_s, const char *advice)
{
    char text[100];
    int64_t left = end_s - clock_wall_us() / 1000000;
    if (left <= 0)
        snprintf(text, sizeof text, "out of date");
    else
        snprintf(text, sizeof text, "good for %lld days and %lld hours", (long long)(left / 86400),
                 (long long)(left % 86400 / 3600));
    found(d,
          left <= 0       ? LEVEL_FAULT
          : left < soon_s ? LEVEL_WARN
                          : LEVEL_OK,
          EXIT_CONFIG, area, text, left < soon_s ? advice : NULL);
}

static void look_at_certificates(struct doctor *d, const struct settings *s)
{
    const struct tls_options options = {.certificate = s->tls_certificate,
                                        .key = s->tls_key,
                                        .client_ca = s->tls_client_ca,
                                        .client_crl = s->tls_client_crl};
    struct tls *tls = NULL;
    struct err e = {.text = ""};
    if (s->tls_certificate == NULL)
        return;
    if (access(s->tls_key, R_OK) != 0 && errno == EACCES) {
        found(d, LEVEL_WARN, 0, "certificate", "this user may not read the file of tls.key",
              "call doctor as the daemon's user to see what it sees");
    } else if (tls_open(&tls, &options, &e) != ERR_OK) {
        found(d, LEVEL_FAULT, EXIT_CONFIG, "certificate", e.text,
              "mend that file; a daemon that runs keeps the one before");
    } else {
        look_at_end(d, "certificate", tls_expires_s(tls), CERTIFICATE_SOON_S,
                    "renew the files of tls.certificate and tls.key");
        if (tls_crl_expires_s(tls) != INT64_MAX)
            look_at_end(d, "revoked certificates", tls_crl_expires_s(tls), LISTS_SOON_S,
                        "get a newer list for tls.client_crl: without one in date no client of its authority gets in");
    }
    tls_close(&tls);
}

/* The settings tell where everything else is; without them only the clock and the daemon can be looked at. */
static void look_at_machine(struct doctor *d, const struct args *a)
{
    struct flags flags = {.count = 0};
    struct folders f = {.conf = NULL};
    int exit = flags_read(&flags, a);
    if (exit == EXIT_DONE)
        exit = folders_open(&f, &flags);
    if (exit != EXIT_DONE) {
        found(d, LEVEL_FAULT, exit, "settings", "they have faults, or something they name is not there (see above)",
              "mend them; headgate check says when all is well");
    } else {
        found(d, LEVEL_OK, 0, "settings", "they can be read; headgate check looks at those of each plugin", NULL);
        look_at_rights(d, conf_settings(f.conf)->data_dir);
        look_at_disk(d, conf_settings(f.conf));
        look_at_plugins(d, &f);
        look_at_certificates(d, conf_settings(f.conf));
    }
    folders_close(&f);
    flags_fini(&flags);
    look_at_clock(d);
}

/* --- with one --- */

static const char *advice_of(const char *state)
{
    static const struct {
        const char *state, *advice;
    } table[] = {
        {"broken", "mend what it says, then headgate resume it"},
        {"retrying", "its rows wait and are tried again; mend the far end"},
        {"paused", "headgate resume it when its rows shall go out"},
        {"orphaned", "bring its plugin back, or headgate plugin forget it: its rows fill the journal"},
        {"refused", "mend the plugin's file, or take it away"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (strcmp(table[i].state, state) == 0)
            return table[i].advice;
    return NULL;
}

static void probe_pusher(struct doctor *d, struct session *s, const char *name)
{
    char area[100];
    snprintf(area, sizeof area, "far end of %.60s", name);
    struct err e;
    json_t *answer = NULL;
    if (session_path(s, "/v1/pushers/", name, "/probe") != EXIT_DONE)
        return;
    struct call_request request = {.method = "POST", .path = buf_str(&s->path), .timeout_ms = s->remote.timeout_ms};
    if (call_send(&s->remote.call, &request, &e) != ERR_OK || s->remote.call.status != 200)
        found(d, LEVEL_WARN, 0, area, "it could not be asked", "asking needs the role operate, and a pusher that runs");
    else if ((answer = js_parse(buf_slice(&s->remote.call.body))) != NULL && js_true(answer, "reachable"))
        found(d, LEVEL_OK, 0, area, "reachable", NULL);
    else
        found(d, LEVEL_FAULT, EXIT_UNREACHABLE, area, js_text(answer, "text"), "see that it is there, and its address");
    json_decref(answer);
}

static void look_at_pusher(struct doctor *d, struct session *s, const json_t *pusher)
{
    char area[100], text[900];
    const char *state = js_text(pusher, "state"), *advice = advice_of(state);
    if (strcmp(state, "unconfigured") == 0)
        return;
    bool fault = strcmp(state, "broken") == 0 || strcmp(state, "refused") == 0;
    snprintf(area, sizeof area, "pusher %.60s", js_text(pusher, "name"));
    snprintf(text, sizeof text, "%s, %lld rows behind%s%.700s", state,
             js_integer(json_object_get(pusher, "lag"), "rows"), js_text(pusher, "error")[0] != '\0' ? ": " : "",
             js_text(pusher, "error"));
    found(d, fault ? LEVEL_FAULT : advice != NULL ? LEVEL_WARN : LEVEL_OK, EXIT_CONFIG, area, text, advice);
    snprintf(text, sizeof text, "%lld dead letters wait for somebody", js_integer(pusher, "dead_letters"));
    if (js_integer(pusher, "dead_letters") > 0)
        found(d, LEVEL_WARN, 0, area, text, "headgate dead list; then dead retry or dead drop");
    if (strcmp(state, "running") == 0 || strcmp(state, "retrying") == 0)
        probe_pusher(d, s, js_text(pusher, "name"));
}

static void look_at_answer(struct doctor *d, struct session *s, const json_t *all)
{
    const json_t *pushers = json_object_get(all, "pushers"), *journal = json_object_get(all, "journal");
    char text[900];
    if (js_true(all, "ready"))
        found(d, LEVEL_OK, 0, "daemon", "it runs and takes rows", NULL);
    else
        found(d, LEVEL_FAULT, EXIT_UNREACHABLE, "daemon", js_text(all, "reason"),
              "it takes no rows until that is over");
    double bytes = js_number(journal, "bytes"), limit = js_number(journal, "limit");
    snprintf(text, sizeof text, "%.0f %% of journal.max_bytes is used", limit > 0 ? bytes * 100 / limit : 0);
    if (limit > 0 && bytes > limit * 0.8)
        found(d, LEVEL_WARN, 0, "journal", text, "see which pusher is behind; journal.max_bytes may be raised");
    else
        found(d, LEVEL_OK, 0, "journal", text, NULL);
    if (js_integer(journal, "damages") > 0)
        found(d, LEVEL_FAULT, EXIT_DISK, "journal", "parts of it cannot be read",
              "look at the disk; headgate journal verify, once the daemon is stopped");
    for (size_t i = 0; i < json_array_size(pushers); i++)
        look_at_pusher(d, s, json_array_get(pushers, i));
}

static void look_at_daemon(struct doctor *d, struct session *s)
{
    struct err e = {.text = ""};
    char text[1200];
    struct call_request request = {.method = "GET", .path = "/v1/pushers", .timeout_ms = s->remote.timeout_ms};
    int code = call_send(&s->remote.call, &request, &e);
    json_t *answer = code == ERR_OK && s->remote.call.status == 200 ? js_parse(buf_slice(&s->remote.call.body)) : NULL;
    if (answer != NULL) {
        look_at_answer(d, s, answer);
    } else if (code != ERR_OK) {
        snprintf(text, sizeof text, "none answers at %s: %.400s", s->remote.call.target.shown, e.text);
        found(d, LEVEL_FAULT, EXIT_UNREACHABLE, "daemon", text,
              "start it (systemctl start headgate, headgate run), or say with --admin where it is");
    } else {
        snprintf(text, sizeof text, "%s answers with status %ld", s->remote.call.target.shown, s->remote.call.status);
        found(d, LEVEL_FAULT, EXIT_CONFIG, "daemon", text, "set HEADGATE_TOKEN to a key with the role operate");
    }
    json_decref(answer);
}

int verb_doctor(int argc, char **argv)
{
    struct session s;
    struct doctor d = {.exit = EXIT_DONE};
    buf_init(&d.out, 4 << 20);
    int exit = session_open(&s, "doctor", argc, argv, 0, 0);
    if (exit == EXIT_DONE) {
        d.json = args_has(&s.args, OPT_JSON);
        look_at_machine(&d, &s.args);
        look_at_daemon(&d, &s);
        exit = d.exit;
        if (d.json)
            printf("{\"findings\":[%s],\"faults\":%lld,\"warnings\":%lld}\n", buf_str(&d.out), d.faults, d.warnings);
        else
            printf("\n%lld fault%s, %lld warning%s\n", d.faults, d.faults == 1 ? "" : "s", d.warnings,
                   d.warnings == 1 ? "" : "s");
    }
    buf_free(&d.out);
    session_close(&s);
    return exit;
}
