"""The record of one evaluation and its key."""

import math
import pickle

import pytest

from otwrap.evaluation import Evaluation, occurrence_key, point_key


def test_key_tells_doubles_apart_by_their_last_bit():
    """Two doubles that print alike in 15 digits are two points."""
    x = 0.1
    assert point_key([x]) != point_key([math.nextafter(x, 1.0)])


def test_key_takes_the_two_zeros_for_one_point():
    """-0.0 and 0.0 are equal, so they are one point."""
    assert point_key([0.0, 1.0]) == point_key([-0.0, 1.0])


def test_match_digits_joins_points_that_differ_by_a_last_bit():
    """Iterates that differ by a last bit between machines can be taken for one point."""
    x, y = 0.3, 0.1 + 0.2
    assert point_key([x]) != point_key([y])
    assert point_key([x], 12) == point_key([y], 12)


def test_key_is_that_of_the_store_of_today():
    """The key of a point never changes: stores of today are read tomorrow."""
    assert point_key([1.0, -2.5]).hex() == "3af1d28e956a740a97c57921d2f2c72f"


def test_occurrences_of_one_point_have_keys_of_their_own():
    """A stochastic model's evaluations of one point are told apart."""
    key = point_key([1.0])
    assert len({occurrence_key(key, n) for n in range(100)}) == 100


def test_record_is_frozen_and_pickles():
    """A record cannot be changed, and crosses process boundaries."""
    evaluation = Evaluation((1.0,), (2.0,), exit_code=0)
    with pytest.raises(AttributeError):
        evaluation.status = "failed"
    assert pickle.loads(pickle.dumps(evaluation)) == evaluation
