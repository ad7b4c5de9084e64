/* Prints what is generated from the option tables: the file that its argument names,
 * etc/headgate.ini or docs/settings.md. Lint compares. */
#include "conf/conf.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    int code = ERR_USAGE;
    if (argc == 2 && strcmp(argv[1], "etc/headgate.ini") == 0)
        code = conf_print_ini(&text);
    else if (argc == 2 && strcmp(argv[1], "docs/settings.md") == 0)
        code = conf_print_reference(&text);
    if (code != ERR_OK)
        fprintf(stderr, "gen_reference: %s (usage: gen_reference etc/headgate.ini|docs/settings.md)\n", err_text(code));
    else if (fwrite(text.ptr, 1, text.len, stdout) != text.len || fflush(stdout) != 0)
        code = ERR_IO;
    buf_free(&text);
    return code == ERR_OK ? 0 : 1;
}
