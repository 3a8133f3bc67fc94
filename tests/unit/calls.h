/* Comes before everything in the files of the engine that are compiled anew for call_test.c (meson.build): their calls
** of the system go through functions of the test, which counts them and lets some fail, or do less than was asked.
*/
#ifndef SHX_TEST_CALLS_H
#define SHX_TEST_CALLS_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

int calls_fsync(int fd);
int calls_flock(int fd, int operation);
int calls_openat(int directory, const char *name, int flags, mode_t mode);
ssize_t calls_pread(int fd, void *bytes, size_t size, off_t offset);
ssize_t calls_pwrite(int fd, const void *bytes, size_t size, off_t offset);
void *calls_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int calls_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *argument), void *argument);

#define fsync calls_fsync
#define flock calls_flock
#define openat calls_openat
#define pread calls_pread
#define pwrite calls_pwrite
#define mmap calls_mmap
#define pthread_create calls_thread

#endif
