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
