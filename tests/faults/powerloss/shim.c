/* Records what a process does to the files of one directory, for replay.py.
 *
 * Preloaded (LD_PRELOAD), with two environment variables: POWERLOSS_DIR, the directory, and
 * POWERLOSS_LOG, the log's path outside of it. Each change is made and logged under one lock
 * (flock, which is also between processes), so the log's order is the order of the changes.
 *
 * Not recorded: *-shm files (SQLite maps them, and rebuilds them when they are missing), paths that
 * are relative or lie in subdirectories, and calls that SQLite and tinytune do not make (writev,
 * mmap, fallocate, dup). The test compares a replay of the whole log with the real files, so that
 * a change made in another way is noticed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FD 4096
#define REAL(result, name, ...)                                     \
    static result (*real_##name)(__VA_ARGS__);                      \
    if (!real_##name) real_##name = dlsym(RTLD_NEXT, #name)

enum { OTHER, A_FILE, THE_FOLDER };

static unsigned char kinds[MAX_FD];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static pid_t log_pid;

static void die(const char *why) {
    fprintf(stderr, "powerloss shim: %s\n", why);
    _exit(97);
}

/* ---- the lock and the log --------------------------------------------------------------------- */

static void lock(void) {
    REAL(int, open, const char *, int, ...);
    pthread_mutex_lock(&mutex);
    if (log_pid != getpid()) { /* a fork needs a lock of its own */
        const char *path = getenv("POWERLOSS_LOG");
        log_fd = path ? real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
        if (log_fd < 0) die("POWERLOSS_LOG cannot be opened");
        log_pid = getpid();
    }
    while (flock(log_fd, LOCK_EX))
        if (errno != EINTR) die("the log cannot be locked");
}

