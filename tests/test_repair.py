"""A damaged store, and what can be saved of it."""

import os
import sqlite3

import pytest
from click.testing import CliRunner

from otwrap.cli.group import otwrap as otwrap_group
from otwrap.errors import StoreError
from otwrap.evaluation import Evaluation, point_key
from otwrap.integrity import check_store
from otwrap.pages import leaf_rows, pages_of
from otwrap.repair import repair
from otwrap.store import Store

PRINTS = {"input": "a", "run": "b", "parsers": "c"}
SIZE = 3000


def record(i, **changed):
    """Return key and record of a point; every tenth one failed, with a long text that needs pages of its own."""
    point = (float(i), i / 7)
    if i % 10 == 0:
        failed = {"error": f"tail {i} é\n" * 900, "host": "machine", "exit_code": 3}
        return point_key(point), Evaluation(point, None, "failed", "exit code", **failed)
    return point_key(point), Evaluation(
        point, (i * 3.0,), wall_time=0.5, cpu_time=1.0, start_time=1.7e9, **changed
    )


def made(path, size=SIZE):
    """Make a store, and return its records by number."""
    with Store(path) as store:
        store.select(["a", "b"], ["y"], PRINTS)
        store.put_many([record(i) for i in range(1, size + 1)])
        return dict(store.items())


def items(path):
    """Return the records of a store by number."""
    with Store(path, readonly=True) as store:
        store.select_last()
        return dict(store.items())


def otwrap(*arguments):
    """Run a command in this process."""
    return CliRunner().invoke(otwrap_group, [os.fspath(argument) for argument in arguments])


def test_pages_are_read_as_sqlite_reads_them(tmp_path):
    """Without damage, reading page by page gives every value of every kind that a query gives."""
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)")
        values = [
            None,
            0,
            1,
            -1,
            127,
            -128,
            2**15,
            -(2**23),
            2**31,
            2**40,
            -(2**62),
            0.1,
            -0.0,
            1e308,
            "",
            "é",
            b"",
            b"\0x",
        ]
        values += ["x" * 4050, "y" * 4061, b"z" * 4062, "long " * 5000]
        connection.executemany("INSERT INTO t (a, b) VALUES (?, ?)", [(a, i) for i, a in enumerate(values)])
        expected = {row[0]: (None, *row[1:]) for row in connection.execute("SELECT * FROM t")}
    connection.close()
    found = {number: tuple(row) for number, row in leaf_rows(pages_of(path)[0]) if len(row) == 3}
    assert repr(found) == repr(expected)


def test_the_log_of_a_killed_driver_is_read_too(tmp_path):
    """Records that are only in the write-ahead log are saved, whether or not the store itself has them."""
    path = tmp_path / "s.db"
    with Store(path) as store:
        store.select(["a", "b"], ["y"], PRINTS)
        store.put_many([record(i) for i in range(1, 200)])
        # What a power cut leaves: both files as they are now.
        copy = tmp_path / "copy.db"
        for suffix in ("", "-wal"):
            (tmp_path / f"copy.db{suffix}").write_bytes((tmp_path / f"s.db{suffix}").read_bytes())
        expected = dict(store.items())
    assert any("-wal" in remark for remark in check_store(copy).remarks)
    repaired = repair(copy, tmp_path / "new.db")
    assert repaired.lost == []
    assert items(repaired.path) == expected


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_store_is_refused_and_repaired(tmp_path, share):
    """A file cut short is a clear error that names the way out; what is left of it is saved, and nothing else."""
    path = tmp_path / "s.db"
    expected = made(path)
    with open(path, "r+b") as file:
        file.truncate(int(os.path.getsize(path) * share))
    before = path.read_bytes()
    with pytest.raises(StoreError, match="otwrap store repair"):
        Store(path)
    result = otwrap("store", "check", path)
    assert result.exit_code == 1 and "malformed" in result.stdout
    result = otwrap("store", "repair", path)
    assert result.exit_code == 1 and "lost: the file was cut off" in result.stdout
    assert path.read_bytes() == before
    saved = items(tmp_path / "s-repaired.db")
    assert saved.items() <= expected.items()
    assert len(saved) >= (share - 0.05) * SIZE
    assert check_store(tmp_path / "s-repaired.db").problems == []


