"""Where failures lie: what is said is true, and nothing is said where there is nothing."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from otwrap.separation import Region, separating

NAMES = [f"x{i}" for i in range(10)]


@pytest.mark.parametrize("failed", [2, 10, 60, 500, 950])
@pytest.mark.parametrize("levels", [None, 4])
def test_silent_where_there_is_nothing(failed: int, levels: int | None) -> None:
    """Failures spread at random over 1000 points and 10 inputs are explained by none of these."""
    said = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        points = generator.random((1000, 10)) if levels is None else generator.integers(0, levels, (1000, 10))
        said += bool(separating(NAMES, points[:failed], points[failed:]))
    assert said <= 5


def planted(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points, and which of them failed: most above 412 of the first input, few elsewhere."""
    generator = np.random.default_rng(seed)
    points = generator.random((1000, 10)) * [500.0, *[1.0] * 9]
    return points, np.where(points[:, 0] > 412.0, 0.6, 0.03) > generator.random(1000)


def test_planted_half_line_is_found() -> None:
    """A region in which most points fail is found, near its true end, and nothing else is named."""
    for seed in range(50):
        points, bad = planted(seed)
        (region,) = separating(NAMES, points[bad], points[~bad])
        assert region.input == "x0" and region.high == math.inf
        assert region.low == pytest.approx(412.0, abs=25.0)


def test_planted_interval_is_found() -> None:
    """A pocket in the middle is told as an interval."""
    for seed in range(50):
        generator = np.random.default_rng(seed)
        points = generator.random((1000, 10))
        bad = (abs(points[:, 3] - 0.5) < 0.1) & (generator.random(1000) < 0.5)
        (region,) = separating(NAMES, points[bad], points[~bad])
        assert region.input == "x3"
        assert (region.low, region.high) == pytest.approx((0.4, 0.6), abs=0.05)


def test_the_numbers_are_those_of_the_points() -> None:
    """The counts are what counting gives, at the bounds as they are printed."""
    points, bad = planted(1)
    (region,) = separating(NAMES, points[bad], points[~bad])
    inside = (points[:, 0] > region.low) & (points[:, 0] <= region.high)
    assert (region.failed_inside, region.good_inside) == ((inside & bad).sum(), (inside & ~bad).sum())
    assert (region.failed, region.good) == (bad.sum(), (~bad).sum())
    assert float(region.condition.split(" > ")[1]) == region.low


def test_a_low_side_is_found_too() -> None:
    """Failures at small values are told from above, and the bound belongs to them."""
    points = [[float(i % 10)] for i in range(200)]
    bad = [point for point in points if point[0] <= 2.0]
    good = [point for point in points if point[0] > 2.0]
    (region,) = separating(["n"], bad, good)
    assert str(region) == "100 % of the failures have n <= 2, no good point does"


def test_probability_bounds_the_truth() -> None:
    """The bound holds by enumeration: of all ways to fail 3 of 9 points, few enough look like this."""
    points = np.arange(9.0).reshape(-1, 1)
    p_values = []
    for failed in itertools.combinations(range(9), 3):
        bad = np.isin(np.arange(9), failed)
        regions = separating(["x"], points[bad], points[~bad], level=1.0)
        p_values.append(min((region.p_value for region in regions), default=1.0))
    for p in set(p_values):
        assert np.mean(np.array(p_values) <= p) <= p + 1e-12


def test_few_failures_at_an_end_are_enough() -> None:
    """Three failures of a thousand are explained if they are the three largest."""
    points = np.random.default_rng(0).random((1000, 10))
    order = np.argsort(points[:, 7])
    (region,) = separating(NAMES, points[order[-3:]], points[order[:-3]])
    assert region.input == "x7" and region.p_value < 1e-5


def test_every_look_is_paid_for() -> None:
    """Two failures at the end of 60 points are not enough in four inputs, as in one they are."""
    points = np.c_[np.arange(60.0), np.ones((60, 3))]
    assert separating(NAMES[:4], points[58:], points[:58]) == []
    (region,) = separating(NAMES[:1], points[58:, :1], points[:58, :1])
    assert region.p_value == pytest.approx(8 / 1770)


@pytest.mark.parametrize(
    ("failed", "good"),
    [
        ([], [[1.0]]),
        ([[1.0]], []),
        ([[1.0]], [[0.0]] * 5000),
        ([[2.0]] * 5, [[2.0]] * 50),
        ([[math.inf]] * 9, [[0.0]] * 99),
    ],
)
def test_nothing_to_compare(failed: list[list[float]], good: list[list[float]]) -> None:
    """One failure, no good point, an input that never varies or is infinite: nothing is said."""
    assert separating(["x"], failed, good) == []


def test_as_json_can_say_it() -> None:
    """An open end is null, and all numbers are there."""
    told = Region("T", -math.inf, 0.5, 99, 100, 1, 900, 1e-9).as_dict()
    assert (told["low"], told["high"], told["share_failed"], told["p_value"]) == (None, 0.5, 0.99, 1e-9)
    assert told["text"] == "99 % of the failures have T <= 0.5, less than 1 % of the good points do"
