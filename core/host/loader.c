/* dlopen with everything resolved at once, so that a missing function is a refusal now and not a crash in the middle of
 * a push; and local, so that two libraries of a plugin's cannot take each other's symbols. */
#include "host/loader.h"

#include "base/sys.h"
#include "host/descriptor.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
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

/* Without memory for some table the loader says so without the system's reason, in many words that begin alike. */
static bool lacks_memory(const char *why)
{
    static const char *const words[] = {": cannot create ", ": cannot allocate ", ": cannot extend ", "out of memory"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strstr(why, words[i]) != NULL)
            return true;
    return false;
}

/* The loader gives its reason as a text that mostly ends with that of the system. */
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
    return lacks_memory(why) ? ERR_NOMEM : ERR_DENIED;
}

/* Without memory for the name the loader says that the file is not there. */
static bool denies_what_is_there(const char *path, const char *why)
{
    size_t len = strlen(path);
    if (strncmp(why, path, len) != 0 || strncmp(why + len, ": cannot open", 13) != 0)
        return false;
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0)
        sys->close(fd);
    return fd >= 0;
}

int loader_open(const char *path, struct loaded *out, struct err *e)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *why = dlerror();
        if (why == NULL)
            return err_set(e, ERR_NOMEM, "cannot be loaded, and there is no memory for the reason");
        int code = denies_what_is_there(path, why) ? ERR_NOMEM : loader_code(why);
        return err_set(e, code, "cannot be loaded: %s", why);
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
