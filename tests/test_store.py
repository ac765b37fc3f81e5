"""The record of all evaluations."""

import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from otwrap.errors import StoreError
from otwrap.evaluation import Evaluation, point_key
from otwrap.store import Store

PRINTS = {"input": "a", "run": "b", "parsers": "c"}


def opened(path, **changed):
    """Open a store for a model of two inputs."""
    store = Store(path)
    try:
        store.select(["a", "b"], ["y"], {**PRINTS, **changed})
    except BaseException:
        store.close()
        raise
    return store


def test_a_record_comes_back_bit_for_bit(tmp_path):
    """Every attribute of a record is read as it was written."""
    evaluation = Evaluation(
        (0.1, 1e-308),
        None,
        "failed",
        "exit code",
        "tail é",
        1.5,
        0.25,
        12345,
        7,
        2,
        "host",
        "/tmp/run-1",
        1.7e9,
    )
    with opened(tmp_path / "s") as store:
        store.put(b"k", evaluation)
    with opened(tmp_path / "s") as store:
        assert store.get(b"k") == evaluation
        assert store.known(b"k") == ("failed", 2)


def test_the_last_record_of_a_point_counts(tmp_path):
    """A failure that a later call mended is no failure any more; attempts add up until then."""
    with opened(tmp_path / "s") as store:
        store.put(b"k", Evaluation((1.0, 2.0), None, "failed", attempts=2))
        store.put(b"k", Evaluation((1.0, 2.0), None, "timeout", attempts=1))
        assert store.known(b"k") == ("timeout", 3)
        store.put(b"k", Evaluation((1.0, 2.0), (3.0,)))
        assert store.known(b"k") == ("done", 1)
        assert len(store) == 1


KILLED = """
import os, sys
from otwrap.evaluation import Evaluation
from otwrap.store import Store
store = Store(sys.argv[1])
store.select(["a", "b"], ["y"], {"input": "a", "run": "b", "parsers": "c"})
for i in range(10**6):
    store.put(b"%d" % i, Evaluation((float(i), 0.0), (1.0,)))
    os.write(1, b"%d\\n" % i)
"""


def test_what_put_returned_for_survives_kill_9(tmp_path):
    """Each record that was acknowledged is there after the process was killed in the middle."""
    path = tmp_path / "s"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
    for _ in range(200):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    acknowledged = 200 + len([line for line in rest if line])
    with opened(path) as store:
        assert len(store) in (acknowledged, acknowledged + 1)
        assert all(store.get(b"%d" % i).output == (1.0,) for i in range(acknowledged))


@pytest.mark.parametrize(
    ("name", "words"), [("input", "templates"), ("run", "command"), ("parsers", "parsers")]
)
def test_the_numbers_of_another_model_are_not_served(tmp_path, name, words):
    """A changed template, command, version or parser is refused, and the message says which."""
    opened(tmp_path / "s").close()
    with pytest.raises(StoreError, match=words):
        opened(tmp_path / "s", **{name: "other"})


def test_run_again_on_request_keeps_the_history(tmp_path):
    """With on_change='rerun' the old numbers are not served, and come back with the old model."""
    with opened(tmp_path / "s") as store:
        store.put(b"k", Evaluation((1.0, 2.0), (3.0,)))
    with Store(tmp_path / "s") as store:
        store.select(["a", "b"], ["y"], {**PRINTS, "run": "new"}, on_change="rerun")
        assert store.get(b"k") is None
    with opened(tmp_path / "s") as store:
        assert store.get(b"k").output == (3.0,)


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path):
    """Two drivers on one store: the second is told who has it; looking is always possible."""
    with opened(tmp_path / "s") as store:
        store.put(point_key([1.0, 2.0]), Evaluation((1.0, 2.0), (3.0,)))
        with pytest.raises(StoreError, match=f"process {os.getpid()}"):
            Store(tmp_path / "s")
        with Store(tmp_path / "s", readonly=True) as reader:
            reader.select_last()
            assert [evaluation.output for _, evaluation in reader.items()] == [(3.0,)]


