/* Which pushers there are: what the settings want, what the folders hold, and what is registered on disk, brought
 * together into runners. Done at start, after a reload, and when a file in a plugin folder changed. Loop thread. */
#include "supervise/internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/sys.h"
#include "headgate.h"
#include "host/setup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_file(struct runner *r, struct plugin_file *file)
{
    if (r->file == file)
        return;
    plugin_file_drop(&r->file);
    r->file = file == NULL ? NULL : plugin_file_take(file);
}

static struct runner *runner_named(struct supervisor *s, const char *name)
{
    LIST_EACH(&s->runners, it)
    {
        struct runner *r = container_of(it, struct runner, link);
        if (strcmp(r->name, name) == 0)
            return r;
    }
    return NULL;
}

/* --- is there a cursor on disk? --- */

static bool registered(const struct supervisor *s, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s/cursor", s->pushers_dir, name);
    return sys->stat(path, &st) == 0;
}

/* Where a new pusher begins: FROM if it was written, else now; with a new data directory at the start. */
static void begin_at(struct supervisor *s, const struct pusher_settings *settings, bool fresh, struct pusher_init *init)
{
    struct journal_mark mark = journal_durable(s->options.journal);
    struct journal_segment oldest;
    bool start = settings->from_given ? settings->from == FROM_START : fresh;
    init->register_at = mark.position;
    init->register_row = mark.rows;
    init->oldest = mark.position;
    if (journal_oldest(s->options.journal, &oldest) != ERR_OK)
        return;
    init->oldest = oldest.base;
    if (start) {
        init->register_at = oldest.base;
        init->register_row = oldest.first_row;
    }
}

static int begin_again(struct supervisor *s, struct pusher *p, const struct pusher_settings *settings, struct err *e)
{
    struct pusher_init init = {.name = p->name};
    begin_at(s, settings, false, &init);
    return pusher_register_again(p, init.register_at, init.register_row, e);
}

static int make_pusher(struct supervisor *s, struct runner *r, const struct described *about, struct err *e)
{
    const struct pusher_settings *c = &r->instance.common;
    uint32_t workers = c->parallel < 1 ? 1 : c->parallel;
    if (about != NULL && about->max_parallel > 0 && workers > about->max_parallel)
        workers = about->max_parallel;
    if (workers > CURSOR_LANES)
        workers = CURSOR_LANES;
    const char *clients = instance_common(&r->instance, "CLIENTS");
    if (r->pusher != NULL) {
        if (pusher_set_clients(r->pusher, clients) != ERR_OK)
            return err_set(e, ERR_NOMEM, "no memory for pusher %s", r->name);
        pusher_configure(r->pusher, c, about == NULL ? 0 : about->flags, workers);
        int again = about != NULL && pusher_let_go(r->pusher) ? begin_again(s, r->pusher, c, e) : ERR_OK;
        runner_note_passed(r);
        return again;
    }
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s/%s", s->pushers_dir, r->name);
    if (sys->mkdir(dir, 0750) != 0 && errno != EEXIST)
        return err_errno(e, errno, "cannot make %s", dir);
    uint64_t seed = 0;
    if (sys->random(&seed, sizeof seed) != sizeof seed)
        seed = (uint64_t)clock_ns();
    struct pusher_init init = {
        .name = r->name,
        .plugin = r->plugin,
        .dir = dir,
        .settings = c,
        .flags = about == NULL ? 0 : about->flags,
        .workers = workers,
        .ops = &s->ops,
        .owner = r,
        .seed = seed,
    };
    begin_at(s, c, s->options.fresh, &init);
    bool lost = false;
    int code = pusher_new(&r->pusher, &init, clock_ms(), &lost, e);
    if (code == ERR_OK && (code = pusher_set_clients(r->pusher, clients)) != ERR_OK)
        pusher_free(&r->pusher);
    if (code == ERR_OK && (code = pusher_register(r->pusher, e)) != ERR_OK)
        pusher_free(&r->pusher);
    if (code == ERR_OK && lost)
        LOG(LOG_ERROR, "pusher.cursor_lost",
            "both copies of the cursor are damaged; delivery begins again at the oldest row there is, rows come again",
            LOG_S("pusher", r->name));
    runner_note_passed(r);
    return code;
}

/* --- one instance --- */

/* Why an instance cannot start; empty: it can. `missing` alone means not configured, or broken when something was set.
 */
