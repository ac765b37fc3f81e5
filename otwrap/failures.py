"""What a campaign makes of failures: a substitute, another attempt, an error that lists them, or an early end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .errors import SampleError
from .evaluation import STATUSES, Evaluation

__all__ = ["FailureLimit", "allowed_attempts", "failure_text", "failure_value"]

#: Attempts on a point over all calls: a time limit was paid in full each time.
_RERUN = {"failed": 10, "timeout": 2, "killed": 4, "invalid": 10, "cancelled": 1_000_000}

#: How many failed points an error lists.
_SHOWN = 10


def failure_value(on_failure: str | float) -> float | None:
    """Return what stands for the output of a failed point; `None` if an error does.

    Parameters
    ----------
    on_failure : {"raise", "nan"} or float
        The choice.

    Returns
    -------
    value : float or None

    Raises
    ------
    ValueError
        If it is something else.

    Examples
    --------
    >>> failure_value("nan")
    nan
    """
    if on_failure == "raise":
        return None
    if on_failure == "nan":
        return float("nan")
    if isinstance(on_failure, (int, float)) and not isinstance(on_failure, bool):
        return float(on_failure)
    msg = f"on_failure={on_failure!r}: accepted are 'raise', 'nan' and a number"
    raise ValueError(msg)


def allowed_attempts(rerun_failed: bool | int | Mapping[str, int]) -> dict[str, int]:
    """Return up to how many attempts a failed point runs again.

    Parameters
    ----------
    rerun_failed : bool, int or dict
        Whether it does, or how many attempts there are over all calls, for all or by status.

    Returns
    -------
    attempts : dict of int
        By status.

    Raises
    ------
    ValueError
        If there is no such status.

    Examples
    --------
    >>> allowed_attempts(True)["timeout"]
    2
    """
    if isinstance(rerun_failed, Mapping):
        unknown = sorted(set(rerun_failed) - set(STATUSES))
        if unknown:
            msg = f"rerun_failed: {unknown} is no status; accepted are {', '.join(STATUSES[1:])}"
            raise ValueError(msg)
        return {**_RERUN, **rerun_failed}
    if rerun_failed is True:
        return dict(_RERUN)
    return dict.fromkeys(_RERUN, int(rerun_failed))


def failure_text(
    names: Sequence[str], size: int, failures: Sequence[tuple[int, Evaluation]], kept: str
) -> str:
    """Return the text of the error that lists the failed points of a sample.

    Parameters
    ----------
    names : sequence of str
        Input description.
    size : int
        Of the sample.
    failures : sequence of (int, Evaluation)
        Index in the sample and record.
    kept : str
        Where the others are.

    Returns
    -------
    text : str
    """
    lines = [
        f"{len(failures)} of {size} points failed; the other {size - len(failures)} are done and kept in {kept}. "
        "Run again to try the failed ones again, or choose on_failure='nan' or a value.",
        *_listed(names, failures),
    ]
    return "\n".join(lines)


class FailureLimit:
    """When a campaign is hopeless.

    Parameters
    ----------
    max_failures : int, float or None
        How many points of a sample may fail, or which fraction of them; `None` for all.

    Raises
    ------
    ValueError
        If it is negative, or a fraction above 1.

    Examples
    --------
    >>> FailureLimit(0.1).reached(21, 200)
    True
    """

    def __init__(self, max_failures: int | float | None) -> None:
        good = max_failures is None or (
            not isinstance(max_failures, bool)
            and max_failures >= 0
            and (isinstance(max_failures, int) or max_failures <= 1)
        )
        if not good:
            msg = (
                f"max_failures={max_failures!r}: accepted are None, a number of points as 20, "
                "and a fraction of the sample as 0.1"
            )
            raise ValueError(msg)
        self.max_failures = max_failures

    def reached(self, failed: int, size: int) -> bool:
        """Return whether more points failed than may.

        Parameters
        ----------
        failed : int
            How many did.
        size : int
            Of the sample.

        Returns
        -------
        reached : bool
        """
        limit = self.max_failures
        return limit is not None and failed > (limit if isinstance(limit, int) else limit * size)

    def error(
        self,
        names: Sequence[str],
        size: int,
        done: int,
        failures: Sequence[tuple[int, Evaluation]],
        kept: str,
    ) -> SampleError:
        """Return the error that ends a campaign.

        Parameters
        ----------
        names : sequence of str
            Input description.
        size : int
            Of the sample.
        done : int
            How many points are done.
        failures : sequence of (int, Evaluation)
            Index in the sample and record.
        kept : str
            Where the records are.

        Returns
        -------
        error : SampleError
        """
        causes = Counter(evaluation.cause or evaluation.status for _, evaluation in failures)
        counted = ", ".join(f"{cause} ({count})" for cause, count in causes.most_common(3))
        lines = [
            f"stopped early: {len(failures)} of {size} points failed, more than max_failures={self.max_failures!r} "
            f"allows: {counted}. {done} are done and kept in {kept}; the rest was not run. "
            "Mend the cause and run again, or raise max_failures.",
            *_listed(names, failures),
        ]
        return SampleError("\n".join(lines), list(failures))


def _listed(names: Sequence[str], failures: Sequence[tuple[int, Evaluation]]) -> list[str]:
    """Return a line for each of the first failed points."""
    lines = [f"- point {i}: {_described(names, evaluation)}" for i, evaluation in failures[:_SHOWN]]
    more = [f"- and {len(failures) - _SHOWN} more: see campaign.failures()"] if len(failures) > _SHOWN else []
    return lines + more


def _described(names: Sequence[str], evaluation: Evaluation) -> str:
    """Return one failed point in words: its values, and why."""
    values = ", ".join(f"{name}={value!r}" for name, value in zip(names, evaluation.point, strict=False))
    text = evaluation.error.replace("\n", "\n    ")
    return f"{values}: {evaluation.status} ({evaluation.cause}): {text}"
