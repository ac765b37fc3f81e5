"""Which files go which way: one side writes each, and nothing leads out of the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from otwrap import SchedulerError
from otwrap.remote import RESULTS
from otwrap.remote._sides import (
    Entry,
    chooser,
    ended_points,
    entry_here,
    incoming,
    is_result,
    is_safe_link,
    outgoing,
    tree_here,
    validated,
)

OURS = {
    "README.txt", "submission.json", "design.csv", "model.bin", "model/package/beam.py", "files/0/mesh.dat",
    "jobs/001/script.sh", "jobs/001/script.sub", "jobs/001/point.sh", "jobs/001/tasks.txt", "jobs/001/job.json",
    "jobs/001/attempts.json", "jobs/001/cancelled",
}  # fmt: skip
THEIRS = {
    "jobs/001/id", "jobs/001/records/1.rec", "jobs/001/records/1.longest", "jobs/001/logs/1.txt", "jobs/001/logs/a.sh",
    "kept/run-1/out.txt", "point-000000/exit_code.txt", "point-000000/times.txt", "point-000001/exit_code.new",
}  # fmt: skip
EITHER = {
    "point-000001/beam.xml",
    "point-000001/run.sh",
    "point-000001/a/exit_code.txt",
    "notes.txt",
    "jobs/001/x.log",
}
NOBODYS = {
    ".otwrap-there/point-000000/exit_code.txt", "jobs/001/records/.otwrap-part/1.rec", ".otwrap-lock",
    "jobs/.002-77/script.sh", "earlier/point-000002-1/out.txt",
}  # fmt: skip
OF_AN_ENDED_POINT = {"point-000000/beam.xml", "point-000000/out/big.dat"}


def fill(folder: Path, names: set[str]) -> Path:
    """Write files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def entries(names: set[str], mtime: int = 0) -> dict[str, Entry]:
    """Return what another machine says of such files."""
    return {name: Entry("file", len(name), mtime) for name in names}


def everything(path: str) -> bool:
    """Leave nothing out."""
    return True


def test_what_is_sent(tmp_path: Path) -> None:
    """What is made here is sent, with folders for what is to come; nothing of theirs, nor of a point that has ended."""
    tree = tree_here(fill(tmp_path, OURS | THEIRS | EITHER | NOBODYS | OF_AN_ENDED_POINT))
    ours, either = outgoing(tree)
    assert set(ours) == OURS
    folders = {path for path in either if tree[path].kind == "folder"}
    assert set(either) - folders == EITHER
    assert {"jobs/001/logs", "jobs/001/records"} <= folders
    assert not any(path.startswith(("kept", "earlier", "point-000000", ".otwrap")) for path in folders)


def test_what_is_brought_into_an_empty_folder(tmp_path: Path) -> None:
    """All that is there comes, but for the results, which come first, and points that have not ended."""
    there = entries(OURS | THEIRS | EITHER | NOBODYS | OF_AN_ENDED_POINT)
    found = set(incoming(there, tmp_path, {"point-000000"}, everything, unfinished=False))
    results = {path for path in THEIRS if is_result(path)}
    running = {path for path in EITHER | THEIRS if path.startswith("point-000001")}
    assert found == (OURS | THEIRS | EITHER | OF_AN_ENDED_POINT) - results - running
    also = set(incoming(there, tmp_path, {"point-000000"}, everything, unfinished=True))
    assert also == found | running


def test_what_is_made_here_is_not_replaced(tmp_path: Path) -> None:
    """Whatever they have under such a name, ours stays as it is."""
    fill(tmp_path, OURS)
    assert not incoming(entries(OURS, mtime=2**40), tmp_path, set(), everything, unfinished=True)


def test_the_newer_one_counts(tmp_path: Path) -> None:
    """A file of neither side is brought if it is newer there."""
    fill(tmp_path, {"notes.txt"})
    os.utime(tmp_path / "notes.txt", (1000, 1000))
    for mtime, comes in ((999, False), (1000, False), (1001, True)):
        found = incoming(entries({"notes.txt"}, mtime), tmp_path, set(), everything, unfinished=False)
        assert bool(found) is comes


