"""Ctrl-C in a function that OpenTURNS calls.

While one of its functions runs, OpenTURNS has a handler of its own for Ctrl-C, which throws a C++ exception. Thrown
while Python waits, as it does for the codes most of the time, that exception ends the process by a segmentation
fault. And what Python raises in a function arrives as a RuntimeError, so that a script would not end as an
interrupted one does.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import sys
import threading
from types import TracebackType

__all__ = ["be_interruptible", "end_as_interrupted"]


def be_interruptible() -> None:
    """Have Ctrl-C raise `KeyboardInterrupt` in a function that OpenTURNS calls, as anywhere else in Python.

    Python's handler stays until OpenTURNS has returned: its own one, where the code of its callbacks is not
    prepared for it, ends the process as well. Where Ctrl-C is ignored, as in a script that a shell runs in the
    background, it stays ignored.

    Examples
    --------
    >>> be_interruptible()
    """
    handler = signal.getsignal(signal.SIGINT)
    # None is a handler that somebody set in C, and only the main thread can set one.
    if handler is not None and threading.current_thread() is threading.main_thread():
        # Python believes that its handler is there; this makes it so.
        signal.signal(signal.SIGINT, handler)


def end_as_interrupted() -> None:
    """Have the script end as one does at Ctrl-C, once the error that OpenTURNS makes of it ends the script.

    To be called when a `KeyboardInterrupt` is on its way into OpenTURNS. A script that catches the error goes on.

    Examples
    --------
    >>> former, sys.excepthook = sys.excepthook, sys.__excepthook__
    >>> end_as_interrupted()
    >>> sys.excepthook is sys.__excepthook__
    False
    >>> sys.excepthook = former
    """
    former = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not (issubclass(kind, RuntimeError) and _says_interrupt(str(error))):
            former(kind, error, traceback)
            return
        former(KeyboardInterrupt, KeyboardInterrupt(), traceback)
        # A signal does not wait for what is done at exit, and nothing else tells the shell.
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)

    if getattr(former, "__qualname__", "") != hook.__qualname__:
        sys.excepthook = hook


def _says_interrupt(text: str) -> bool:
    """Whether the text of an error is what OpenTURNS makes of an interrupt: its traceback, or next to nothing."""
    return "KeyboardInterrupt" in text or not text.removeprefix("InternalException").strip(" :\n")
