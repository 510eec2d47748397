/* Lets one call of the system or of FFmpeg fail: the n-th within a folder, by LD_PRELOAD.

   Counted are calls that open, read, write, rename, link, remove or flush a file under a folder, and
   pictures and packets that go into and come out of codecs and muxers. The state lies in memory that
   a child shares with its parent, which thus learns how many calls there were. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FAIL_IO, FAIL_SPACE, FAIL_MEMORY, PARTIAL, KILL };

struct state {
    char folder[PATH_MAX];
    long at, count;
    int mode;
    char what[64];
};
static struct state *state;
static unsigned char ours[65536];
static char codec_library[PATH_MAX], format_library[PATH_MAX];

struct state *injector_prepare(const char *avcodec, const char *avformat) {
    if (!state)
        state = mmap(0, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strncpy(codec_library, avcodec, PATH_MAX - 1);
    strncpy(format_library, avformat, PATH_MAX - 1);
    return state;
}

void injector_arm(const char *folder, long at, int mode) {
    memset(state, 0, sizeof *state);
    strncpy(state->folder, folder, PATH_MAX - 1);
    state->at = at;
    state->mode = mode;
}

long injector_count(void) { return state->count; }
const char *injector_what(void) { return state->what; }

/* Whether this call is the one; notes which it was. */
static int is_due(const char *what) {
    if (!state || !state->folder[0]) return 0;
    long number = __sync_add_and_fetch(&state->count, 1);
    if (number != state->at) return 0;
    strncpy(state->what, what, sizeof state->what - 1);
    if (state->mode == KILL) kill(getpid(), SIGKILL);
    return 1;
}

static int code(void) {
    return state->mode == FAIL_SPACE ? ENOSPC : state->mode == FAIL_MEMORY ? ENOMEM : EIO;
}

static int is_inside(int folder, const char *path) {
    char whole[PATH_MAX * 2], base[PATH_MAX];
    if (!state || !state->folder[0] || !path) return 0;
    if (path[0] == '/') return !strncmp(path, state->folder, strlen(state->folder));
    if (folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t size = readlink(link, base, sizeof base - 1);
        if (size < 0) return 0;
        base[size] = 0;
    }
    snprintf(whole, sizeof whole, "%s/%s", base, path);
    return !strncmp(whole, state->folder, strlen(state->folder));
}

#define NEXT(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(what, inside) if ((inside) && is_due(what) && state->mode != PARTIAL) { errno = code(); return -1; }

static int opened(int descriptor, int inside) {
    if (descriptor >= 0 && descriptor < (int)sizeof ours) ours[descriptor] = inside;
    return descriptor;
}
static int is_ours(int descriptor) {
    return descriptor >= 0 && descriptor < (int)sizeof ours && ours[descriptor];
}

#define OPEN(name)                                                                   \
    int name(const char *path, int flags, ...) {                                     \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        int inside = is_inside(AT_FDCWD, path);                                      \
        FAIL("open", inside)                                                         \
        return opened(NEXT(name)(path, flags, mode), inside);                        \
    }
OPEN(open)
OPEN(open64)
#define OPENAT(name)                                                                 \
    int name(int folder, const char *path, int flags, ...) {                         \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        int inside = is_inside(folder, path);                                        \
        FAIL("open", inside)                                                         \
        return opened(NEXT(name)(folder, path, flags, mode), inside);                \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t read(int descriptor, void *data, size_t size) {
    if (is_ours(descriptor) && is_due("read")) {
        if (state->mode != PARTIAL) { errno = code(); return -1; }
        size = size > 1 ? size / 2 : size;
    }
    return NEXT(read)(descriptor, data, size);
}
ssize_t write(int descriptor, const void *data, size_t size) {
    if (is_ours(descriptor) && is_due("write")) {
        if (state->mode != PARTIAL) { errno = code(); return -1; }
        size = size > 1 ? size / 2 : size;
    }
    return NEXT(write)(descriptor, data, size);
}
int close(int descriptor) {
    opened(descriptor, 0);
    return NEXT(close)(descriptor);
}
int fsync(int descriptor) { FAIL("fsync", is_ours(descriptor)) return NEXT(fsync)(descriptor); }
int rename(const char *from, const char *to) {
    FAIL("rename", is_inside(AT_FDCWD, to)) return NEXT(rename)(from, to);
}
int link(const char *from, const char *to) {
    FAIL("link", is_inside(AT_FDCWD, to)) return NEXT(link)(from, to);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    FAIL("link", is_inside(b, to)) return NEXT(linkat)(a, from, b, to, flags);
}
/* Removing is counted, but does not fail: what may not be removed cannot be cleaned up. */
int unlink(const char *path) {
    if (is_inside(AT_FDCWD, path)) is_due("remove");
    return NEXT(unlink)(path);
}

/* FFmpeg's libraries are opened by Python for itself: they are found by their names. */
static void *found(const char *library, const char *name) {
    void *handle = dlopen(library, RTLD_NOLOAD | RTLD_NOW);
    return handle ? dlsym(handle, name) : 0;
}
#define CODEC(name, library, what, first, second)                                    \
    int name(void *context, second thing) {                                          \
        static int (*real)(void *, second);                                          \
        if (!real) real = found(library, #name);                                     \
        if (is_due(what) && state->mode != PARTIAL) return -code();                  \
        return real(context, thing);                                                 \
    }
CODEC(avcodec_send_frame, codec_library, "encode", void *, const void *)
CODEC(avcodec_receive_packet, codec_library, "encode", void *, void *)
CODEC(avcodec_send_packet, codec_library, "decode", void *, const void *)
CODEC(avcodec_receive_frame, codec_library, "decode", void *, void *)
CODEC(av_interleaved_write_frame, format_library, "mux", void *, void *)
CODEC(av_read_frame, format_library, "demux", void *, void *)
