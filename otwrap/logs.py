"""Logs: one file a logger, and a decorator that logs what a function raises."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

__all__ = ["Debug", "create_logger"]

StrPath = str | os.PathLike[str]
P = ParamSpec("P")
R = TypeVar("R")

_FORMAT = "%(asctime)s - process %(process)d - %(levelname)s - %(message)s"
_PREFIX = "otwrap:"
_LONGEST_VALUE = 2000


def create_logger(logfile: StrPath, loglevel: int | str | None = None) -> logging.Logger:
    """Return the logger of a file.

    Parameters
    ----------
    logfile : path
        Made absolute now, so that a later change of the current directory does not move it.
        Records are added at its end. It is opened, and its folder made, when the first record comes.
    loglevel : int or str, optional
        The lowest level that is logged, as :mod:`logging` names it. Default is ``logging.INFO`` for
        a new logger, and no change for one that is there.

    Returns
    -------
    logger : logging.Logger
        The same one for the same file. It does not pass its records on to other loggers.

    Raises
    ------
    TypeError, ValueError
        `logfile` is no path, or `loglevel` no level.

    Notes
    -----
    Several processes may log to one file: each record is one write at the end of the file, and says
    which process it comes from. (A network file system may not keep them apart.)

    Examples
    --------
    >>> import os, tempfile
    >>> import otwrap as otw
    >>> logger = otw.create_logger(os.path.join(tempfile.mkdtemp(), "beam.log"))
    >>> logger.info("10 points to go")
    """
    path = _resolved(logfile)
    logger = logging.getLogger(_PREFIX + path)
    if not any(isinstance(handler, _AppendHandler) for handler in logger.handlers):
        logger.addHandler(_AppendHandler(path))
        logger.propagate = False
        logger.setLevel(logging.INFO)
    if loglevel is not None:
        logger.setLevel(loglevel)
    return logger


def _resolved(logfile: StrPath) -> str:
    """The absolute path of a log file, the same for all the ways to write it."""
    if not isinstance(logfile, (str, os.PathLike)):
        raise TypeError(f"a log file is given as a path (str or pathlib.Path), not {type(logfile).__name__}")
    if not os.fspath(logfile):
        raise ValueError("the path of the log file is empty; give one such as 'wrapper.log'")
    return str(Path(logfile).expanduser().resolve())


class _AppendHandler(logging.Handler):
    """Write each record whole, in one call, at the end of a file that nothing keeps open."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.baseFilename = path
        self.setFormatter(logging.Formatter(_FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        """Open, append, close: a record is rare, and nothing is shared between processes so."""
        try:
            data = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            try:
                file = os.open(self.baseFilename, flags, 0o666)
            except FileNotFoundError:
                Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
                file = os.open(self.baseFilename, flags, 0o666)
            try:
                os.write(file, data)
            finally:
                os.close(file)
        except Exception:
            # The log must not hide the error that it is to tell; logging says so on stderr.
            self.handleError(record)


class Debug:
    """Decorate a function so that what it raises is logged, with its arguments, and raised on.

    Parameters
    ----------
    logger : path or logging.Logger
        The log file, see :func:`create_logger`, or a logger of one's own. A path is made absolute
        now, and nothing is opened before the first error.
    loglevel : int or str, optional
        The lowest level that the logger takes. Default is that of :func:`create_logger`.

    Raises
    ------
    TypeError
        `logger` is neither of these, or what is decorated cannot be called.

    Notes
    -----
    The decorated function works as a method too, and can be pickled wherever the function itself
    could be, with its log file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import otwrap as otw
    >>> log = pathlib.Path(tempfile.mkdtemp()) / "func.log"
    >>> @otw.Debug(log)
    ... def inverse(x):
    ...     return 1 / x
    >>> inverse(0)
    Traceback (most recent call last):
        ...
    ZeroDivisionError: division by zero
    >>> "inverse(0)" in log.read_text()
    True
    """

    def __init__(self, logger: StrPath | logging.Logger, loglevel: int | str | None = None) -> None:
        self._logfile: str | None = None
        self._loglevel = loglevel
        if isinstance(logger, logging.Logger):
            self._logger = logger
            if loglevel is not None:
                logger.setLevel(loglevel)
            # By name alone a logger of ours would reach another process without its file.
            if logger.name.startswith(_PREFIX):
                self._logfile = logger.name[len(_PREFIX) :]
                self._loglevel = logger.level
        elif isinstance(logger, (str, os.PathLike)):
            self._logger = create_logger(logger, loglevel)
            self._logfile = _resolved(logger)
        else:
            raise TypeError(_refusal(logger))

    @property
    def logger(self) -> logging.Logger:
        """The logger that gets the errors."""
        return self._logger

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._logfile is not None:
            del state["_logger"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._logfile is not None:
            self._logger = create_logger(self._logfile, self._loglevel)

    def __call__(self, func: Callable[P, R]) -> Callable[P, R]:
        """Return the function, decorated.

        Parameters
        ----------
        func : callable
            A function or a method.

        Returns
        -------
        debugged : callable
            It takes and returns the same, and has the same name and documentation.
        """
        if not callable(func):
            raise TypeError(_no_function(func))
        # No globals in here: pickled by value with a function of a script, they would stay behind.
        log = self._log

        @functools.wraps(func)
        def debugged(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return func(*args, **kwargs)
            except Exception:
                log(func, args, kwargs)
                raise

        return debugged

    def _log(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Log the exception that is being handled."""
        error = sys.exc_info()[1]
        name = getattr(func, "__qualname__", type(func).__name__)
        values = [_text(value) for value in args] + [f"{key}={_text(value)}" for key, value in kwargs.items()]
        self._logger.error(
            "%s in %s(%s)",
            type(error).__name__,
            name,
            ", ".join(values),
            exc_info=True,
        )


def _refusal(logger: object) -> str:
    """What Debug says to a wrong logger."""
    hint = "; write @Debug('wrapper.log'), not @Debug" if callable(logger) else ""
    accepted = "a log file (str or pathlib.Path) or a logging.Logger"
    return f"Debug takes {accepted}, not {type(logger).__name__}{hint}"


def _no_function(func: object) -> str:
    """What Debug says to what it cannot decorate."""
    hint = "; put Debug below @classmethod" if isinstance(func, classmethod) else ""
    return f"Debug decorates a function or a method, not {type(func).__name__}{hint}"


def _text(value: Any) -> str:
    """A value in words, all digits of a point included, of bounded length."""
    try:
        text = repr(_plain(value))
    except Exception:  # whatever it raises, it must not take the place of the error to log
        return f"<{type(value).__name__}, which has no repr>"
    if len(text) > _LONGEST_VALUE:
        text = f"{text[:_LONGEST_VALUE]}... ({len(text)} characters)"
    return text


def _plain(value: Any) -> Any:
    """Arrays, points and samples as lists: their own repr rounds their numbers."""
    module = type(value).__module__.partition(".")[0]
    if module == "numpy" and hasattr(value, "tolist"):
        return (value[:_LONGEST_VALUE] if value.ndim else value).tolist()
    if module == "openturns" and hasattr(value, "__len__") and hasattr(value, "__getitem__"):
        return [_plain(value[index]) for index in range(min(len(value), _LONGEST_VALUE))]
    return value
