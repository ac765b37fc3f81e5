"""Where failures lie: the ranges of single inputs that separate failed points from good ones.

For each input the points are sorted by its value. Among all half-lines, the one is taken for which the share
of the failed points in it exceeds the share of the good points most (the statistic of Kolmogorov and
Smirnov), and likewise among all intervals (that of Kuiper). It counts only if chance would hardly do the same.
Points that are spread at random say nothing about any input, and then nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Region", "separating"]

#: The probability that anything is said about points that failed at random.
LEVEL = 0.01
#: By how much the share of the failed points has to exceed that of the good ones.
LEAST = 0.2
#: By how much an interval has to be better than a half-line.
BETTER = 0.1

_Array = np.ndarray[Any, Any]


class Region(NamedTuple):
    """A range of one input that has many of the failed points and few of the good ones.

    Attributes
    ----------
    input : str
        Its name.
    low, high : float
        The range: above `low`, and up to `high` included; infinite where it is open.
    failed_inside, failed : int
        Failed points in the range, and in all.
    good_inside, good : int
        Good points in the range, and in all.
    p_value : float
        A bound of the probability that failures spread at random do the same anywhere in any input.

    Examples
    --------
    >>> print(Region("T", 412.0, float("inf"), 83, 100, 36, 900, 1e-60))
    83 % of the failures have T > 412, 4 % of the good points do
    """

    input: str
    low: float
    high: float
    failed_inside: int
    failed: int
    good_inside: int
    good: int
    p_value: float

    @property
    def share_failed(self) -> float:
        """The share of the failed points that lie in the range."""
        return self.failed_inside / self.failed

    @property
    def share_good(self) -> float:
        """The share of the good points that lie in the range."""
        return self.good_inside / self.good

    @property
    def condition(self) -> str:
        """The range in words.

        Examples
        --------
        >>> Region("T", 0.5, 1.25, 1, 1, 0, 9, 0.0).condition
        '0.5 < T <= 1.25'
        """
        if math.isinf(self.high):
            return f"{self.input} > {_number(self.low)}"
        low = "" if math.isinf(self.low) else f"{_number(self.low)} < "
        return f"{low}{self.input} <= {_number(self.high)}"

    def as_dict(self) -> dict[str, Any]:
        """Return all numbers by name, as JSON can say them: `None` where the range is open."""
        open_ends = {name: None for name in ("low", "high") if math.isinf(getattr(self, name))}
        shares = {"share_failed": self.share_failed, "share_good": self.share_good}
        return {**self._asdict(), **open_ends, **shares, "text": str(self)}

    def __str__(self) -> str:
        if 0 < self.good_inside < self.good:
            rest = f"{_percent(self.good_inside, self.good)} of the good points do"
        else:
            rest = "all good points do" if self.good_inside else "no good point does"
        failed = _percent(self.failed_inside, self.failed)
        return f"{failed} of the failures have {self.condition}, {rest}"


def separating(inputs: Sequence[str], failed: Any, good: Any, *, level: float = LEVEL) -> list[Region]:
    """Return the ranges that separate failed points from good ones, the best first.

    Parameters
    ----------
    inputs : sequence of str
        The input description.
    failed : 2-d sequence of float, shape (failed points, input dimension)
        The points that failed.
    good : 2-d sequence of float, shape (good points, input dimension)
        Those that did not.
    level : float, optional
        The probability, at most, that anything is returned for failures spread at random, whatever the
        distribution of the points. Default is 0.01.

    Returns
    -------
    regions : list of Region
        One at most for an input; none where there is nothing to be said.

    Notes
    -----
    For failures spread at random, the rank of the n-th failed point has a negative hypergeometric law, so that
    each range that ends at failed points has an exact probability. There are two half-lines a failed point
    and one interval a pair of them; the probability is multiplied by how many there are, in all inputs.

    Examples
    --------
    >>> points = [[i / 10, (7 * i) % 10] for i in range(100)]
    >>> regions = separating(["T", "p"], points[80:], points[:80])
    >>> print(*regions)
    100 % of the failures have T > 7.9, no good point does
    """
    bad, fine = _table(failed, len(inputs)), _table(good, len(inputs))
    if len(bad) < 2 or not len(fine):
        return []
    is_bad = np.r_[np.ones(len(bad), dtype=bool), np.zeros(len(fine), dtype=bool)]
    columns = zip(inputs, np.r_[bad, fine].T, strict=True)
    best = [_best(name, column, is_bad, len(inputs), level) for name, column in columns]
    return sorted([region for region in best if region is not None], key=_excess, reverse=True)


def _table(points: Any, dimension: int) -> _Array:
    """Return points as an array, also if there are none."""
    return np.asarray(points, dtype=float).reshape(-1, dimension)


def _best(name: str, column: _Array, is_bad: _Array, dimension: int, level: float) -> Region | None:
    """Return the best range of an input, None if there is none worth a word."""
    if not np.isfinite(column).all():
        return None
    order = np.argsort(column, kind="stable")
    values, bad = column[order], is_bad[order]
    # Points with the same value lie on the same side.
    ends = np.flatnonzero(np.r_[values[1:] != values[:-1], True]) + 1
    failed = np.r_[0, np.cumsum(bad)[ends - 1]]
    total = np.r_[0, ends]
    bounds = np.r_[-math.inf, values[ends - 1]]
    line, interval = _candidates(failed / failed[-1] - (total - failed) / (total[-1] - failed[-1]))
    # Half-lines and intervals are both looked at: each kind gets half of the probability.
    count = int(failed[-1])
    ways = 2.0 * dimension
    found = [_region(name, line, failed, total, bounds, ways * 2 * count)]
    if interval[0] > 0 and interval[1] < len(ends):
        found.append(_region(name, interval, failed, total, bounds, ways * count * (count - 1) / 2))
    sure = [region for region in found if region is not None and region.p_value <= level]
    return max(sure, key=lambda region: _excess(region) + BETTER * (region is found[0]), default=None)


def _excess(region: Region) -> float:
    """Return by how much the share of the failed points exceeds that of the good ones."""
    return region.share_failed - region.share_good


def _candidates(excess: _Array) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the best half-line and the best interval, as positions between which they lie."""
    last = len(excess) - 1
    low, high = int(np.argmax(excess)), int(np.argmin(excess))
    line = (0, low) if excess[low] >= -excess[high] else (high, last)
    end = int(np.argmax(excess - np.minimum.accumulate(excess)))
    return line, (int(np.argmin(excess[: end + 1])), end)