def test_pages_overwritten_in_the_middle_cost_only_their_own_records(tmp_path):
    """Garbage in some pages, the file's header among them, loses the records of these pages; the loss is told."""
    path = tmp_path / "s.db"
    expected = made(path)
    content = bytearray(path.read_bytes())
    content[:100] = b"\xff" * 100
    for page in range(20, 200, 20):
        content[page * 4096 : page * 4096 + 4096] = os.urandom(4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="no SQLite file"):
        Store(path)
    repaired = repair(path)
    saved = items(repaired.path)
    assert saved.items() <= expected.items()
    assert SIZE * 0.9 < len(saved) < SIZE
    assert any("not found" in text for text in repaired.lost)


def test_a_flipped_bit_in_a_point_is_found(tmp_path):
    """A record whose point does not fit its key is told by check and left out by repair."""
    path = tmp_path / "s.db"
    expected = made(path, 50)
    with sqlite3.connect(path) as connection:
        (blob,) = connection.execute("SELECT input FROM evaluations WHERE id = 7").fetchone()
        connection.execute(
            "UPDATE evaluations SET input = ? WHERE id = 7", (bytes([blob[0] ^ 1]) + blob[1:],)
        )
    connection.close()
    assert any("1 of 50 records have a key" in remark for remark in check_store(path).remarks)
    repaired = repair(path)
    assert repaired.records == 49
    assert any("does not fit its key" in text for text in repaired.lost)
    assert items(repaired.path) == {number: value for number, value in expected.items() if number != 7}


def test_records_that_are_wrong_in_themselves_are_told(tmp_path):
    """A status that is none, an output of the wrong size, and a model that is not there are each told by number."""
    path = tmp_path / "s.db"
    made(path, 20)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE evaluations SET status = 'lost' WHERE id = 2")
        connection.execute("UPDATE evaluations SET output = x'00' WHERE id IN (3, 4)")
        connection.execute("UPDATE evaluations SET model = 9 WHERE id = 5")
    connection.close()
    problems = check_store(path).problems
    assert [problem.partition(":")[0] for problem in problems] == ["record 2", "records 3, 4", "record 5"]
    assert otwrap("store", "check", path).exit_code == 1


def test_the_repaired_store_takes_the_place_of_the_damaged_one(tmp_path):
    """With --replace the same script goes on; the damaged file is kept, and its log does not stay behind."""
    path = tmp_path / "s.db"
    made(path)
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)
    damaged = path.read_bytes()
    (tmp_path / "s.db-wal").write_bytes(b"of the damaged file")
    assert otwrap("store", "repair", path, "--replace").exit_code == 1
    assert (tmp_path / "s.db.damaged").read_bytes() == damaged
    assert not (tmp_path / "s.db-wal").exists()
    with Store(path) as store:
        store.select(["a", "b"], ["y"], PRINTS)
        assert len(store) > SIZE // 3


def test_a_store_in_use_is_not_repaired(tmp_path):
    """A store that somebody writes is refused, and so is a target that is there, or a file without records."""
    path = tmp_path / "s.db"
    made(path, 10)
    with Store(path), pytest.raises(StoreError, match="being written"):
        repair(path)
    (tmp_path / "s-repaired.db").touch()
    with pytest.raises(StoreError, match="is there already"):
        repair(path)
    text = tmp_path / "text"
    text.write_text("dear diary, " * 1000)
    with pytest.raises(StoreError, match="nothing in"):
        repair(text)
    assert not (tmp_path / "text-repaired").exists()


def test_records_whose_model_is_lost_are_saved_without_names(tmp_path):
    """Where the page of the models is gone, the numbers are saved all the same, and it is said how to use them."""
    path = tmp_path / "s.db"
    made(path, 500)
    with sqlite3.connect(path) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'models'").fetchone()
    connection.close()
    with open(path, "r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(bytes(4096))
    repaired = repair(path)
    assert repaired.records == 500
    assert any("names of model 1" in text for text in repaired.lost)
    with Store(repaired.path, readonly=True) as store:
        store.select_last()
        assert store.description() == (["x0", "x1"], ["y0"])


def test_removed_records_do_not_come_back(tmp_path):
    """What was removed is overwritten: no repair finds it."""
    path = tmp_path / "s.db"
    made(path)
    assert otwrap("store", "remove", path, "--between", "a", "1", "2000", "--yes").exit_code == 0
    assert repair(path).records == SIZE - 2000
