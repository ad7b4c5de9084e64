/* The table of functions that plugins are given. */
#ifndef HG_HOST_HOSTAPI_H
#define HG_HOST_HOSTAPI_H

#include "headgate.h"

extern const struct hg_api hostapi;

#endif