static enum pusher_state judge_instance(struct runner *r, const struct described *about, int conf_code, struct buf *why)
{
    const struct instance *i = &r->instance;
    struct setting *settings = calloc(i->count + 1, sizeof *settings);
    bool missing = false;
    if (settings == NULL) {
        r->owner->scan_again = true;
        return PUSHER_BROKEN;
    }
    for (size_t k = 0; k < i->count; k++)
        settings[k] = (struct setting){i->values[k].name, i->values[k].value};
    size_t faults = described_check(about, settings, i->count, why, &missing);
    free(settings);
    bool wanted = i->common.enabled == ENABLED_YES ||
                  (i->common.enabled == ENABLED_AUTO && (about->flags & HG_MANUAL_START) == 0);
    if (i->common.enabled == ENABLED_NO)
        return PUSHER_UNCONFIGURED;
    if (conf_code == ERR_OK && faults == 0)
        return wanted ? PUSHER_STARTING : PUSHER_UNCONFIGURED;
    if (missing && !i->touched && i->common.enabled == ENABLED_AUTO && conf_code == ERR_OK)
        return PUSHER_UNCONFIGURED;
    return wanted || i->touched ? PUSHER_BROKEN : PUSHER_UNCONFIGURED;
}

static void copy_lines(struct buf *to, const char *name, struct buf *lines)
{
    const char *text = buf_str(lines);
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        bool named = strncmp(text, "plugin ", 7) == 0; /* some say it themselves */
        if (len > 0 && buf_addf(to, "%s%s%s%.*s\n", named ? "" : "plugin ", named ? "" : name, named ? "" : ": ",
                                (int)len, text) != ERR_OK)
            return;
        text += len + (text[len] == '\n');
    }
}

/* Lines as one sentence after the other. */
static void flatten(struct buf *lines)
{
    if (lines->len > 0 && lines->ptr[lines->len - 1] == '\n')
        lines->len--;
    for (size_t i = 0; i < lines->len; i++)
        if (lines->ptr[i] == '\n')
            lines->ptr[i] = ';';
}

static void adopt(struct runner *r, struct instance *fresh, struct steps *steps)
{
    instance_fini(&r->instance);
    steps_fini(&r->steps);
    r->instance = *fresh;
    r->steps = *steps;
}

/* Rows wait, or a position is kept, under this name for a plugin of the other kind. */
static bool clashes(struct supervisor *s, struct runner *r, bool puller)
{
    bool pushed = r->pusher != NULL || registered(s, r->name);
    bool pulled = r->puller != NULL || puller_named(s, slice_of(r->name)) != NULL;
    if (puller ? !pushed : !pulled)
        return false;
    runner_idle(r, PUSHER_REFUSED,
                puller
                    ? "it is a puller, and a pusher of this name is registered; forget that one or use another name"
                    : "it is a pusher, and a puller of this name is registered; forget that one or use another name");
    return true;
}

static void apply_puller(struct supervisor *s, struct runner *r, enum pusher_state state, bool same, const char *why)
{
    struct err e = {0};
    if (r->puller == NULL && (state != PUSHER_UNCONFIGURED || puller_named(s, slice_of(r->name)) != NULL) &&
        puller_attach(s, r, &e) != ERR_OK) {
        s->scan_again = s->scan_again || err_passes(e.code);
        LOG(LOG_ERROR, "puller.not_loaded", e.text, LOG_S("puller", r->name));
        runner_idle(r, PUSHER_BROKEN, e.text);
        return;
    }
    CHECK(r->puller != NULL || state != PUSHER_STARTING);
    if (r->puller != NULL)
        puller_configure(r->puller, &r->instance.common);
    if (state != PUSHER_STARTING) {
        runner_idle(r, state, state == PUSHER_UNCONFIGURED ? "not configured" : why);
    } else if (!same || !r->puller->wanted) { /* a host that runs ends first */
        puller_want(r->puller, false, clock_ms());
        puller_want(r->puller, true, clock_ms());
    }
}