static void unlock(void) {
    int kept = errno;
    flock(log_fd, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    errno = kept;
}

static void append(const void *data, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    while (length) {
        ssize_t done = real_write(log_fd, data, length);
        if (done < 0) die("the log cannot be written");
        data = (const char *)data + done;
        length -= done;
    }
}

static void record(char operation, uint64_t inode, uint64_t offset, const char *name,
                   const void *data, size_t length) {
    struct __attribute__((packed)) {
        char operation;
        uint32_t pid;
        uint64_t inode, offset;
        uint32_t name_length, data_length;
    } head = {operation, getpid(), inode, offset, strlen(name), length};
    append(&head, sizeof head);
    append(name, head.name_length);
    append(data, length);
}

/* ---- which files are ours --------------------------------------------------------------------- */

static int kind_of(const char *path) {
    const char *folder = getenv("POWERLOSS_DIR");
    size_t length = folder ? strlen(folder) : 0, whole;
    if (!length || !path || strncmp(path, folder, length)) return OTHER;
    if (!path[length] || !strcmp(path + length, "/") || !strcmp(path + length, "/."))
        return THE_FOLDER;
    if (path[length] != '/' || strchr(path + length + 1, '/')) return OTHER;
    whole = strlen(path);
    return whole > 4 && !strcmp(path + whole - 4, "-shm") ? OTHER : A_FILE;
}

static const char *name_of(const char *path) { return strrchr(path, '/') + 1; }

static int kind_of_fd(int fd) { return fd >= 0 && fd < MAX_FD ? kinds[fd] : OTHER; }

static uint64_t inode_of(int fd) {
    struct stat found;
    if (fstat(fd, &found)) die("fstat failed");
    return found.st_ino;
}

static uint64_t inode_at(const char *path) {
    struct stat found;
    return lstat(path, &found) ? 0 : found.st_ino;
}

/* ---- open and close --------------------------------------------------------------------------- */

typedef int (*open_function)(const char *, int, ...);

static int opened(open_function real, const char *path, int flags, mode_t mode) {
    int kind = kind_of(path), unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    if (kind == OTHER) return real(path, flags, mode);
    lock();
    uint64_t before = unnamed ? 0 : inode_at(path);
    int fd = real(path, flags, mode);
    if (fd >= MAX_FD) die("too many open files");
    if (fd >= 0) {
        kinds[fd] = unnamed ? A_FILE : kind;
        if (unnamed)
            record('C', inode_of(fd), 0, "", NULL, 0);
        else if (kind == A_FILE && !before)
            record('C', inode_of(fd), 0, name_of(path), NULL, 0);
        else if (kind == A_FILE && flags & O_TRUNC)
            record('T', inode_of(fd), 0, "", NULL, 0);
    }
    unlock();
    return fd;
}

static int needs_mode(int flags) {
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

#define OPEN(name)                                                  \
    int name(const char *path, int flags, ...) {                    \
        REAL(int, name, const char *, int, ...);                    \
        va_list more;                                               \
        va_start(more, flags);                                      \
        mode_t mode = needs_mode(flags) ? va_arg(more, int) : 0;    \
        va_end(more);                                               \
        return opened(real_##name, path, flags, mode);              \
    }
OPEN(open)
OPEN(open64)

/* An absolute path needs no descriptor, and others are not recorded. */
#define OPENAT(name, plain)                                         \
    int name(int at, const char *path, int flags, ...) {            \
        REAL(int, name, int, const char *, int, ...);               \
        va_list more;                                               \
        va_start(more, flags);                                      \
        mode_t mode = needs_mode(flags) ? va_arg(more, int) : 0;    \
        va_end(more);                                               \
        if (kind_of(path) != OTHER) return plain(path, flags, mode);\
        return real_##name(at, path, flags, mode);                  \
    }
OPENAT(openat, open)
OPENAT(openat64, open64)

/* What glibc's fortified headers make of open(path, flags). */
int __open_2(const char *path, int flags) { return open(path, flags, 0); }
int __open64_2(const char *path, int flags) { return open64(path, flags, 0); }

int close(int fd) {
    REAL(int, close, int);
    if (kind_of_fd(fd) != OTHER) kinds[fd] = OTHER;
    return real_close(fd);
}

/* ---- the content of files --------------------------------------------------------------------- */

#define PWRITE(name, offset_type)                                                   \
    ssize_t name(int fd, const void *data, size_t length, offset_type offset) {     \
        REAL(ssize_t, name, int, const void *, size_t, offset_type);                \
        if (kind_of_fd(fd) != A_FILE) return real_##name(fd, data, length, offset); \
        lock();                                                                     \
        ssize_t done = real_##name(fd, data, length, offset);                       \
        if (done > 0) record('W', inode_of(fd), offset, "", data, done);            \
        unlock();                                                                   \
        return done;                                                                \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (kind_of_fd(fd) != A_FILE) return real_write(fd, data, length);
    lock();
    ssize_t done = real_write(fd, data, length);
    /* Asked afterwards, since a file opened to append moves to its end first. */
    if (done > 0) record('W', inode_of(fd), lseek(fd, 0, SEEK_CUR) - done, "", data, done);
    unlock();
    return done;
}

#define TRUNCATE(name, offset_type)                                         \
    int name(int fd, offset_type length) {                                  \
        REAL(int, name, int, offset_type);                                  \
        if (kind_of_fd(fd) != A_FILE) return real_##name(fd, length);       \
        lock();                                                             \
        int failed = real_##name(fd, length);                               \
        if (!failed) record('T', inode_of(fd), length, "", NULL, 0);        \
        unlock();                                                           \
        return failed;                                                      \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

/* The disk is never asked to sync: the test needs the record alone, and is faster so. */
static int synced(int fd) {
    lock();
    if (kind_of_fd(fd) == THE_FOLDER)
        record('D', 0, 0, "", NULL, 0);
    else
        record('S', inode_of(fd), 0, "", NULL, 0);
    unlock();
    return 0;
}

int fsync(int fd) {
    REAL(int, fsync, int);
    return kind_of_fd(fd) == OTHER ? real_fsync(fd) : synced(fd);
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    return kind_of_fd(fd) == OTHER ? real_fdatasync(fd) : synced(fd);
}

/* ---- names ------------------------------------------------------------------------------------ */

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    if (kind_of(path) != A_FILE) return real_unlink(path);
    lock();
    int failed = real_unlink(path);
    if (!failed) record('U', 0, 0, name_of(path), NULL, 0);
    unlock();
    return failed;
}

int unlinkat(int at, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    return kind_of(path) == A_FILE ? unlink(path) : real_unlinkat(at, path, flags);
}

static void record_link(const char *path) {
    record('L', inode_at(path), 0, name_of(path), NULL, 0);
}

int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    if (kind_of(to) != A_FILE) return real_link(from, to);
    lock();
    int failed = real_link(from, to);
    if (!failed) record_link(to);
    unlock();
    return failed;
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    if (kind_of(to) != A_FILE) return real_linkat(from_at, from, to_at, to, flags);
    lock();
    int failed = real_linkat(from_at, from, to_at, to, flags);
    if (!failed) record_link(to);
    unlock();
    return failed;
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    if (kind_of(from) != A_FILE || kind_of(to) != A_FILE) return real_rename(from, to);
    lock();
    int failed = real_rename(from, to);
    if (!failed) record('R', inode_at(to), 0, name_of(to), name_of(from), strlen(name_of(from)));
    unlock();
    return failed;
}

/* ---- marks ------------------------------------------------------------------------------------ */

/* For the program under test: enter a text, to say what it has been promised by now. */
void powerloss_mark(const char *text) {
    lock();
    record('M', 0, 0, "", text, strlen(text));
    unlock();
}
