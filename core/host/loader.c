/* dlopen with everything resolved at once, so that a missing function is a refusal now and not a crash in the middle of
 * a push; and local, so that two libraries of a plugin's cannot take each other's symbols. */
#include "host/loader.h"

#include "host/descriptor.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

typedef const struct hg_plugin *entry_function(void);

static int loader_describe(void *handle, const struct hg_plugin **out, struct err *e)
{
    void *symbol = dlsym(handle, "hg_plugin");
    if (symbol == NULL)
        return err_set(e, ERR_DENIED, "not a plugin: it exports no function hg_plugin");
    entry_function *entry;
    memcpy(&entry, &symbol, sizeof entry);
    const struct hg_plugin *plugin = entry();
    int code = descriptor_check(plugin, e);
    if (code == ERR_OK)
        *out = plugin;
    return code;
}

/* The loader gives its reason as a text that ends with that of the system. */
static int loader_code(const char *why)
{
    static const int passing[] = {ENOMEM, EMFILE, ENFILE, EIO};
    char text[128];
    for (size_t i = 0; i < COUNT_OF(passing); i++) {
        const char *end = strerror_r(passing[i], text, sizeof text);
        size_t len = strlen(why), tail = strlen(end);
        if (len >= tail && strcmp(why + len - tail, end) == 0)
            return err_from_errno(passing[i]);
    }
    return ERR_DENIED;
}

int loader_open(const char *path, struct loaded *out, struct err *e)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *why = dlerror();
        if (why == NULL)
            return err_set(e, ERR_NOMEM, "cannot be loaded, and there is no memory for the reason");
        return err_set(e, loader_code(why), "cannot be loaded: %s", why);
    }
    const struct hg_plugin *plugin = NULL;
    int code = loader_describe(handle, &plugin, e);
    if (code != ERR_OK) {
        dlclose(handle);
        return code;
    }
    *out = (struct loaded){.handle = handle, .plugin = plugin};
    return ERR_OK;
}

void loader_close(struct loaded *l)
{
    if (l->handle != NULL)
        dlclose(l->handle);
    *l = (struct loaded){0};
}
