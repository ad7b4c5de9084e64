/* Listen addresses as text: `host:port`, `[v6]:port`, `unix:/path`. Pure; any thread. */
#ifndef HG_CONF_ADDRESS_H
#define HG_CONF_ADDRESS_H

#include "base/err.h"

#include <stdbool.h>

int address_check(const char *text, struct err *e) MUST_CHECK;
/* Reached from this machine only: 127.0.0.0/8, ::1, localhost, a unix socket. */
bool address_is_local(const char *text);

#endif
