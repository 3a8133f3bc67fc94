/* Deliberate defects, which show that the tests can fail. SHX_PLANTED(number) stands where one is and is 0 in every
** ordinary build, so that nothing of them is compiled in. A build with the option `planted_bugs` holds all of them, and
** the environment variable SHARDEX_PLANTED_BUG says which one a process has. tests/planted.txt lists them,
** tests/planted.sh tries the tests on each.
*/
#ifndef SHX_PLANTED_H
#define SHX_PLANTED_H

#ifdef SHX_PLANTED_BUGS

#include <stdlib.h>

static long planted_bug;

__attribute__((constructor)) static void planted_choose(void) {
    const char *number = getenv("SHARDEX_PLANTED_BUG");
    planted_bug = number ? strtol(number, NULL, 10) : 0;
}

#define SHX_PLANTED(number) (planted_bug == (number))

#else
#define SHX_PLANTED(number) 0
#endif

#endif
