/* Preloaded into a process, lets the FAULT_AT-th call on a file below FAULT_DIR fail: open, write,
   fsync, fdatasync, rename, unlink, ftruncate. FAULT_SEEN is made when it does. Build:
   cc -shared -fPIC -o fault.so fault.c -ldl */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;

static int fails(const char *path, int code) {
    const char *folder = getenv("FAULT_DIR"), *at = getenv("FAULT_AT");
    if (!folder || !at || !path || strncmp(path, folder, strlen(folder)) != 0) return 0;
    if (atomic_fetch_add(&calls, 1) + 1 != atol(at)) return 0;
    int seen = syscall(SYS_openat, AT_FDCWD, getenv("FAULT_SEEN"), O_CREAT | O_WRONLY, 0600);
    if (seen >= 0) {
        (void)!syscall(SYS_write, seen, path, strlen(path));
        syscall(SYS_close, seen);
    }
    errno = code;
    return 1;
}

static const char *path_of(int fd, char *buffer, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, buffer, size - 1);
    if (n < 0) return NULL;
    buffer[n] = 0;
    return buffer;
}

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))

#define OPEN(name)                                                        \
    int name(const char *path, int flags, ...) {                          \
        va_list rest;                                                     \
        va_start(rest, flags);                                            \
        int mode = va_arg(rest, int);                                     \
        va_end(rest);                                                     \
        if (fails(path, EIO)) return -1;                                  \
        return REAL(#name, int (*)(const char *, int, ...))(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *bytes, size_t n) {
    char path[4096];
    if (fails(path_of(fd, path, sizeof path), ENOSPC)) return -1;
    return REAL("write", ssize_t(*)(int, const void *, size_t))(fd, bytes, n);
}

#define SYNC(name)                                                  \
    int name(int fd) {                                              \
        char path[4096];                                            \
        if (fails(path_of(fd, path, sizeof path), EIO)) return -1;  \
        return REAL(#name, int (*)(int))(fd);                       \
    }
SYNC(fsync)
SYNC(fdatasync)

#define RESIZE(name, type)                                          \
    int name(int fd, type length) {                                 \
        char path[4096];                                            \
        if (fails(path_of(fd, path, sizeof path), EIO)) return -1;  \
        return REAL(#name, int (*)(int, type))(fd, length);         \
    }
RESIZE(ftruncate, off_t)
RESIZE(ftruncate64, off64_t)

int rename(const char *from, const char *to) {
    if (fails(to, ENOSPC)) return -1;
    return REAL("rename", int (*)(const char *, const char *))(from, to);
}

int unlink(const char *path) {
    if (fails(path, EIO)) return -1;
    return REAL("unlink", int (*)(const char *))(path);
}
