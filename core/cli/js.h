/* Reading the API's JSON with jansson: members that may be missing, without fuss. Unknown members are ignored
 * everywhere, as the contract asks. Borrowed texts live as long as the object. */
#ifndef HG_CLI_JS_H
#define HG_CLI_JS_H

#include "base/slice.h"

#include <jansson.h>
#include <stdbool.h>

/* NULL when it is not JSON. The caller json_decref()s. */
json_t *js_parse(struct slice text);
const char *js_text(const json_t *object, const char *name);  /* "" when missing or no string */
long long js_integer(const json_t *object, const char *name); /* 0 */
double js_number(const json_t *object, const char *name);     /* 0; integers too */
bool js_true(const json_t *object, const char *name);         /* false */

#endif