/* Bring one instance to what it shall be. True: something changed. */
static bool apply_one(struct supervisor *s, struct runner *r, struct plugin_file *file, const char *use,
                      const struct step_places *places, struct buf *faults)
{
    struct buf why;
    struct err e = {0};
    buf_init(&why, 64 * 1024);
    struct instance fresh = {0};
    struct steps steps = {0};
    int code = file_instance(file, r->name, use, places->conf, &fresh, &why);
    if (code != ERR_NOMEM) {
        int found = steps_find(places, &fresh, &steps, &why);
        code = found == ERR_OK ? code : found;
    }
    if (code == ERR_NOMEM) { /* nothing is known of its settings now: it stays as it is until the next look */
        s->scan_again = true;
        instance_fini(&fresh);
        steps_fini(&steps);
        buf_free(&why);
        return false;
    }
    bool same =
        r->file == file && instance_equal(&r->instance, &fresh) && steps_equal(&r->steps, &steps) && !r->config_bad;
    adopt(r, &fresh, &steps);
    set_file(r, file);
    r->plugin = file->about.name;
    r->config_bad = false;
    bool puller = file->about.kind == HG_PULLER;
    if (clashes(s, r, puller)) {
        buf_free(&why);
        return false;
    }
    if (conf_misplaced(&r->instance, puller, &why) > 0 && code == ERR_OK)
        code = ERR_CONFIG;
    enum pusher_state state = judge_instance(r, &file->about, code, &why);
    if (state == PUSHER_BROKEN) {
        r->config_bad = true;
        copy_lines(faults, r->name, &why);
    }
    flatten(&why);
    if (puller) {
        apply_puller(s, r, state, same, buf_str(&why));
        buf_free(&why);
        return !same;
    }
    if (state != PUSHER_UNCONFIGURED || registered(s, r->name)) {
        if (make_pusher(s, r, &file->about, &e) != ERR_OK) {
            s->scan_again = s->scan_again || err_passes(e.code);
            runner_idle(r, PUSHER_BROKEN, e.text);
            LOG(LOG_ERROR, "pusher.not_loaded", e.text, LOG_S("pusher", r->name));
            state = PUSHER_BROKEN;
            buf_clear(&why);
        }
    }
    if (state == PUSHER_STARTING && r->pusher != NULL) {
        if (!same) { /* a host that runs ends first; it starts again with what holds now */
            pusher_want(r->pusher, false, clock_ms());
            pusher_want(r->pusher, true, clock_ms());
        }
    } else if (why.len > 0 || r->pusher != NULL || state != PUSHER_BROKEN) {
        runner_idle(r, state, state == PUSHER_UNCONFIGURED ? "not configured" : buf_str(&why));
    }
    buf_free(&why);
    return !same;
}

static void orphan(struct supervisor *s, struct runner *r)
{
    struct err e = {0};
    set_file(r, NULL);
    steps_fini(&r->steps);
    r->plugin = r->instance.use == NULL ? "" : r->instance.use;
    if (r->pusher == NULL && registered(s, r->name)) {
        struct pusher_settings *c = &r->instance.common;
        if (c->batch_rows == 0) /* nobody says how it is set: it only holds its place */
            *c = (struct pusher_settings){.parallel = 1,
                                          .batch_rows = 1000,
                                          .batch_bytes = 1 << 20,
                                          .timeout_ms = 30000,
                                          .retry_min_ms = 200,
                                          .retry_max_ms = 60000,
                                          .reject_breaker = 100};
        if (make_pusher(s, r, NULL, &e) != ERR_OK)
            LOG(LOG_ERROR, "pusher.not_loaded", e.text, LOG_S("pusher", r->name));
    }
    if (r->pusher == NULL && r->puller == NULL && puller_named(s, slice_of(r->name)) != NULL &&
        puller_attach(s, r, &e) != ERR_OK)
        LOG(LOG_ERROR, "puller.not_loaded", e.text, LOG_S("puller", r->name));
    runner_idle(r, PUSHER_ORPHANED,
                r->puller != NULL ? "its plugin is not there; its position is kept until it comes back or is forgotten"
                                  : "its plugin is not there; its rows wait until it comes back or is forgotten");
}

/* Names below pushers/ that no instance claims. */
struct claims {
    struct supervisor *s;
    char **names;
    size_t count;
};

static int find_orphan(void *arg, const char *name)
{
    const struct claims *c = arg;
    bool claimed = name[0] == '.' || !registered(c->s, name);
    for (size_t i = 0; !claimed && i < c->count; i++)
        claimed = strcmp(c->names[i], name) == 0;
    if (claimed || runner_named(c->s, name) != NULL)
        return ERR_OK;
    struct runner *r = runner_new(c->s, name);
    if (r == NULL)
        return ERR_NOMEM;
    list_push(&c->s->runners, &r->link);
    return ERR_OK;
}

