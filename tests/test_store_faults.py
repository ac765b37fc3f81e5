"""What a store does when the machine is against it: full disks, read-only folders, two drivers, kills."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from otwrap.errors import StoreError
from otwrap.evaluation import Evaluation
from otwrap.store import Store

PRINTS = {"input": "a", "run": "b", "parsers": "c"}

STUDY = """
import sys
import openturns as ot
import otwrap as otw
from otwrap.errors import StoreError

class Model(otw.Wrapper):
    def __init__(self):
        super().__init__(["a"], ["y"])

    def _exec(self, x):
        with open(sys.argv[2], "a") as calls:
            calls.write(f"{x[0]}\\n")
        if sys.argv[3] == "fail":
            raise RuntimeError("a long tail " * 2000)
        return [2 * x[0]]

try:
    with otw.Parallelizer(Model(), "serial", verbosity=False, store=sys.argv[1], on_failure="nan") as f:
        f(ot.Sample([[float(i)] for i in range(100)]))
    print("ended")
except StoreError as error:
    print("StoreError", error)
"""


def opened(path):
    """Open a store for a model of two inputs."""
    store = Store(path)
    store.select(["a", "b"], ["y"], PRINTS)
    return store


def put_many(store, first, count=100):
    """Put records with a text each."""
    store.put_many(
        [
            (b"%d" % i, Evaluation((float(i), 0.0), (1.0,), error="x" * 1000))
            for i in range(first, first + count)
        ]
    )


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder on a disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    """Take all space that is left."""
    with contextlib.suppress(OSError), open(folder / "filler", "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return folder / "filler"


def test_a_disk_that_fills_up_loses_nothing_and_the_same_store_goes_on(small_disk):
    """Put says what is wrong; what it returned for is there, now and later, and once space is back it goes on."""
    store, count = opened(small_disk / "s"), 0
    put_many(store, 0)
    filler = fill(small_disk)
    with pytest.raises(StoreError, match=r"100 evaluation.*is safe.*full.*free some space"):
        for count in range(100, 2000, 100):
            put_many(store, count)
    assert len(store) == count and store.get(b"5").output == (1.0,)
    filler.unlink()
    put_many(store, count)
    store.close()
    with opened(small_disk / "s") as store:
        assert sorted(store.keys()) == sorted(b"%d" % i for i in range(count + 100))


def test_a_store_on_a_full_disk_is_refused_or_served(small_disk):
    """A new store is refused with the reason; a known one still gives its records, and is whole afterwards."""
    with opened(small_disk / "s") as store:
        put_many(store, 0)
    filler = fill(small_disk)
    with pytest.raises(StoreError, match="free some space|No space left"):
        opened(small_disk / "new")
    with contextlib.suppress(StoreError), opened(small_disk / "s") as store:
        assert store.get(b"5").output == (1.0,)
    filler.unlink()
    with opened(small_disk / "s") as store:
        assert len(store) == 100


def test_the_same_script_goes_on_once_there_is_space(small_disk, tmp_path):
    """A study that fills the disk ends with the reason; run again, it does only what was not recorded."""
    calls = tmp_path / "calls"

    def study():
        command = [sys.executable, "-c", STUDY, small_disk / "s", calls, "fail"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "StoreError" in (told := study()) and "is safe" in told
    with Store(small_disk / "s", readonly=True) as store:
        store.select_last()
        there = len(store)
    first = len(calls.read_text().split())
    assert 0 < there < 100 and first in (there, there + 1)
    subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
    assert study() == "ended\n"
    with Store(small_disk / "s", readonly=True) as store:
        store.select_last()
        assert len(store) == 100


LOOK = """
import fcntl, os, sys
from otwrap.errors import StoreError
from otwrap.store import Store
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for readonly in (False, True):
    try:
        with Store(sys.argv[1], readonly=readonly) as store:
            store.select_last()
            print(len(store))
    except StoreError as error:
        print(error)
