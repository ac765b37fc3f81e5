"""`otwrap store`: who made it, merging, removing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from otwrap.cli.group import otwrap as otwrap_group
from otwrap.evaluation import Evaluation, point_key
from otwrap.store import Store

PRINTS = {"input": "a", "run": "b", "parsers": "c"}


def run(*arguments: object, answer: str | None = None) -> Result:
    """Run `otwrap store` in this process."""
    return CliRunner().invoke(otwrap_group, ["store", *map(str, arguments)], input=answer)


def run_json(*arguments: object) -> Any:
    """Run `otwrap store ... --json` and return what it says."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def made(path: Path, *evaluations: Evaluation, **changed: str) -> Path:
    """Make a store, or add to it."""
    with Store(path) as store:
        store.select(["a", "b"], ["y"], {**PRINTS, **changed}, on_change="rerun")
        store.put_many([(point_key(evaluation.point), evaluation) for evaluation in evaluations])
    return path


def done(a: float, y: float, start: float = 1.0) -> Evaluation:
    """Return a good record."""
    return Evaluation((a, 0.0), (y,), host="machine", start_time=start)


def failed(a: float, start: float = 1.0, **more: Any) -> Evaluation:
    """Return a bad record."""
    return Evaluation((a, 0.0), None, "failed", "exit code", "oh no", start_time=start, **more)


def items(path: Path) -> dict[float, tuple[str, tuple[float, ...] | None]]:
    """Return status and output by the first input."""
    with Store(path, readonly=True) as store:
        store.select_last()
        return {e.point[0]: (e.status, e.output) for _, e in store.items()}


def test_the_store_says_who_made_it(tmp_path: Path) -> None:
    """Fingerprints, versions, host and time stand there for each model."""
    path = made(tmp_path / "s", done(1.0, 2.0))
    made(path, done(1.0, 3.0), done(2.0, 3.0), run="new")
    old, new = run_json("show", path)
    assert (old["run"], old["points"], new["run"], new["points"]) == ("b", 1, "new", 2)
    assert {"otwrap", "openturns", "numpy", "python", "host", "since"} <= new["makers"][0].keys()
    text = run("show", path).stdout
    assert "model 2: a, b -> y: 2 points" in text and "fingerprints: input a, run new" in text


def test_a_whole_store_is_called_so(tmp_path: Path) -> None:
    """Nothing is wrong with a store that was closed; a missing one is told."""
    path = made(tmp_path / "s", done(1.0, 2.0), failed(2.0), failed(2.0))
    found = run_json("check", path)
    assert (found["records"], found["points"], found["models"], found["problems"], found["remarks"]) == (
        3,
        2,
        1,
        [],
        [],
    )
    assert run("check", tmp_path / "none").exit_code == 1


def test_stores_are_merged_and_conflicts_told(tmp_path: Path) -> None:
    """Good points of all stores are there; of two answers the newer one counts, and both are told."""
    into = made(
        tmp_path / "into",
        done(1.0, 10.0),
        failed(2.0),
        done(3.0, 30.0, 5.0),
        done(4.0, 40.0, 1.0),
        done(5.0, 50.0),
    )
    other = made(
        tmp_path / "other",
        done(1.0, 10.0),
        done(2.0, 20.0),
        done(3.0, 31.0, 1.0),
        done(4.0, 41.0, 5.0),
        failed(5.0, 9.0),
        done(6.0, 60.0),
    )
    before = other.read_bytes()
    told = run_json("merge", into, other)
    assert {name: told[name] for name in ("added", "mended", "known")} == {
        "added": 1,
        "mended": 1,
        "known": 2,
    }
    assert [(c["kept"]["output"], c["left"]["output"]) for c in told["conflicts"]] == [
        ([30.0], [31.0]),
        ([41.0], [40.0]),
    ]
    expected = {1.0: 10.0, 2.0: 20.0, 3.0: 30.0, 4.0: 41.0, 5.0: 50.0, 6.0: 60.0}
    assert items(into) == {a: ("done", (y,)) for a, y in expected.items()}
    assert other.read_bytes() == before
    again = run_json("merge", into, other)
    assert (again["added"], again["mended"]) == (0, 0)
    assert items(into) == {a: ("done", (y,)) for a, y in expected.items()}