static int find_orphans(struct supervisor *s, char **names, size_t count)
{
    LIST_EACH(&s->pullers, it)
    {
        const struct puller *p = container_of(it, struct puller, link);
        struct runner *r = p->owner != NULL || runner_named(s, p->name) != NULL ? NULL : runner_new(s, p->name);
        if (r != NULL)
            list_push(&s->runners, &r->link);
    }
    int code = sys->list(s->pushers_dir, find_orphan, &(struct claims){s, names, count});
    return code < 0 ? err_from_errno(errno) : code;
}

static void drop_unknown(struct supervisor *s, char **names, size_t count)
{
    LIST_EACH_SAFE(&s->runners, it)
    {
        struct runner *r = container_of(it, struct runner, link);
        bool known = false;
        for (size_t i = 0; i < count; i++)
            known = known || strcmp(names[i], r->name) == 0;
        if (known)
            continue;
        if (r->pusher != NULL || registered(s, r->name) || puller_named(s, slice_of(r->name)) != NULL) {
            orphan(s, r);
        } else if (r->process == NULL) {
            link_remove(&r->link);
            runner_free(&r);
        }
    }
}

/* Each notice once, however often the settings are applied. */
static void say_notices(struct supervisor *s, struct buf *notices)
{
    uint64_t hash = hash_bytes(buf_slice(notices));
    if (hash == s->notices)
        return;
    s->notices = hash;
    for (const char *at = buf_str(notices); *at != '\0';) {
        char text[600];
        size_t len = strcspn(at, "\n");
        snprintf(text, sizeof text, "%.*s", (int)len, at);
        LOG(LOG_INFO, "settings.notice", text);
        at += len + (at[len] == '\n');
    }
}

/* A processor has no runner: it is a part of the pushers that name it. Moves their names behind the others, whose
 * number is returned. */
static size_t pushers_first(const struct step_places *places, char **names, char **uses)
{
    size_t pushers = 0;
    for (size_t i = 0; i < places->count; i++) {
        const struct plugin_file *file = folder_file(places->folder, uses[i]);
        char *name = names[i], *use = uses[i];
        if (file != NULL && file->about.kind == HG_PROCESSOR)
            continue;
        memmove(names + pushers + 1, names + pushers, (i - pushers) * sizeof *names);
        memmove(uses + pushers + 1, uses + pushers, (i - pushers) * sizeof *uses);
        names[pushers] = name;
        uses[pushers++] = use;
    }
    return pushers;
}

static int note_processors(struct supervisor *s, const struct step_places *places, size_t first)
{
    struct steps found;
    int code = steps_all(places, first, &found);
    if (code != ERR_OK)
        return code;
    steps_fini(&s->processors);
    s->processors = found;
    return ERR_OK;
}

int instances_apply(struct supervisor *s, const struct conf *conf, struct buf *changed, struct buf *faults,
                    uint32_t *running)
{
    const char **plugins = calloc(s->folder.count + 1, sizeof *plugins);
    char **names = NULL, **uses = NULL;
    size_t count = 0, plugin_count = 0, pushers = 0;
    struct buf notices;
    buf_init(&notices, 64 * 1024);
    *running = 0;
    if (plugins == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->folder.count; i++)
        if (s->folder.entries[i].file->refused == NULL && s->folder.entries[i].holder == NULL)
            plugins[plugin_count++] = s->folder.entries[i].file->about.name;
    int code = conf_instances(conf, plugins, plugin_count, &names, &uses, &count, faults, &notices);
    say_notices(s, &notices);
    if (code == ERR_CONFIG)
        code = ERR_OK; /* said in `faults`; the good ones run */
    const struct step_places places = {conf, &s->folder, names, uses, count};
    if (code == ERR_OK)
        pushers = pushers_first(&places, names, uses);
    for (size_t i = 0; code == ERR_OK && i < pushers; i++) {
        struct plugin_file *file = folder_file(&s->folder, uses[i]);
        struct runner *r = runner_named(s, names[i]);
        if (r == NULL && (r = runner_new(s, names[i])) != NULL)
            list_push(&s->runners, &r->link);
        if (r == NULL)
            code = ERR_NOMEM;
        else if (file == NULL)
            orphan(s, r);
        else if (apply_one(s, r, file, uses[i], &places, faults) && changed != NULL)
            code = buf_addf(changed, "%s\n", r->name);
        if (r != NULL && r->pusher != NULL && r->pusher->wanted)
            ++*running;
    }
    if (code == ERR_OK)
        code = find_orphans(s, names, pushers);
    if (code == ERR_OK)
        drop_unknown(s, names, pushers);
    if (code == ERR_OK)
        code = note_processors(s, &places, pushers);
    conf_names_free(names, count);
    conf_names_free(uses, count);
    free(plugins);
    buf_free(&notices);
    LIST_EACH(&s->runners, it)
    runner_step(container_of(it, struct runner, link));
    return code;
}

