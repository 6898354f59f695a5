/* Counts a program's calls that concern the files of one folder, and disturbs one of them.

   Preload the library, then call fault_arm. A call concerns the folder if its path, or the path of
   its file descriptor, begins with the folder's path. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FAIL = 0, SHORT = -1, KILL = -2, KILL_INSIDE = -3 };

static char folder[4096];
static int target, action, counted, filled, disturbed;
static long long room = -1, total;
static const char *names[1 << 16];

/* Forget the calls so far. Disturb the call with number `at` (0: none).

   what: an errno, so that the call fails; SHORT, so that it writes half; KILL before the call; or
   KILL_INSIDE, after half of the bytes. bytes: the room on the disk, or -1 for an endless disk. */
void fault_arm(const char *path, int at, int what, long long bytes) {
    snprintf(folder, sizeof folder, "%s", path);
    target = at, action = what, room = bytes, counted = filled = disturbed = total = 0;
}

int fault_calls(void) { return counted; }
long long fault_written(void) { return total; }
int fault_disturbed(void) { return disturbed; }
const char *fault_name(int call) { return names[call & 0xffff]; } /* from 1 */

static int concerns(const char *path) {
    return folder[0] && path && !strncmp(path, folder, strlen(folder));
}

static int concerns_fd(int fd) {
    char link[32], path[4096];
    if (!folder[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return concerns(path);
}

/* Count a call. Returns the errno to fail with, SHORT or KILL_INSIDE, or FAIL for no disturbance.
   A full disk (ENOSPC) stays full for all calls that need room. */
static int next(const char *name, int needs_room) {
    names[++counted & 0xffff] = name;
    if (counted == target) {
        disturbed = 1;
        if (action == KILL) kill(getpid(), SIGKILL);
        if (action == ENOSPC) filled = 1;
        return action;
    }
    return filled && needs_room ? ENOSPC : FAIL;
}

#define PLAIN(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define DISTURB(condition, name, needs_room)                   \
    if (condition) {                                           \
        int what = next(#name, needs_room);                    \
        if (what > 0) { errno = what; return -1; }             \
        if (what == KILL_INSIDE) kill(getpid(), SIGKILL);      \
    }

/* How many of the bytes may be written; -1 with errno for none. */
static ssize_t allowed(const char *name, size_t count, int *killed) {
    int what = next(name, 1);
    *killed = what == KILL_INSIDE;
    if (what > 0) { errno = what; return -1; }
    if (what < 0 && count > 1) count /= 2;
    if (room >= 0) {
        if (room == 0 && count) { disturbed = 1, errno = ENOSPC; return -1; }
        if ((long long)count > room) disturbed = 1, count = room;
        room -= count;
    }
    total += count;
    return count;
}

#define WRITES(fd, count, call)                                   \
    int killed = 0;                                               \
    if (concerns_fd(fd)) {                                        \
        ssize_t most = allowed(__func__, count, &killed);         \
        if (most < 0) return -1;                                  \
        count = most;                                             \
    }                                                             \
    ssize_t written = call;                                       \
    if (killed) kill(getpid(), SIGKILL);                          \
    return written;

ssize_t write(int fd, const void *bytes, size_t count) {
    WRITES(fd, count, PLAIN(write)(fd, bytes, count))
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    WRITES(fd, count, PLAIN(pwrite64)(fd, bytes, count, at))
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    WRITES(fd, count, PLAIN(pwrite)(fd, bytes, count, at))
}
ssize_t writev(int fd, const struct iovec *parts, int n) {
    if (!concerns_fd(fd)) return PLAIN(writev)(fd, parts, n);
    for (int i = 0; i < n; i++) /* a short call: the caller must write the rest */
        if (parts[i].iov_len) return write(fd, parts[i].iov_base, parts[i].iov_len);
    return 0;
}
size_t fwrite(const void *bytes, size_t size, size_t n, FILE *file) {
    if (!concerns_fd(fileno(file))) return PLAIN(fwrite)(bytes, size, n, file);
    int killed = 0;
    ssize_t most = allowed("fwrite", size * n, &killed);
    if (most < 0) return 0;
    size_t done = PLAIN(fwrite)(bytes, 1, most, file);
    if (killed) fflush(file), kill(getpid(), SIGKILL);
    return size ? done / size : 0;
}

#define OPENS(name, path, flags, call)                      \
    mode_t mode = 0;                                        \
    if (flags & (O_CREAT | O_TMPFILE)) {                    \
        va_list rest;                                       \
        va_start(rest, flags);                              \
        mode = va_arg(rest, mode_t);                        \
        va_end(rest);                                       \
    }                                                       \
    DISTURB(concerns(path), name, (flags & O_CREAT) != 0)   \
    return call;

int open(const char *path, int flags, ...) {
    OPENS(open, path, flags, PLAIN(open)(path, flags, mode))
}
int open64(const char *path, int flags, ...) {
    OPENS(open, path, flags, PLAIN(open64)(path, flags, mode))
}
int openat(int at, const char *path, int flags, ...) {
    OPENS(openat, path, flags, PLAIN(openat)(at, path, flags, mode))
}
int openat64(int at, const char *path, int flags, ...) {
    OPENS(openat, path, flags, PLAIN(openat64)(at, path, flags, mode))
}
FILE *fopen(const char *path, const char *mode) {
    int what = concerns(path) ? next("fopen", mode[0] != 'r') : FAIL;
    if (what > 0) { errno = what; return NULL; }
    return PLAIN(fopen)(path, mode);
}
FILE *fopen64(const char *path, const char *mode) {
    int what = concerns(path) ? next("fopen", mode[0] != 'r') : FAIL;
    if (what > 0) { errno = what; return NULL; }
    return PLAIN(fopen64)(path, mode);
}
int fsync(int fd) {
    DISTURB(concerns_fd(fd), fsync, 1)
    return PLAIN(fsync)(fd);
}
int ftruncate64(int fd, off64_t size) {
    DISTURB(concerns_fd(fd), ftruncate, 0)
    return PLAIN(ftruncate64)(fd, size);
}
int ftruncate(int fd, off_t size) {
    DISTURB(concerns_fd(fd), ftruncate, 0)
    return PLAIN(ftruncate)(fd, size);
}
int rename(const char *from, const char *to) {
    DISTURB(concerns(from), rename, 0)
    return PLAIN(rename)(from, to);
}
int renameat2(int one, const char *from, int two, const char *to, unsigned flags) {
    DISTURB(concerns(from), renameat2, 0)
    return PLAIN(renameat2)(one, from, two, to, flags);
}
int mkdir(const char *path, mode_t mode) {
    DISTURB(concerns(path), mkdir, 1)
    return PLAIN(mkdir)(path, mode);
}
int unlink(const char *path) {
    DISTURB(concerns(path), unlink, 0)
    return PLAIN(unlink)(path);
}
int unlinkat(int at, const char *path, int flags) { /* shutil.rmtree names files relative to `at` */
    DISTURB(concerns(path) || (path[0] != '/' && at >= 0 && concerns_fd(at)), unlinkat, 0)
    return PLAIN(unlinkat)(at, path, flags);
}
int rmdir(const char *path) {
    DISTURB(concerns(path), rmdir, 0)
    return PLAIN(rmdir)(path);
}
void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset) {
    if (fd >= 0 && concerns_fd(fd)) {
        int what = next("mmap", 0);
        if (what > 0) { errno = what; return MAP_FAILED; }
    }
    return PLAIN(mmap64)(at, size, protection, flags, fd, offset);
}
void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    if (fd >= 0 && concerns_fd(fd)) {
        int what = next("mmap", 0);
        if (what > 0) { errno = what; return MAP_FAILED; }
    }
    return PLAIN(mmap)(at, size, protection, flags, fd, offset);
}
