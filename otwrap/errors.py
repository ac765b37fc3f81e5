"""What can go wrong, and what it is called.

::

    OtwrapError
    ├─ EvaluationError            one point failed; also the parent of the three steps' errors
    │  ├─ InputError              preparing: token missing, left over, given twice; number that does not fit
    │  ├─ CommandError            running: exit code, signal, memory limit, failure pattern
    │  │  └─ CommandTimeout       the time limit was reached (also TimeoutError)
    │  └─ OutputError             parsing: file missing or empty, no match, not a number, out of range
    ├─ SampleError                some points of a sample failed; lists them
    ├─ BackendError               where the evaluations run
    │  ├─ BackendUnavailable      a package or a service is missing (also ImportError)
    │  └─ SchedulerError          a batch system refused
    └─ StoreError                 other wrapper, other schema, corrupted, in use

OpenTURNS hands over only the text of what is raised inside a function, so each message is whole in
itself: the wrong value, where, what is accepted, what to do. Every error can be pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .evaluation import Evaluation

__all__ = [
    "BackendError",
    "BackendUnavailable",
    "CommandError",
    "CommandTimeout",
    "EvaluationError",
    "InputError",
    "OtwrapError",
    "OutputError",
    "SampleError",
    "SchedulerError",
    "StoreError",
]


class OtwrapError(Exception):
    """The root of all errors of otwrap."""


class EvaluationError(OtwrapError):
    """The evaluation of one point failed.

    Parameters
    ----------
    message : str
        The whole story: the value, where, what is accepted, what to do.
    status : str, optional
        One of :data:`otwrap.evaluation.STATUSES`; default is that of the class.
    cause : str, optional
        One of :data:`otwrap.evaluation.CAUSES`; default is that of the class.
    """

    #: The status that an evaluation ended by this error gets, unless the instance says otherwise.
    status: str = "failed"
    #: The finer reason, unless the instance says otherwise.
    cause: str = "exception"

    def __init__(self, message: str = "", status: str | None = None, cause: str | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status
        if cause is not None:
            self.cause = cause


class InputError(EvaluationError):
    """The input files could not be written as asked."""

    cause = "input"


class CommandError(EvaluationError):
    """The command failed.

    Parameters
    ----------
    message, status, cause
        As in :class:`EvaluationError`.
    exit_code : int, optional
        What the process returned; negative for a signal.
    """

    cause = "exit code"

    def __init__(
        self,
        message: str = "",
        status: str | None = None,
        cause: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(message, status, cause)
        self.exit_code = exit_code


class CommandTimeout(CommandError, TimeoutError):
    """The command reached its time limit."""

    status = "timeout"
    cause = "time limit"


class OutputError(EvaluationError):
    """The output of the code could not be read."""

    cause = "output"


class SampleError(OtwrapError):
    """Some points of a sample failed; all others were finished and recorded.

    Parameters
    ----------
    message : str
        Which points, why, and what to do.
    failures : sequence of (int, Evaluation)
        Index in the sample and record of each failed point.
    """

    def __init__(self, message: str = "", failures: list[tuple[int, Evaluation]] | None = None) -> None:
        super().__init__(message)
        self.failures = failures or []


class BackendError(OtwrapError):
    """A backend could not do its work."""


class BackendUnavailable(BackendError, ImportError):
    """A backend needs a package or a service that is not there."""


class SchedulerError(BackendError):
    """A batch queueing system refused."""


class StoreError(OtwrapError):
    """A store cannot be used."""
