/* The recorder: a table of system calls that writes down, for each call that durability hangs on, when it began and
 * ended and what it was about, into the file that TEST_RECORD names. test/record/check_record.py judges it. */
#ifndef HG_TEST_RECORDER_H
#define HG_TEST_RECORDER_H

#include "base/sys.h"

/* A table whose entries record. Without TEST_RECORD the plain one. To be called from sys_hook. */
struct sys recorder_table(void);

#endif
