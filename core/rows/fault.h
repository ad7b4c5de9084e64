/* The kinds of fault, and how they are recorded while scanning. Internal to rows; the public side is rows.h. */
#ifndef HG_ROWS_FAULT_H
#define HG_ROWS_FAULT_H

#include "rows/rows.h"

enum fault_id {
#define FAULT(id, kind, word, legacy, sentence) FAULT_##id,
#include "rows/fault.def"
#undef FAULT
    FAULT_ID_COUNT
};

struct scan;

/* Record a fault at `at`, in the place that the open frames name. `number` stands for `#` in its sentence. A syntax or
 * limit fault also sets scan->stop. Faults beyond FAULTS_MAX are only counted, but
 * for the first syntax or limit fault, which takes the last place. */
void fault_add(struct scan *s, enum fault_id id, const uint8_t *at, uint64_t number);

/* After the scan: line, column and byte of each; a syntax fault first. */
void faults_finish(struct scan *s);

#endif
