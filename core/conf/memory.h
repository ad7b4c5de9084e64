/* How much memory the control group allows. */
#ifndef HG_CONF_MEMORY_H
#define HG_CONF_MEMORY_H

#include <stdint.h>

/* Bytes; the least of this process's control group and those above it, cgroup v2 or v1; UINT64_MAX: no limit. `root` is
 * put before /proc and /sys (tests); "" for the real ones. */
uint64_t memory_group_limit(const char *root);

#endif
