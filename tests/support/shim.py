"""C libraries that change system calls of one agent, loaded with LD_PRELOAD."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

#: Each sync takes five seconds while the file that SLOW_SYNC names exists.
SLOW_SYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int slow(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (access(getenv("SLOW_SYNC"), F_OK) == 0) sleep(5);
    return real(fd);
}
int fsync(int fd) { return slow("fsync", fd); }
int fdatasync(int fd) { return slow("fdatasync", fd); }
"""

#: statvfs hangs for the file system that DEAD_MOUNT names.
DEAD_MOUNT = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int usage(const char *name, const char *path, void *answer) {
    int (*real)(const char *, void *) = (int (*)(const char *, void *))dlsym(RTLD_NEXT, name);
    while (strcmp(path, getenv("DEAD_MOUNT")) == 0) pause();
    return real(path, answer);
}
int statvfs(const char *path, void *answer) { return usage("statvfs", path, answer); }
int statvfs64(const char *path, void *answer) { return usage("statvfs64", path, answer); }
"""

#: The wall clock is ahead by the number of seconds in the file that CLOCK_STEP names.
CLOCK_STEP = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock != CLOCK_REALTIME || !getenv("CLOCK_STEP")) return result;
    char text[32] = {0};
    int fd = open(getenv("CLOCK_STEP"), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return result;
    if (read(fd, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
    close(fd);
    return result;
}
"""

#: The name service gives the name in the file that NAME_SERVICE names; it is mute if that is "mute".
NAME_SERVICE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char name[256];
static void look(void) {
    int fd = open(getenv("NAME_SERVICE"), O_RDONLY | O_CLOEXEC);
    memset(name, 0, sizeof name);
    if (fd < 0) return;
    if (read(fd, name, sizeof name - 1) < 0) name[0] = 0;
    close(fd);
}
int getaddrinfo(const char *node, const char *port, const struct addrinfo *hints,
                struct addrinfo **found) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))
            dlsym(RTLD_NEXT, "getaddrinfo");
    int is_number = !node || strspn(node, "0123456789.") == strlen(node);
    look();
    while (!is_number && !strcmp(name, "mute")) { pause(); look(); }
    return real(is_number ? node : "127.0.0.1", port, hints, found);
}
int gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *result,
                    char *buffer, size_t size, struct hostent **found, int *error) {
    static char *none[] = {NULL};
    static char *addresses[2];
    look();
    addresses[0] = (char *)address;
    result->h_name = name;
    result->h_aliases = none;
    result->h_addrtype = family;
    result->h_length = (int)length;
    result->h_addr_list = addresses;
    *found = result;
    return 0;
}
"""

#: The file system lacks what the file that LACKS names: link, lockf, flock, bind, fchmod or mmap.
LACKS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
static int lacks(const char *what, int why) {
    char text[32] = {0};
    int fd = open(getenv("LACKS"), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0 || strcmp(text, what)) return 0;
    errno = why;
    return 1;
}
#define REAL(name) dlsym(RTLD_NEXT, name)
int linkat(int a, const char *b, int c, const char *d, int e) {
    if (lacks("link", EPERM)) return -1;
    return ((int (*)(int, const char *, int, const char *, int))REAL("linkat"))(a, b, c, d, e);
}
int link(const char *a, const char *b) {
    if (lacks("link", EPERM)) return -1;
    return ((int (*)(const char *, const char *))REAL("link"))(a, b);
}
int flock(int fd, int how) {
    if (lacks("flock", ENOLCK)) return -1;
    return ((int (*)(int, int))REAL("flock"))(fd, how);
}
int fchmod(int fd, mode_t mode) {
    if (lacks("fchmod", EPERM)) return -1;
    return ((int (*)(int, mode_t))REAL("fchmod"))(fd, mode);
}
int bind(int fd, const struct sockaddr *address, socklen_t length) {
    if (address->sa_family == AF_UNIX && lacks("bind", EOPNOTSUPP)) return -1;
    return ((int (*)(int, const struct sockaddr *, socklen_t))REAL("bind"))(fd, address, length);
}
static int control(const char *name, int fd, int command, void *argument) {
    int locks = command == F_SETLK || command == F_SETLKW || command == F_GETLK;
    if (locks && lacks("lockf", ENOLCK)) return -1;
    return ((int (*)(int, int, ...))REAL(name))(fd, command, argument);
}
int fcntl(int fd, int command, ...) {
    va_list rest; va_start(rest, command);
    void *argument = va_arg(rest, void *); va_end(rest);
    return control("fcntl", fd, command, argument);
}
int fcntl64(int fd, int command, ...) {
    va_list rest; va_start(rest, command);
    void *argument = va_arg(rest, void *); va_end(rest);
    return control("fcntl64", fd, command, argument);
}
static void *map(const char *name, void *at, size_t size, int rights, int flags, int fd, long from) {
    if (flags & MAP_SHARED && fd >= 0 && lacks("mmap", ENODEV)) return MAP_FAILED;
    return ((void *(*)(void *, size_t, int, int, int, long))REAL(name))(at, size, rights, flags, fd, from);
}
void *mmap(void *a, size_t b, int c, int d, int e, long f) { return map("mmap", a, b, c, d, e, f); }
void *mmap64(void *a, size_t b, int c, int d, int e, long f) { return map("mmap64", a, b, c, d, e, f); }
"""


def environment(home: Path, source: str, variable: str, value: Path) -> dict[str, str]:
    """Compile a library, and return the environment that loads it. Skip the test without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a C compiler is needed to change a system call")
    text, library = home / f"{variable}.c", home / f"{variable}.so"
    text.write_text(source)
    command: list[str | Path] = [compiler, "-shared", "-fPIC", "-o", library, text, "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return {"LD_PRELOAD": str(library), variable: str(value)}
