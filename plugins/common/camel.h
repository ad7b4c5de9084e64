/* Column names as rows want them: camelCase, `^[a-z][A-Za-z0-9]*$`, at most CAMEL_MAX bytes. Pure. */
#ifndef COMMON_CAMEL_H
#define COMMON_CAMEL_H

#include "common/strbuf.h"
#include "headgate.h"

enum { CAMEL_MAX = 256 };

/* A name that fits already stays as it is. Else words are what lies between other characters and between `aB` and
 * `ABc`; `temp_max` -> tempMax, `Sample ID` -> sampleId, `HTTPStatus` -> httpStatus. Latin letters lose their accents;
 * a leading digit gets an `n` before it. NULL, or a sentence: nothing is left, it is too long, or there is no memory.
 * What `out` had is replaced; it needs a maximum of 16 * CAMEL_MAX. */
const char *camel_name(struct hg_text name, struct strbuf *out);

#endif
