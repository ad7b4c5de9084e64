/* Rows out of the journal, for checkpoints: the row_source that delivery asks for. Worker threads. */
#ifndef HG_SUPERVISE_SOURCE_H
#define HG_SUPERVISE_SOURCE_H

#include "delivery/aside.h"
#include "journal/journal.h"

struct row_source source_of(struct journal *journal);

#endif
