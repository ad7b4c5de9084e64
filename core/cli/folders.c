/* Looking at the plugin folders without a daemon: private copies stand in a temporary folder that goes at the end. */
#include "cli/folders.h"

#include "api/daemon.h"
#include "cli/say.h"
#include "conf/conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int folders_open(struct folders *f, const struct flags *flags)
{
    struct err e = {0};
    memset(f, 0, sizeof *f);
    int exit = flags_load(flags, &f->conf);
    if (exit != EXIT_DONE)
        return exit;
    if (daemon_find_host(f->host, sizeof f->host, &e) != ERR_OK)
        return say_error(EXIT_CONFIG, "%s", e.text);
    snprintf(f->copies, sizeof f->copies, "/tmp/headgate-plugins-XXXXXX");
    if (mkdtemp(f->copies) == NULL) {
        f->copies[0] = '\0';
        return say_error(EXIT_DISK, "cannot make a temporary folder: %s", strerror(errno));
    }
    struct folder_options options = {
        .dirs = conf_settings(f->conf)->plugins_dir, .copies = f->copies, .host = f->host, .any_age = true};
    struct folder none = {.count = 0};
    int code = folder_scan(&options, &none, &f->folder, &e);
    return code == ERR_OK ? EXIT_DONE : say_error(exit_of(code), "%s", e.text);
}

void folders_close(struct folders *f)
{
    folder_fini(&f->folder);
    if (f->copies[0] != '\0')
        (void)rmdir(f->copies);
    conf_free(&f->conf);
}

int folders_verb(const char *words, int argc, char **argv, int count,
                 int (*run)(const struct folders *, const struct args *))
{
    struct args a;
    struct flags flags = {.count = 0};
    struct folders f = {.conf = NULL};
    int exit = args_parse(&a, words, argc, argv);
    if (exit == EXIT_DONE)
        exit = args_expect(&a, count, count);
    if (exit == EXIT_DONE)
        exit = flags_read(&flags, &a);
    if (exit == EXIT_DONE)
        exit = folders_open(&f, &flags);
    if (exit == EXIT_DONE)
        exit = run(&f, &a);
    folders_close(&f);
    flags_fini(&flags);
    args_fini(&a);
    return exit;
}

const struct plugin_file *folders_find(const struct folders *f, const char *name)
{
    for (size_t i = 0; i < f->folder.count; i++) {
        const struct folder_entry *entry = &f->folder.entries[i];
        if (entry->file->refused == NULL && entry->holder == NULL && strcmp(entry->file->about.name, name) == 0)
            return entry->file;
    }
    return NULL;
}