def _region(
    name: str, place: tuple[int, int], failed: _Array, total: _Array, bounds: _Array, ways: float
) -> Region | None:
    """Return the range between two positions, None if it separates too little."""
    first, last = place
    if first >= last or (first == 0 and last == len(bounds) - 1):
        return None
    interval = first > 0 and last < len(bounds) - 1
    inside, size = int(failed[last] - failed[first]), int(total[last] - total[first])
    count, everything = int(failed[-1]), int(total[-1])
    # The distance of two failed points has the law of the rank of one.
    p = _tail(inside - interval, size - interval, count, everything)
    low = -math.inf if first == 0 else _between(*bounds[first : first + 2])
    high = math.inf if last == len(bounds) - 1 else _between(*bounds[last : last + 2])
    region = Region(name, low, high, inside, count, size - inside, everything - count, min(1.0, ways * p))
    return region if _excess(region) >= LEAST else None


def _tail(least: int, drawn: int, marked: int, everything: int) -> float:
    """Return the probability of so many marked ones or more among those drawn (hypergeometric law)."""
    most = min(drawn, marked)
    if least <= max(0, drawn + marked - everything):
        return 1.0
    first = (
        _log_binomial(marked, least)
        + _log_binomial(everything - marked, drawn - least)
        - _log_binomial(everything, drawn)
    )
    x = np.arange(least, most, dtype=float)
    ratios = (marked - x) * (drawn - x) / ((x + 1.0) * (everything - marked - drawn + x + 1.0))
    terms = np.r_[0.0, np.cumsum(np.log(ratios))]
    largest = float(terms.max())
    return min(1.0, math.exp(first + largest + math.log(float(np.exp(terms - largest).sum()))))


def _log_binomial(n: int, k: int) -> float:
    """Return the logarithm of a binomial coefficient."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _between(low: float, high: float) -> float:
    """Return the number with the fewest digits that is at least `low` and less than `high`."""
    low, high = float(low), float(high)
    middle = low + (high - low) / 2.0
    for digits in range(1, 17):
        rounded = [float(f"{value:.{digits}g}") for value in (middle, low)]
        fitting = [value for value in rounded if low <= value < high]
        if fitting:
            return min(fitting, key=lambda value: len(_number(value)))
    return low


def _number(value: float) -> str:
    """Return a bound as a person writes it."""
    return repr(int(value)) if value.is_integer() and abs(value) < 1e6 else repr(float(value))


def _percent(part: int, whole: int) -> str:
    """Return a share in percent; neither 0 nor 100 unless it is that."""
    share = 100.0 * part / whole
    if 0 < part < whole:
        if share < 1.0:
            return "less than 1 %"
        if share > 99.0:
            return "more than 99 %"
    return f"{share:.0f} %"
