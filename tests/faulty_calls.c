/* A disk on which one operation fails: the n-th call of the C library on a file below a folder.
 *
 * Loaded with LD_PRELOAD, so that the calls of delta-rs and DuckDB are reached, and Python's. What
 * writes fails with ENOSPC, what reads with EIO. Descriptors that the dynamic linker or the kernel
 * uses are not counted, and neither are closes: the kernel does the work before they fail.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long counted;
static long wanted;      /* the number of the call that fails, from 1; 0: none */
static long more;        /* calls after it that fail as well; -1: all */
static char folder[PATH_MAX];
static char failed[64];  /* what the failed call was */

void fault_arm(const char *below, long number, long further) {
    strncpy(folder, below, sizeof folder - 1);
    atomic_store(&counted, 0);
    failed[0] = 0;
    more = further;
    wanted = number;
}

long fault_count(void) { return atomic_load(&counted); }
const char *fault_failed(void) { return failed; }

static int fails(const char *what) {
    long number = atomic_fetch_add(&counted, 1) + 1;
    if (!wanted || number < wanted || (more >= 0 && number > wanted + more)) return 0;
    if (!failed[0]) strncpy(failed, what, sizeof failed - 1);
    return 1;
}

static int below(const char *path) {
    size_t length = strlen(folder);
    return length && path && !strncmp(path, folder, length);
}

static int below_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!folder[0]) return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int below_at(int fd, const char *path) {
    return below(path) || (path && path[0] != '/' && fd != AT_FDCWD && below_fd(fd));
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                                     \
    int name(const char *path, int flags, ...) {                                       \
        va_list given; va_start(given, flags);                                         \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(given, mode_t) : 0;     \
        va_end(given);                                                                 \
        if (below(path) && fails(#name)) {                                             \
            errno = (flags & O_CREAT) ? ENOSPC : EIO; return -1; }                     \
        return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name))(path, flags, mode); }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                   \
    int name(int fd, const char *path, int flags, ...) {                               \
        va_list given; va_start(given, flags);                                         \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(given, mode_t) : 0;     \
        va_end(given);                                                                 \
        if (below_at(fd, path) && fails(#name)) {                                      \
            errno = (flags & O_CREAT) ? ENOSPC : EIO; return -1; }                     \
        return ((int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, #name))(        \
            fd, path, flags, mode); }
OPENAT(openat)
OPENAT(openat64)

FILE *fopen(const char *path, const char *mode) {
    if (below(path) && fails("fopen")) { errno = EIO; return NULL; }
    return REAL(fopen)(path, mode);
}
FILE *fopen64(const char *path, const char *mode) {
    if (below(path) && fails("fopen64")) { errno = EIO; return NULL; }
    return REAL(fopen64)(path, mode);
}
DIR *opendir(const char *path) {
    if (below(path) && fails("opendir")) { errno = EIO; return NULL; }
    return REAL(opendir)(path);
}
ssize_t read(int fd, void *to, size_t count) {
    if (below_fd(fd) && fails("read")) { errno = EIO; return -1; }
    return REAL(read)(fd, to, count);
}
ssize_t pread(int fd, void *to, size_t count, off_t at) {
    if (below_fd(fd) && fails("pread")) { errno = EIO; return -1; }
    return REAL(pread)(fd, to, count, at);
}
ssize_t pread64(int fd, void *to, size_t count, off64_t at) {
    if (below_fd(fd) && fails("pread64")) { errno = EIO; return -1; }
    return REAL(pread64)(fd, to, count, at);
}
ssize_t write(int fd, const void *from, size_t count) {
    if (below_fd(fd) && fails("write")) { errno = ENOSPC; return -1; }
    return REAL(write)(fd, from, count);
}
ssize_t writev(int fd, const struct iovec *from, int count) {
    if (below_fd(fd) && fails("writev")) { errno = ENOSPC; return -1; }
    return REAL(writev)(fd, from, count);
}
ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at) {
    if (below_fd(fd) && fails("pwrite64")) { errno = ENOSPC; return -1; }
    return REAL(pwrite64)(fd, from, count, at);
}
ssize_t copy_file_range(int in, off64_t *at, int out, off64_t *to, size_t count, unsigned flags) {
    if (below_fd(out) && fails("copy_file_range")) { errno = ENOSPC; return -1; }
    return REAL(copy_file_range)(in, at, out, to, count, flags);
}
int fsync(int fd) {
    if (below_fd(fd) && fails("fsync")) { errno = EIO; return -1; }
    return REAL(fsync)(fd);
}
int fdatasync(int fd) {
    if (below_fd(fd) && fails("fdatasync")) { errno = EIO; return -1; }
    return REAL(fdatasync)(fd);
}
int mkdir(const char *path, mode_t mode) {
    if (below(path) && fails("mkdir")) { errno = ENOSPC; return -1; }
    return REAL(mkdir)(path, mode);
}
int rename(const char *from, const char *to) {
    if ((below(from) || below(to)) && fails("rename")) { errno = ENOSPC; return -1; }
    return REAL(rename)(from, to);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    if (below(to) && fails("renameat2")) { errno = ENOSPC; return -1; }
    return REAL(renameat2)(a, from, b, to, flags);
}
int link(const char *from, const char *to) {
    if (below(to) && fails("link")) { errno = ENOSPC; return -1; }
    return REAL(link)(from, to);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    if (below(to) && fails("linkat")) { errno = ENOSPC; return -1; }
    return REAL(linkat)(a, from, b, to, flags);
}
int stat(const char *path, struct stat *found) {
    if (below(path) && fails("stat")) { errno = EIO; return -1; }
    return REAL(stat)(path, found);
}
int stat64(const char *path, struct stat64 *found) {
    if (below(path) && fails("stat64")) { errno = EIO; return -1; }
    return REAL(stat64)(path, found);
}
int lstat64(const char *path, struct stat64 *found) {
    if (below(path) && fails("lstat64")) { errno = EIO; return -1; }
    return REAL(lstat64)(path, found);
}
int fstatat64(int fd, const char *path, struct stat64 *found, int flags) {
    if (below_at(fd, path) && fails("fstatat64")) { errno = EIO; return -1; }
    return REAL(fstatat64)(fd, path, found, flags);
}
int statx(int fd, const char *restrict path, int flags, unsigned mask, struct statx *restrict to) {
    if (below_at(fd, path) && fails("statx")) { errno = EIO; return -1; }
    return REAL(statx)(fd, path, flags, mask, to);
}
