/* The plugin folders: which files there are, which of them are plugins, what each says of itself.
 *
 * A scan blocks (it runs `headgate-host --describe` for each new file, with a deadline), so it is made on a worker
 * thread, or at start before the loop runs. It owns what it returns; the result of the one before is handed in, so that
 * files that have not changed are not described again. Nothing of a plugin is ever loaded into this process. */
#ifndef HG_SUPERVISE_FOLDER_H
#define HG_SUPERVISE_FOLDER_H

#include "base/buf.h"
#include "base/err.h"
#include "host/setup.h"

#include <sys/types.h>

/* One file that was looked at. Immutable and counted: a scan on a worker thread and runners on the loop thread share
 * it. */
struct plugin_file {
    _Atomic int references;
    char *path;     /* as found */
    char *copy;     /* private copy that hosts load; NULL when refused; removed with the last reference */
    char *refused;  /* why it is no plugin that can be used; NULL when it is one */
    bool described; /* `about` is filled */
    struct described about;
    bool unsure; /* refused, but only because something was short: to be looked at again */
    dev_t dev;
    ino_t ino;
    int64_t changed_ns; /* ctime */
    off_t size;
};

struct plugin_file *plugin_file_take(struct plugin_file *f);
void plugin_file_drop(struct plugin_file **f); /* NULL is allowed */

struct folder_entry {
    struct plugin_file *file;
    const struct plugin_file *holder; /* another file that has its name: this one is refused; else NULL */
};

struct folder {
    struct folder_entry *entries;
    size_t count;
    bool again; /* a file was too new to be looked at, or could not be: scan again in a second */
};

struct folder_options {
    const char *const *dirs; /* NULL-terminated */
    const char *copies;      /* a folder of the daemon's own for private copies */
    const char *host;        /* path of headgate-host */
    bool any_age;            /* do not wait for files that are younger than a second */
};

/* `before` is read only. */
int folder_scan(const struct folder_options *options, const struct folder *before, struct folder *out,
                struct err *e) MUST_CHECK;
void folder_fini(struct folder *f);
/* Why the entry's file cannot be used, into `out`; false: it can. */
bool folder_refused(const struct folder_entry *entry, char *out, size_t size);

/* Run `host --describe path` with a deadline; ERR_SYNTAX with the refusal's sentence in `e`, or what err_passes. */
int folder_describe(const char *host, const char *path, struct described *out, struct err *e) MUST_CHECK;

#endif
