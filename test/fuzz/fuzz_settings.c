/* Any bytes as a settings file. What the scan lets pass, inih must read the same (the scan is there so that this never
 * fails), and what loads must mean the same when it is written as it is shown. */
#include "base/check.h"
#include "conf/conf.h"
#include "conf/inifile.h"
#include "conf/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_scan(struct slice text)
{
    struct inifile file;
    struct buf faults;
    buf_init(&faults, 1 << 20);
    struct lines lines = {&faults, 0}, notices = {NULL, 0};
    CHECK(inifile_parse(text, "f", &file, &lines, &notices) == ERR_OK);
    CHECK(strncmp(buf_str(&faults), "file f: the ini library", 23) != 0); /* it is told only when nothing else is */
    inifile_fini(&file);
    buf_free(&faults);
}

/* The text in a file without a name. */
struct nameless {
    int fd;
    char path[64];
};

static void nameless_write(struct nameless *file, struct slice text)
{
    if (file->path[0] == '\0')
        file->fd = memfd_create("settings", 0);
    snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
    CHECK(ftruncate(file->fd, 0) == 0 && pwrite(file->fd, text.ptr, text.len, 0) == (ssize_t)text.len);
}

/* The settings as flags, each as it is shown, must be the same settings; those of single clients (`client NAME.key`)
 * are in a file only. */
static void check_shown(const struct conf *conf)
{
    static struct nameless file;
    struct conf_line line;
    const char *flags[128] = {NULL};
    size_t count = 0, section = 0;
    struct buf clients;
    buf_init(&clients, 1 << 20);
    for (size_t at = 0; conf_next(conf, &at, &line);) {
        char *flag;
        if (strncmp(line.key, "client ", 7) == 0) {
            const char *key = strrchr(line.key, '.');
            if (section++ % CLIENT_OPTIONS == 0)
                CHECK(buf_addf(&clients, "[%.*s]\n", (int)(key - line.key), line.key) == ERR_OK);
            CHECK(buf_addf(&clients, "%s = %s\n", key + 1, line.value) == ERR_OK);
            continue;
        }
        CHECK(count + 1 < COUNT_OF(flags) && asprintf(&flag, "%s=%s", line.key, line.value) > 0);
        flags[count++] = flag;
    }
    nameless_write(&file, buf_slice(&clients));
    struct conf *again = NULL;
    char *environment[] = {NULL};
    struct conf_input input = {.file = file.path, .flags = flags, .environment = environment};
    CHECK(conf_load(&input, &again, NULL, NULL) == ERR_OK);
    size_t at = 0;
    CHECK(!conf_changed(conf, again, &at, &line));
    conf_free(&again);
    buf_free(&clients);
    while (count > 0)
        free((char *)(uintptr_t)flags[--count]);
}

/* Every instance that the file speaks of, against a small option table. */
static void check_instances(const struct conf *conf)
{
    static const char *const plugins[] = {"file", "http"};
    static const struct conf_option options[] = {{"PATH", false}, {"URL", false}};
    char **names, **uses;
    size_t count;
    int code = conf_instances(conf, plugins, COUNT_OF(plugins), &names, &uses, &count, NULL, NULL);
    CHECK(code == ERR_OK || code == ERR_CONFIG);
    for (size_t i = 0; i < count; i++) {
        struct instance instance;
        code = conf_instance(conf, names[i], uses[i], options, COUNT_OF(options), &instance, NULL);
        CHECK(code == ERR_OK || code == ERR_CONFIG);
        CHECK(instance.common.retry_min_ms <= instance.common.retry_max_ms || code == ERR_CONFIG);
        instance_fini(&instance);
    }
    conf_names_free(names, count);
    conf_names_free(uses, count);
}

static void check_load(struct slice text)
{
    static struct nameless file;
    nameless_write(&file, text);
    struct conf *conf = NULL;
    char *environment[] = {NULL};
    struct buf faults;
    buf_init(&faults, 1 << 20);
    struct conf_input input = {.file = file.path, .environment = environment};
    int code = conf_load(&input, &conf, &faults, NULL);
    CHECK(code == ERR_OK ? faults.len == 0 : code == ERR_CONFIG && faults.len > 0);
    if (code == ERR_OK) {
        check_shown(conf);
        check_instances(conf);
    }
    conf_free(&conf);
    buf_free(&faults);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 16 * 1024)
        return 0;
    struct slice text = slice_make(data, size);
    check_scan(text);
    check_load(text);
    return 0;
}
