"""Where a guardian is killed with all the rest, the next one does what it had to do."""

import os
import subprocess
import sys
import time

import pytest
from kills import wait_for

from otwrap.guardian import Journal, begin_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are guardians on Linux only")

DRIVER = """
import sys
from otwrap.command import Command
from otwrap.process import run
run(Command("true"), sys.argv[1])
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder for temporary files of the processes that a test starts."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def left_behind(place, pid, begin, *lines):
    """Leave a journal as a guardian that was killed does, and return its file."""
    journal = Journal(str(place), f"{pid}-abc-{begin}")
    journal.note(b"".join(line + b"\n" for line in lines))
    (path,) = place.glob("otwrap-guardians-*/*")
    journal.close()
    return path


@pytest.fixture
def next_guardian(tmp_path_factory, place):
    """Return a function that has a process start a guardian, which ends soon after it."""
    folder = tmp_path_factory.mktemp("run")
    return lambda: subprocess.run([sys.executable, "-c", DRIVER, folder], check=True)


def test_folders_of_the_dead_are_removed(tmp_path, place, dead, next_guardian):
    """Those that were told of and not taken back, and the journal with them; no others."""
    for name in ("stray", "kept", "other"):
        (tmp_path / name / "sub").mkdir(parents=True)
    stray, kept = bytes(tmp_path / "stray"), bytes(tmp_path / "kept")
    journal = left_behind(place, dead, "1", b"+" + stray, b"+" + kept, b"-" + kept)
    next_guardian()
    wait_for(lambda: not journal.exists(), 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "other", "tmp"]
    wait_for(lambda: not any(place.iterdir()), 5)
    assert list(place.iterdir()) == []


def test_processes_of_the_dead_are_ended(place, dead, next_guardian):
    """A run that was alone with its guardian is found by what its environment says."""
    run = subprocess.Popen(["sleep", "60"], env={**os.environ, "OTWRAP_RUN": f"{dead}-abc-1."})
    left_behind(place, dead, "1")
    next_guardian()
    assert run.wait(10) < 0


@pytest.mark.parametrize("case", ["alive", "guarded", "not ours alone"])
def test_folders_of_the_living_stay(tmp_path, place, dead, case, next_guardian):
    """Nothing is touched while process or guardian live, or where others could have written the journal."""
    folder = tmp_path / "work"
    folder.mkdir()
    begin = begin_of("self")
    pid = os.getpid() if case == "alive" else dead
    if case == "guarded":
        journal = Journal(str(place), f"{pid}-abc-1")
        journal.note(b"+" + bytes(folder) + b"\n")
        assert journal.lock()
    else:
        path = left_behind(place, pid, begin, b"+" + bytes(folder))
        if case == "not ours alone":
            path.parent.chmod(0o777)
    next_guardian()
    time.sleep(0.5)
    assert folder.exists()


def test_another_process_of_the_same_number(tmp_path, place, next_guardian):
    """A number that the system gave away again is not taken for the process that had it before."""
    folder = tmp_path / "work"
    folder.mkdir()
    left_behind(place, os.getpid(), "1", b"+" + bytes(folder))
    next_guardian()
    wait_for(lambda: not folder.exists(), 5)
    assert not folder.exists()


def test_a_journal_stays_small(place):
    """However many folders come and go, the file is written anew before it fills a disk."""
    journal = Journal(str(place), f"{os.getpid()}-abc-1")
    journal.note(b"+/kept\n")
    for number in range(3000):
        journal.note(b"+/%0900d\n-/%0900d\n" % (number, number))
    (path,) = place.glob("otwrap-guardians-*/*")
    assert path.stat().st_size < 2 << 20
    assert b"+/kept\n" in path.read_bytes()
    assert journal.folders == {b"/kept"}
    journal.remove()
    assert list(place.iterdir()) == []
