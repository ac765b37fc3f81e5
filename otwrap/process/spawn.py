"""The start of a process, by ``posix_spawn`` where the C library can do all that is needed.

`subprocess.Popen` costs more than the start itself: it builds the environment anew each time, and holds all
other threads up while the system starts the program. What it does for safety is done here too: default
signals, no open files but three, a session of its own.
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

__all__ = ["by_popen", "fast_spawn"]

_SETSIGDEF, _SETSID = 0x04, 0x80
# Larger than the C library's structures on any machine.
_Room = ctypes.c_char * 1024

#: Arguments, path of the program, work directory, environment, descriptors of the three streams; where the number
#: of the process goes.
Spawn = Callable[[Sequence[str], str, str, Sequence[bytes], tuple[int, int, int], ctypes.c_int], None]


def by_popen(
    argv: Sequence[str],
    path: str,
    workdir: str,
    environment: Mapping[str, str],
    files: tuple[int, int, int],
) -> subprocess.Popen[bytes]:
    """Start a process on any system.

    Parameters
    ----------
    argv : sequence of str
        The arguments, the name of the program first.
    path : str
        Full path of the program.
    workdir : str
        Its current directory.
    environment : mapping of str
        Its environment variables.
    files : tuple of int
        Descriptors of its input, output and error; the input may be `DEVNULL`.

    Returns
    -------
    process : subprocess.Popen

    Raises
    ------
    OSError
        If it cannot be started.
    """
    return subprocess.Popen(
        argv,
        executable=path,
        cwd=workdir,
        env=environment,
        stdin=files[0],
        stdout=files[1],
        stderr=files[2],
        start_new_session=os.name != "nt",
    )


@functools.cache
def fast_spawn() -> Spawn | None:
    """Return a function that starts a process fast and tells its number.

    Returns
    -------
    spawn : callable or None
        Takes `argv`, `path`, `workdir`, the environment as ``b"name=value"`` and `files`, as
        :func:`by_popen`, and where the number goes: there it stands before an interrupt can come. `None` where
        the C library is too old (glibc before 2.34) or another one.
    """
    if sys.platform != "linux":
        return None
    try:
        return _declare(ctypes.CDLL(None))
    except (AttributeError, OSError):
        return None


def _declare(libc: ctypes.CDLL) -> Spawn:
    """Return the function, once everything that it needs is found in the C library."""
    number, text, pointer = ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p
    prefix = "posix_spawn_file_actions_"
    init, destroy = libc[f"{prefix}init"], libc[f"{prefix}destroy"]
    chdir, close_from = libc[f"{prefix}addchdir_np"], libc[f"{prefix}addclosefrom_np"]
    open_file, duplicate = libc[f"{prefix}addopen"], libc[f"{prefix}adddup2"]
    start = libc["posix_spawn"]
    init.argtypes = destroy.argtypes = [pointer]
    chdir.argtypes = [pointer, text]
    close_from.argtypes = [pointer, number]
    open_file.argtypes = [pointer, number, text, number, ctypes.c_uint]
    duplicate.argtypes = [pointer, number, number]
    start.argtypes = [pointer, text, pointer, pointer, pointer, pointer]
    attributes = _attributes(libc)
    devnull = os.devnull.encode()

    def spawn(
        argv: Sequence[str],
        path: str,
        workdir: str,
        environment: Sequence[bytes],
        files: tuple[int, int, int],
        pid: ctypes.c_int,
    ) -> None:
        arguments = [os.fsencode(argument) for argument in argv]
        if any(b"\0" in argument for argument in arguments):
            msg = f"no program can be given a NUL character: {list(argv)!r}"
            raise ValueError(msg)
        actions = _Room()
        failed = init(actions)
        try:
            failed = failed or chdir(actions, os.fsencode(workdir))
            if files[0] == subprocess.DEVNULL:
                failed = failed or open_file(actions, 0, devnull, os.O_RDONLY, 0)
            else:
                failed = failed or duplicate(actions, files[0], 0)
            failed = failed or duplicate(actions, files[1], 1) or duplicate(actions, files[2], 2)
            failed = failed or close_from(actions, 3)
            failed = failed or start(
                ctypes.byref(pid),
                os.fsencode(path),
                actions,
                attributes,
                (text * (len(arguments) + 1))(*arguments),
                (text * (len(environment) + 1))(*environment),
            )
        finally:
            destroy(actions)
        if failed:
            pid.value = 0
            raise OSError(failed, os.strerror(failed))

    return spawn


def _attributes(libc: ctypes.CDLL) -> ctypes.Array[ctypes.c_char]:
    """Return what is the same for all: a new session, and the signals that Python ignores as usual."""
    signals, attributes = _Room(), _Room()
    libc["sigemptyset"](signals)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        libc["sigaddset"](signals, int(number))
    failed = (
        libc["posix_spawnattr_init"](attributes)
        or libc["posix_spawnattr_setsigdefault"](attributes, signals)
        or libc["posix_spawnattr_setflags"](attributes, ctypes.c_short(_SETSIGDEF | _SETSID))
    )
    if failed:
        raise OSError(failed, os.strerror(failed))
    return attributes
