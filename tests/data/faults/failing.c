/* Makes the Nth write, truncation or sync of a file of a store fail, as the test says by opening a
 * path that does not exist: /fail-once/N/ERRNO, /fail-from/N/ERRNO, /fail-never. Opening /fail-seen
 * says by its errno whether one has failed (EEXIST) or not yet (ENOENT).
 * Built by tests/all/store/faults.rs, loaded with LD_PRELOAD. Maps of shared memory are not seen. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static volatile long left = -1;
static volatile int forever, code, seen;

static int ours(int fd) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return strstr(path, "sessions.db") != NULL;
}

static int fails(int fd) {
    if (left < 0 || !ours(fd)) return 0;
    long before = __sync_fetch_and_sub(&left, 1);
    if (before > 1) return 0;
    if (forever) left = 1; else left = -1;
    seen = 1;
    errno = code;
    return 1;
}

#define REAL(ret, name, ...) \
    static ret (*real)(__VA_ARGS__); \
    if (!real) real = (ret (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *b, size_t n) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return fails(fd) ? -1 : real(fd, b, n);
}
ssize_t pwrite(int fd, const void *b, size_t n, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return fails(fd) ? -1 : real(fd, b, n, at);
}
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return fails(fd) ? -1 : real(fd, b, n, at);
}
int ftruncate(int fd, off_t n) {
    REAL(int, "ftruncate", int, off_t);
    return fails(fd) ? -1 : real(fd, n);
}
int ftruncate64(int fd, off64_t n) {
    REAL(int, "ftruncate64", int, off64_t);
    return fails(fd) ? -1 : real(fd, n);
}
int fsync(int fd) {
    REAL(int, "fsync", int);
    return fails(fd) ? -1 : real(fd);
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    return fails(fd) ? -1 : real(fd);
}

static int order(const char *path) {
    if (strncmp(path, "/fail-", 6)) return 0;
    long n = 0;
    int e = 0;
    if (sscanf(path, "/fail-once/%ld/%d", &n, &e) == 2) { forever = 0; code = e; seen = 0; left = n; }
    else if (sscanf(path, "/fail-from/%ld/%d", &n, &e) == 2) { forever = 1; code = e; seen = 0; left = n; }
    else if (!strcmp(path, "/fail-never")) left = -1;
    errno = !strcmp(path, "/fail-seen") && seen ? EEXIST : ENOENT;
    return 1;
}
int open(const char *path, int flags, ...) {
    va_list a; va_start(a, flags); mode_t mode = va_arg(a, mode_t); va_end(a);
    REAL(int, "open", const char *, int, ...);
    return order(path) ? -1 : real(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    va_list a; va_start(a, flags); mode_t mode = va_arg(a, mode_t); va_end(a);
    REAL(int, "open64", const char *, int, ...);
    return order(path) ? -1 : real(path, flags, mode);
}
