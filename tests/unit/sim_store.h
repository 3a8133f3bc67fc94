/* The engine's store over the simulated file system. */
#ifndef SHX_TEST_SIM_STORE_H
#define SHX_TEST_SIM_STORE_H

#include "os.h"

shx_status sim_store_open(const char *path, shx_store **ret_store);

/* From now on all stores and folders of the process are simulated ones. */
void sim_store_use(void);

#endif