def test_what_is_theirs_is_replaced(tmp_path: Path) -> None:
    """Logs and outputs come whenever they differ, even if the clock there is late."""
    fill(tmp_path, {"jobs/001/logs/1.txt", "point-000000/out.txt"})
    names = {"jobs/001/logs/1.txt", "point-000000/out.txt"}
    assert set(incoming(entries(names, 5), tmp_path, {"point-000000"}, everything, unfinished=False)) == names
    for name in names:
        os.utime(tmp_path / name, (5.9, 5.9))
    assert not incoming(entries(names, 5), tmp_path, {"point-000000"}, everything, unfinished=False)


def test_patterns_are_those_of_fnmatch() -> None:
    """A star goes over slashes, case counts, and no pattern fits nothing."""
    fits = chooser(["point-*/out[0-9].txt", "*.log"])
    assert [path for path in ("point-1/out1.txt", "point-1/a/out2.txt", "a/b.log", "x.LOG", "out1.txt") if fits(path)] == [
        "point-1/out1.txt", "point-1/a/out2.txt", "a/b.log",
    ]  # fmt: skip
    assert not chooser([])("x")
    assert all(chooser(RESULTS)(path) for path in THEIRS if is_result(path))


def test_an_empty_exit_code_is_just_being_written() -> None:
    """A point has ended when its exit code is there, not only the file for it."""
    names = {
        "point-000000/exit_code.txt": 0,
        "point-000001/exit_code.txt": 2,
        "point-000002/a/exit_code.txt": 2,
    }
    assert ended_points({name: Entry("file", size) for name, size in names.items()}) == {"point-000001"}


@pytest.mark.parametrize(
    ("path", "target", "safe"),
    [
        ("a/b", "../c", True),
        ("a/b", "c/../../d", True),
        ("a/b", "../../c", False),
        ("b", "../c", False),
        ("b", "/etc/passwd", False),
        ("b", "", False),
    ],
)
def test_links_that_stay_inside(path: str, target: str, safe: bool) -> None:
    """A link is one at the other end too if it leads nowhere outside the folder."""
    assert is_safe_link(path, target) is safe


def test_links_are_followed_only_out_of_the_folder(tmp_path: Path) -> None:
    """What a link leads to outside travels with the folder; one that leads round and round does not."""
    outside = fill(tmp_path / "outside", {"mesh/a.dat", "b.dat"})
    here = fill(tmp_path / "here", {"files/0/c.dat"})
    (here / "mesh").symlink_to(outside / "mesh")
    (here / "b.dat").symlink_to(outside / "b.dat")
    (here / "inside").symlink_to("files/0")
    (here / "nothing").symlink_to(outside / "nothing")
    (outside / "mesh" / "round").symlink_to(here)
    os.mkfifo(here / "pipe")
    kinds = {path: entry.kind for path, entry in tree_here(here).items() if "round" not in path}
    assert kinds == {
        "files": "folder", "files/0": "folder", "files/0/c.dat": "file", "mesh": "folder", "mesh/a.dat": "file",
        "b.dat": "file", "inside": "link",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a//b", "", "link/x"])
def test_names_that_lead_out_of_the_folder(path: str) -> None:
    """A machine that names files outside the folder, or below a link that it also sends, is not believed."""
    tree = {"link": Entry("link", target="a"), path: Entry("file")}
    with pytest.raises(SchedulerError, match="could be written anywhere"):
        validated(tree, "cluster:x")


def test_what_is_not_there(tmp_path: Path) -> None:
    """A missing file is nothing, also below what is no folder."""
    fill(tmp_path, {"file"})
    assert entry_here(str(tmp_path / "nothing")) is None
    assert entry_here(str(tmp_path / "file" / "below")) is None