def test_a_merge_may_make_the_store(tmp_path: Path) -> None:
    """Several stores make a new one, with the makers of all."""
    one, two = made(tmp_path / "one", done(1.0, 1.0)), made(tmp_path / "two", done(2.0, 2.0))
    assert run("merge", tmp_path / "new", one, two).exit_code == 0
    assert items(tmp_path / "new") == {1.0: ("done", (1.0,)), 2.0: ("done", (2.0,))}


def test_other_models_are_not_merged(tmp_path: Path) -> None:
    """A store of another command is refused, and nothing is written or made."""
    one, two = made(tmp_path / "one", done(1.0, 1.0)), made(tmp_path / "two", done(2.0, 2.0), run="new")
    before = one.read_bytes()
    for into in (one, tmp_path / "fresh"):
        result = run("merge", into, *([two] if into == one else [one, two]))
        assert result.exit_code == 1
        assert "the command or the declared version" in result.stderr
    assert one.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    assert "given twice" in run("merge", one, one).stderr


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--id", "1", "--id", "3"], {2.0, 4.0}),
        (["--status", "failed"], {1.0, 2.0}),
        (["--cause", "exit code", "--between", "a", "3.5", "9"], {1.0, 2.0, 3.0}),
        (["--between", "a", "2", "3"], {1.0, 4.0}),
        (["--all"], set()),
    ],
)
def test_what_was_chosen_is_removed_and_the_rest_is_kept(
    tmp_path: Path, options: list[str], left: set[float]
) -> None:
    """By number, status, cause or region; a dry run says it first, and removes nothing."""
    path = made(tmp_path / "s", done(1.0, 1.0), done(2.0, 2.0), failed(3.0), failed(4.0))
    before = items(path)
    assert run_json("remove", path, *options, "--dry-run")["points"] == 4 - len(left)
    assert items(path) == before
    assert run("remove", path, *options, answer="n\n").exit_code == 1
    assert items(path) == before
    assert run("remove", path, *options, "--yes").exit_code == 0
    assert items(path) == {a: value for a, value in before.items() if a in left}
    assert run("check", path).exit_code == 0


def test_a_removed_point_is_forgotten_with_its_former_failures(tmp_path: Path) -> None:
    """No older record comes up in place of a removed one; other models keep theirs."""
    path = made(tmp_path / "s", failed(1.0), done(1.0, 1.0), done(2.0, 2.0))
    made(path, done(1.0, 5.0), run="new")
    made(path)
    assert run("remove", path, "--between", "a", "1", "1", "--model", "1", "--yes").exit_code == 0
    old, new = run_json("show", path)
    assert (old["points"], new["points"]) == (1, 1)
    assert run("remove", path, "--model", "9", "--all", "--yes").exit_code == 1


def test_kept_folders_are_told_or_removed_and_only_those_of_otwrap(tmp_path: Path) -> None:
    """A work directory goes with --folders; a folder that a stranger's store names, or an imported one, never does."""
    folders = [tmp_path / "run-1", tmp_path / "precious", tmp_path / "run-old"]
    for folder in folders:
        folder.mkdir()
        (folder / "data").touch()
    records = [
        failed(float(i), workdir=os.fspath(f), host="import" * (i == 2)) for i, f in enumerate(folders)
    ]
    path = made(tmp_path / "s", *records)
    told = run_json("remove", path, "--all", "--dry-run", "--folders")
    assert told["folders_left"] == [os.fspath(folders[0])]
    assert run("remove", path, "--all", "--yes", "--folders").exit_code == 0
    assert [folder.exists() for folder in folders] == [False, True, True]


@pytest.mark.parametrize(
    "options",
    [[], ["--all", "--id", "1"], ["--between", "c", "0", "1"], ["--id", "77"], ["--status", "lost"]],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, options: list[str]) -> None:
    """No criterion, contradictory ones, no such input or record: nothing is removed."""
    path = made(tmp_path / "s", done(1.0, 1.0))
    assert run("remove", path, *options, "--yes").exit_code == 2
    assert items(path) == {1.0: ("done", (1.0,))}