def test_a_foreign_file_is_refused_and_left_alone(tmp_path):
    """A text file, a foreign database and a store of another version are refused untouched."""
    text = tmp_path / "text"
    text.write_text("dear diary, " * 1000)
    foreign = tmp_path / "foreign"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    newer = tmp_path / "newer"
    opened(newer).close()
    with sqlite3.connect(newer) as connection:
        connection.execute("UPDATE meta SET value = '99'")
    connection.close()
    for path in (text, foreign, newer):
        before = path.read_bytes()
        with pytest.raises(StoreError, match=path.name):
            Store(path)
        assert path.read_bytes() == before


def test_a_full_disk_loses_nothing_that_was_recorded(tmp_path):
    """A real limit on the file size ends in a clear error, and the records before it are there."""
    script = """
import resource, signal, sys
from otwrap.errors import StoreError
from otwrap.evaluation import Evaluation
from otwrap.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(sys.argv[1])
store.select(["a", "b"], ["y"], {"input": "a", "run": "b", "parsers": "c"})
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
count = 0
try:
    while True:
        store.put(b"%d" % count, Evaluation((float(count), 0.0), (1.0,), error="x" * 1000))
        count += 1
except StoreError as error:
    print(count, "safe" in str(error))
"""
    path = tmp_path / "s"
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    count, told = ended.stdout.split()
    assert told == "True"
    assert int(count) > 10
    with opened(path) as store:
        assert len(store) == int(count)


def test_a_store_that_is_not_there_cannot_be_read(tmp_path):
    """Looking at a store never makes one."""
    with pytest.raises(StoreError, match="there is no store"):
        Store(tmp_path / "missing", readonly=True)
    assert not (tmp_path / "missing").exists()


def test_a_script_that_forgets_to_close_leaves_the_store_alone(tmp_path):
    """At the end of the process the file is closed and its lock is gone."""
    script = "import sys; from otwrap.store import Store; store = Store(sys.argv[1])"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "s")], check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_store_of_the_first_version_goes_on(tmp_path):
    """It can be read as it is, and is brought up to date when it is written; no record is lost."""
    path = tmp_path / "s"
    with opened(path) as store:
        store.put(b"k", Evaluation((1.0, 2.0), (3.0,)))
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE evaluations DROP COLUMN settings")
        connection.execute("DROP TABLE makers")
        connection.execute("UPDATE meta SET value = '1'")
    connection.close()
    before = path.read_bytes()
    with Store(path, readonly=True) as store:
        store.select_last()
        assert (store.get(b"k").output, store.get(b"k").settings, store.makers()) == ((3.0,), None, [])
    assert path.read_bytes() == before
    with opened(path) as store:
        store.put(b"l", Evaluation((2.0, 2.0), None, "failed", settings={"timeout": 9.0}))
    with opened(path) as store:
        assert store.get(b"k").output == (3.0,)
        assert store.get(b"l").settings == {"timeout": 9.0}
        assert len(store.makers()) == 1


def test_many_records_are_read_as_one_by_one_are(tmp_path):
    """More than a query takes, in any order, twice the same: each is the one of its key."""
    with opened(tmp_path / "s") as store:
        store.put_many([(b"%d" % i, Evaluation((float(i), 0.0), (i / 3,))) for i in range(1200)])
        store.put(b"7", Evaluation((7.0, 0.0), None, "failed"))
        keys = [b"%d" % i for i in (*range(1199, -1, -1), 7, 7)]
        assert store.last_many(keys) == [store.last(key) for key in keys]
        assert store.last_many([]) == []


@pytest.mark.slow
@pytest.mark.parametrize("records", [100_000, 1_000_000])
def test_a_large_store_is_as_quick_as_a_small_one(tmp_path, records):
    """A record costs the same in both within 15 %; a million is opened within 3 s of CPU and 200 MiB."""
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "benchmarks"))
    try:
        import store_scale
    finally:
        sys.path.pop(0)
    *_, ratio = store_scale.growth(tmp_path, records, rounds=61)
    assert ratio < 1.15
    _, opened_in, resumed_in, memory = store_scale.opening(tmp_path / "large.db")
    assert opened_in < 3 and resumed_in < 4 and memory < 200
