/* The engine's store over the simulated file system. */
#ifndef SHX_TEST_SIM_STORE_H
#define SHX_TEST_SIM_STORE_H

#include "os.h"

/* Opens the store of a directory: for shx_store_use. */
shx_status sim_store_open(const char *path, shx_store **ret_store);

#endif
