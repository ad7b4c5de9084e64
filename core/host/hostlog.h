/* Log lines of a host: one write to standard error, which is a pipe to the daemon. `<level>text` and a newline; the
 * level is a digit, enum hg_level. Never blocks: what does not fit is dropped and counted. Any thread. */
#ifndef HG_HOST_HOSTLOG_H
#define HG_HOST_HOSTLOG_H

#include "base/check.h"

#include <stdint.h>

/* Makes the pipe non-blocking (only a pipe: a file or terminal may be shared with others). Before any thread. */
void hostlog_setup(void);
void hostlog_text(uint32_t level, const char *text);
void hostlog(uint32_t level, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
