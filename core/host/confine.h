/* What a plugin's process may touch. Irrevocable, for the calling thread and all it starts; nothing here is undone. */
#ifndef HG_HOST_CONFINE_H
#define HG_HOST_CONFINE_H

#include "base/err.h"
#include "host/setup.h"

#include <stdbool.h>

/* A path a plugin's option names. */
struct confine_path {
    const char *path; /* borrowed */
    bool write;       /* read only, or written together with its folder */
    bool folder;      /* it is a folder itself: nothing beside it */
};

/* Landlock: files of `paths`, the plugin's own file, system libraries and what TLS and name resolution read. Folders
 * that are written are made first. ERR_VERSION: this kernel has no Landlock, or not for us; ERR_DENIED: it refuses; any
 * other: not at this moment. */
int confine_files(const char *plugin, const struct confine_path *paths, size_t count, struct err *e) MUST_CHECK;
/* Landlock, for looking at a plugin: everything may be read, nothing written, no TCP. The same errors. */
int confine_reading(struct err *e) MUST_CHECK;
/* seccomp: calls that no plugin needs answer EPERM. Needs PR_SET_NO_NEW_PRIVS. ERR_VERSION: the kernel cannot;
 * ERR_NOMEM. */
int confine_calls(struct err *e) MUST_CHECK;

/* The folder that has to be there before `path` can be written: everything before the last component, or before the
 * first one with a template in it (`%` or `{`). `out` has room for strlen(path) + 2 bytes. */
void confine_folder(const char *path, char *out);

#endif