/* --- secrets in files --- */

static bool from_file(const struct instance *i)
{
    for (size_t k = 0; k < i->count; k++) {
        const struct conf_value *v = &i->values[k];
        size_t len = strlen(v->origin);
        if (v->secret && len > 5 && strcmp(v->origin + len - 5, "_FILE") == 0)
            return true;
    }
    return false;
}

static bool is_renewed(const struct instance *i, const struct plugin_file *file, const struct conf *conf)
{
    struct instance fresh = {0};
    if (file == NULL || !from_file(i))
        return false;
    int code = file_instance(file, i->name, i->use, conf, &fresh, NULL);
    bool renewed = code == ERR_OK && !instance_equal(i, &fresh);
    instance_fini(&fresh);
    return renewed;
}

/* A secret that was given as a file may be renewed at any time: its plugin starts again with the new one. While the
 * file cannot be read the old one stays in force. */
bool instances_renewed(struct supervisor *s)
{
    bool renewed = false;
    LIST_EACH(&s->runners, it)
    {
        struct runner *r = container_of(it, struct runner, link);
        renewed = renewed || is_renewed(&r->instance, r->file, s->conf);
        for (size_t k = 0; k < r->steps.count; k++)
            renewed = renewed || is_renewed(&r->steps.all[k].instance, r->steps.all[k].file, s->conf);
    }
    return renewed;
}

void instances_again(struct supervisor *s)
{
    struct buf faults;
    uint32_t running;
    buf_init(&faults, 64 * 1024);
    if (instances_apply(s, s->conf, NULL, &faults, &running) != ERR_OK) {
        LOG(LOG_ERROR, "plugins.not_applied", "out of memory");
        s->scan_again = true;
    }
    if (faults.len > 0)
        LOG(LOG_WARN, "settings.faults", buf_str(&faults));
    buf_free(&faults);
}

/* --- watching the folders --- */

struct scan_work {
    uv_work_t work;
    struct supervisor *owner;
    struct folder after;
    struct err err;
    int status;
};

static void scan_run(uv_work_t *work)
{
    struct scan_work *w = work->data;
    w->status = folder_scan(&w->owner->folder_options, &w->owner->folder, &w->after, &w->err);
}

static void scan_done(uv_work_t *work, int status)
{
    struct scan_work *w = work->data;
    struct supervisor *s = w->owner;
    (void)status;
    s->works--;
    s->scanning = false;
    if (w->status == ERR_OK) {
        folder_fini(&s->folder);
        s->folder = w->after;
        if (!s->stopping)
            instances_again(s);
    } else { /* half a look: what was known stays, nothing is taken for gone */
        LOG(LOG_ERROR, "plugins.scan_failed", w->err.text);
        folder_fini(&w->after);
    }
    s->scan_again = s->scan_again || s->folder.again || w->status != ERR_OK;
    free(w);
}

/* The folder is not touched while a scan reads it. */
void instances_rescan(struct supervisor *s)
{
    if (s->scanning || s->stopping) {
        s->scan_again = true;
        return;
    }
    struct scan_work *w = calloc(1, sizeof *w);
    if (w == NULL)
        return;
    s->scan_again = false;
    s->scanning = true;
    w->work.data = w;
    w->owner = s;
    s->works++;
    CHECK(uv_queue_work(s->options.loop, &w->work, scan_run, scan_done) == 0);
}

static void folder_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    struct supervisor *s = handle->data;
    (void)name;
    (void)events;
    if (status == 0 && s->settings->plugins_watch)
        s->scan_again = true; /* at the next tick: events come in bursts */
}

void instances_watch(struct supervisor *s)
{
    size_t count = 0;
    while (s->dirs[count] != NULL)
        count++;
    s->watches = calloc(count + 1, sizeof *s->watches);
    for (size_t i = 0; s->watches != NULL && i < count; i++) {
        uv_fs_event_t *handle = &s->watches[s->watch_count];
        if (uv_fs_event_init(s->options.loop, handle) != 0)
            continue;
        handle->data = s;
        s->watch_count++;
        s->closing++;
        if (uv_fs_event_start(handle, folder_event, s->dirs[i], 0) != 0)
            LOG(LOG_WARN, "plugins.not_watched", "cannot watch a plugin folder for changes", LOG_S("dir", s->dirs[i]));
    }
}
