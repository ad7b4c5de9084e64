/* Loading a plugin's shared object and taking its description. */
#ifndef HG_HOST_LOADER_H
#define HG_HOST_LOADER_H

#include "base/err.h"
#include "headgate.h"

struct loaded {
    void *handle;
    const struct hg_plugin *plugin; /* checked: descriptor.h */
};

/* ERR_DENIED with one sentence that says what is wrong with the file. Runs the plugin's constructors. */
int loader_open(const char *path, struct loaded *out, struct err *e) MUST_CHECK;
/* Only after every thread that runs the plugin's code has ended. */
void loader_close(struct loaded *l);

#endif
