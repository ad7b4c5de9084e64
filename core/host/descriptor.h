/* What a plugin says about itself: checked before anything of it is used, and put into the form that setup.h prints. */
#ifndef HG_HOST_DESCRIPTOR_H
#define HG_HOST_DESCRIPTOR_H

#include "base/err.h"
#include "headgate.h"
#include "host/setup.h"

#include <stddef.h>

/* What ABI 1.0 had of a structure that may grow: a plugin that was built then loads for ever. Beyond it a member is
 * there only where the plugin's own size says so. */
#define SIZE_1_0(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))

/* The n-th option, at the distance the plugin was compiled with. */
const struct hg_option *descriptor_option(const struct hg_plugin *p, size_t n);
/* Bytes of the member an option of this type fills, 0: no such type. */
size_t descriptor_member_size(uint32_t type);

/* ERR_DENIED with a sentence naming the field, what was expected and what was found. */
int descriptor_check(const struct hg_plugin *p, struct err *e) MUST_CHECK;

/* The description with texts borrowed from the plugin; only `options` is owned: descriptor_undescribe. */
int descriptor_describe(const struct hg_plugin *p, struct described *out) MUST_CHECK;
void descriptor_undescribe(struct described *d);

#endif
