"""What a task needs: words that are the same for every batch system."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from otwrap.schedulers import Resources, seconds_of_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (5400, 5400),
        (0.5, 0.5),
        ("1:30:00", 5400),
        ("100:00:00", 360000),
        ("1-00:00:00", 86400),
        ("90m", 5400),
        ("90 min", 5400),
        ("2h", 7200),
        ("1.5h", 5400),
        (".5 h", 1800),
        ("1d 2h 3m 4s", 93784),
        ("2D", 172800),
        (None, None),
    ],
)
def test_time(text: Any, seconds: float | None) -> None:
    """A time is read in all the forms that people write."""
    assert seconds_of_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["90", "1:30", "", "h", "2 hours", "1:90:00", "-1h", "1e3", "1h30", "inf", "nan"]
)
def test_time_that_could_mean_several_things(text: str) -> None:
    """A text without a unit, or that is none, is refused with what is accepted."""
    with pytest.raises(ValueError, match=r"time=.*'90m'"):
        seconds_of_time(text)


@pytest.mark.parametrize("number", [0, -5, float("nan"), float("inf")])
def test_time_that_is_no_limit(number: float) -> None:
    """Zero, a negative number, infinity and what is no number are no limits."""
    with pytest.raises(ValueError, match="more than 0"):
        Resources(time=number)


@pytest.mark.parametrize(
    ("memory", "size"),
    [("4 GB", 4 * 10**9), ("500 MB", 5 * 10**8), ("4G", 4 << 30), ("1.5GiB", 3 << 29), (1 << 20, 1 << 20)],
)
def test_memory(memory: Any, size: int) -> None:
    """Memory is read as elsewhere in otwrap: GB are powers of 1000, G and GiB of 1024."""
    assert Resources(memory=memory).memory == size


@pytest.mark.parametrize("memory", [4, "4", "100 kB", "4 apples", -1])
def test_memory_in_a_wrong_unit(memory: Any) -> None:
    """Four bytes were meant to be something else."""
    with pytest.raises(ValueError, match="memory="):
        Resources(memory=memory)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpus": 0},
        {"cpus": True},
        {"cpus": "4"},
        {"cpus": 1.5},
        {"nodes": 0},
        {"exclusive": "no"},
        {"time": True},
        {"time": [1]},
        {"partition": ""},
        {"partition": 3},
        {"partition": "short\n#SBATCH --exclusive"},
        {"partition": 'a" --exclusive "'},
        {"account": "$HOME"},
        {"account": "`id`"},
        {"constraint": "a\\"},
        {"setup": 3},
        {"setup": ["a\nb"]},
        {"setup": [1]},
        {"extra": ["--a\r#SBATCH --b"]},
        {"extra": {"a": 1}},
    ],
)
def test_wrong_values(wrong: dict[str, Any]) -> None:
    """A value that is none, or could get out of its line, is refused by name."""
    with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
        Resources(**wrong)


def test_set_up_as_one_text() -> None:
    """A text of several lines is a list of them; empty ones are left out."""
    assert Resources(setup="module purge\n\nmodule load beam\n").setup == ("module purge", "module load beam")


def test_as_a_table_and_back() -> None:
    """Resources survive JSON and pickle; a table has what differs from the defaults."""
    resources = Resources(time="1.5h", cpus=2, memory="4 GB", setup=["a", "b"], exclusive=True)
    table = json.loads(json.dumps(resources.as_dict()))
    assert Resources.from_dict(table) == resources == pickle.loads(pickle.dumps(resources))
    assert Resources().as_dict() == {}


def test_other_values() -> None:
    """Some words are replaced and the others stay; None takes a word back."""
    resources = Resources(time="1h", cpus=2)
    assert resources.replaced(time="2h", memory="1 GB") == Resources(time="2h", cpus=2, memory="1 GB")
    assert resources.replaced(time=None, cpus=None) == Resources()


@pytest.mark.parametrize(("word", "meant"), [("tme", "time"), ("cpu", "cpus"), ("mem", "memory")])
def test_unknown_word(word: str, meant: str) -> None:
    """A word that is none is refused, with the nearest one and all others."""
    with pytest.raises(ValueError, match=rf"no '{word}'; did you mean '{meant}'\?.*partition"):
        Resources.from_dict({word: 1})


def test_immutable() -> None:
    """Resources cannot be changed by accident."""
    with pytest.raises(AttributeError):
        Resources().cpus = 3  # type: ignore[misc]
