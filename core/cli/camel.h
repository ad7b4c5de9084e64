/* Column names as rows want them: camelCase, `^[a-z][A-Za-z0-9]*$`, at most 256 bytes. Pure. */
#ifndef HG_CLI_CAMEL_H
#define HG_CLI_CAMEL_H

#include "base/buf.h"

/* A name that fits already stays as it is. Else words are what lies between other characters and between `aB` and
 * `ABc`; `temp_max` -> tempMax, `Sample ID` -> sampleId, `HTTPStatus` -> httpStatus. Latin letters lose their accents;
 * a leading digit gets an `n` before it. ERR_SYNTAX with a sentence when nothing is left, ERR_LIMIT when too long. */
int camel_name(struct slice name, struct buf *out, struct err *e) MUST_CHECK;

#endif