"""


def looked_at(path):
    """Return what a user without privileges is told who opens a store, for writing and for reading."""
    ended = subprocess.run([sys.executable, "-c", LOOK, path], capture_output=True, text=True, cwd="/")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.fixture
def open_folder(tmp_path):
    """Return a folder that others may enter, whatever is above it."""
    folder = tmp_path / "open"
    folder.mkdir()
    for above in (folder, *folder.parents):
        if above.stat().st_uid == os.getuid() and above != above.parent:
            above.chmod(above.stat().st_mode | 0o055)
    yield folder
    folder.chmod(0o755)


def test_a_store_in_a_folder_that_cannot_be_written_can_be_read(open_folder):
    """Writing is refused with the way out; looking works, and leaves nothing behind."""
    with opened(open_folder / "s") as store:
        put_many(store, 0, 10)
    open_folder.chmod(0o555)
    refused, read = looked_at(open_folder / "s")
    assert "cannot be written" in refused and "give a path in a writable folder" in refused
    assert read == "10"
    assert [path.name for path in open_folder.iterdir()] == ["s"]


def test_a_store_that_cannot_be_written_can_be_read(open_folder):
    """A read-only file in a writable folder is refused as what it is."""
    with opened(open_folder / "s") as store:
        put_many(store, 0, 10)
    (open_folder / "s").chmod(0o444)
    open_folder.chmod(0o777)
    refused, read = looked_at(open_folder / "s")
    assert "mend the permissions" in refused
    assert read == "10"


def test_a_log_without_its_store_is_not_thrown_away(tmp_path):
    """Where the store is gone or empty and its log is not, opening it is refused, and the log stays."""
    with opened(tmp_path / "s") as store:
        put_many(store, 0)
        log = (tmp_path / "s-wal").read_bytes()
    for make in ((tmp_path / "t").touch, lambda: None):
        (tmp_path / "t-wal").write_bytes(log)
        make()
        with pytest.raises(StoreError, match="its log"):
            Store(tmp_path / "t")
        assert (tmp_path / "t-wal").read_bytes() == log
        (tmp_path / "t").unlink(missing_ok=True)


def test_a_table_of_another_program_is_no_store(tmp_path):
    """A database that happens to have a table `meta` is refused, whatever its columns are."""
    import sqlite3

    for number, columns in enumerate(["version", "name, value"]):
        path = tmp_path / str(number)
        with sqlite3.connect(path) as connection:
            connection.execute(f"CREATE TABLE meta ({columns})")
        connection.close()
        with pytest.raises(StoreError, match="no store of otwrap"):
            Store(path)


def test_looking_leaves_no_file_behind(tmp_path):
    """A reader of a store that was closed leaves the folder as it was."""
    opened(tmp_path / "s").close()
    before = (tmp_path / "s").read_bytes()
    with Store(tmp_path / "s", readonly=True) as store:
        store.select_last()
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert (tmp_path / "s").read_bytes() == before


DRIVER = """
import sys, time
from otwrap.evaluation import Evaluation
from otwrap.store import Store
store = Store(sys.argv[1])
store.select(["a", "b"], ["y"], {"input": "a", "run": "b", "parsers": "c"})
store.put(b"%d" % len(store), Evaluation((float(len(store)), 0.0), (1.0,)))
print("written", flush=True)
time.sleep(60)
"""


def test_of_two_drivers_one_is_refused_and_a_killed_one_leaves_no_lock(tmp_path):
    """The second process is told who has the store; when the first is killed with -9 the store is free and whole."""
    path = tmp_path / "s"
    for expected in (1, 2):
        first = subprocess.Popen([sys.executable, "-c", DRIVER, path], stdout=subprocess.PIPE)
        assert first.stdout.readline() == b"written\n"
        second = subprocess.run([sys.executable, "-c", DRIVER, path], capture_output=True, text=True)
        assert second.returncode == 1
        assert f"is being written by process {first.pid}" in second.stderr
        first.send_signal(signal.SIGKILL)
        first.wait()
        first.stdout.close()
        with opened(path) as store:
            assert len(store) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
