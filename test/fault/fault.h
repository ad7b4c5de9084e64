/* The fault page: what a program with fault.c linked in is to suffer, and what it has met so far. It is a file beside
 * the program (`headgate.faults` beside `headgate`), mapped shared by every process of that program and by the test, so
 * it can be changed at any moment, outlives a SIGKILL and counts on across restarts. Without the file nothing happens.
 *
 * All fields are 64 bits, little-endian: test/lib/faults.py reads and writes them by their place here. */
#ifndef HG_TEST_FAULT_H
#define HG_TEST_FAULT_H

#include <stdatomic.h>
#include <stdint.h>

enum { FAULT_SITES = 1024, FAULT_NAME = 48 };

/* Instead of an errno. */
enum fault_action {
    FAULT_SHORT = -1,     /* half of a read or write is done */
    FAULT_KILL = -2,      /* SIGKILL before the call */
    FAULT_KILL_HALF = -3, /* SIGKILL when half of a write is done */
    FAULT_NONE = 0,
};

/* Keys that stand for more than one site. */
enum fault_key {
    FAULT_CHANGES = 1, /* every call that changes a file, from core, its plugin or SQLite */
    FAULT_ALLOCS = 2,  /* every allocation, from anywhere */
    FAULT_DISK = 3,    /* CHANGES but for write(), which is used for sockets, logs and events, too; does not count */
};

struct fault_site {
    _Atomic int64_t key; /* stays the same from run to run of one build; 0: free */
    _Atomic int64_t count;
    char name[FAULT_NAME]; /* call, object + offset of the caller */
};

struct fault_page {
    /* The order: from the `from`-th call of `key` on, `times` calls suffer `action` (an errno, or one of the above). */
    _Atomic int64_t key, from, times, action;
    _Atomic int64_t clock_shift_s; /* added to the wall clock */
    /* The account. */
    _Atomic int64_t changes, allocs, fired;
    _Atomic int64_t spoiled;     /* inode of the file whose sync was made to fail last */
    _Atomic int64_t spoiled_use; /* writes to it and syncs of it since */
    _Atomic int64_t reserved[6];
    struct fault_site sites[FAULT_SITES];
};

#endif
