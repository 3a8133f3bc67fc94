/* The meter: draws the progress of a command or of a large load on stderr, and asks SQLite whether to go on.
**
** Drawn on a terminal as one line that is written over again and erased at the end; with shardex_config('progress',
** 'on') also elsewhere, as lines. Short work draws nothing on a terminal.
*/
#ifndef SHX_METER_H
#define SHX_METER_H

#include "table.h"

typedef struct shx_meter {
    shx_table *table;
    const char *what; /* the command */
    bool wanted, terminal, drawn;
    double started, next; /* seconds, by shx_clock */
    const char *phase;    /* drawn last */
} shx_meter;

/* Begins and ends to draw; `what` is kept, not copied. */
void shx_meter_open(shx_meter *meter, shx_table *table, const char *what);
void shx_meter_close(shx_meter *meter);

/* A callback for the engine (shx_interrupted), with the meter as its context: draws the progress of the table's index
** when it is time to; true when sqlite3_interrupt was called. */
bool shx_meter_poll(void *meter);

/* Called after each row operation: draws the load when its transaction has become a large one. */
void shx_meter_load(shx_table *table);

/* The transaction has ended. */
void shx_meter_end_load(shx_state *state);

#endif
