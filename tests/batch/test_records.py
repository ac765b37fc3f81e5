"""Record files: every whole line comes back bit for bit, and nothing else does."""

import json
import math
import os
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from otwrap import Evaluation
from otwrap.batch.records import RecordFile, evaluation_of, fields_of


@pytest.fixture
def path(tmp_path):
    """The path of a file that is not there."""
    return str(tmp_path / "1.rec")


def through(record, path):
    """Return a record after it was written and read."""
    with RecordFile(path) as file:
        file.write("done", 7, *fields_of(record, "n1", "/there"))
    ((what, number, *fields),) = RecordFile.read(path).entries
    assert (what, number) == ("done", 7)
    return evaluation_of(record.point, fields, "n1", "/here")


@pytest.mark.parametrize("value", [0.1 + 0.2, 5e-324, -0.0, 1.7976931348623157e308, 1 / 3, 1e22])
def test_doubles_come_back_bit_for_bit(path, value):
    """What is read has the same bits as what was written."""
    record = Evaluation((value,), (value, -value), host="n1")
    found = through(record, path)
    assert [struct.pack("<d", y) for y in found.output] == [struct.pack("<d", y) for y in record.output]


def test_nan_that_is_allowed_comes_back(path):
    """An output that may be nan or infinite is one afterwards."""
    found = through(Evaluation((1.0,), (math.nan, math.inf)), path)
    assert math.isnan(found.output[0]) and found.output[1] == math.inf


def test_failures_come_back_whole(path):
    """Status, cause, text in any language, measures and settings are kept; a kept folder is found below ours."""
    record = Evaluation(
        (1.0,),
        None,
        "failed",
        "exit code",
        "Konvergenz nicht erreicht: ε > 1e-6\n  | \x00 line 2",
        1.5,
        0.25,
        4096,
        7,
        2,
        "another",
        "/there/kept/run-1",
        1.0e9,
        {"timeout": 60.0},
    )
    assert through(record, path) == record._replace(workdir="/here/kept/run-1")


def test_torn_tail_is_left_out(path):
    """A line that was cut off is no record, and what stands before it is."""
    with RecordFile(path) as file:
        file.write("begin", 0, 1, 0.0)
        file.write("begin", 1, 1, 0.0)
    size = os.path.getsize(path)
    for cut in range(1, 28):
        os.truncate(path, size - cut)
        assert [entry[1] for entry in RecordFile.read(path).entries] == [0]


def test_reading_goes_on_where_it_stopped(path):
    """What was torn when it was read first is read when it is whole."""
    with RecordFile(path) as file:
        file.write("begin", 0, 1, 0.0)
        with open(path, "ab") as other:
            other.write(b"0000")
        first = RecordFile.read(path)
        with open(path, "r+b") as other:
            other.truncate(first.position)
        file.write("begin", 1, 1, 0.0)
    assert [entry[1] for entry in RecordFile.read(path, first.position).entries] == [1]


def test_changed_bytes_are_noticed(path):
    """One changed digit makes the line no record, and is counted; the others are read."""
    with RecordFile(path) as file:
        for number in range(3):
            file.write("done", number, [2.5])
    file = Path(path)
    file.write_bytes(file.read_bytes().replace(b"1,[2.5]", b"1,[2.6]"))
    found = RecordFile.read(path)
    assert [entry[1] for entry in found.entries] == [0, 2]
    assert found.damaged == 1


def test_a_line_is_a_checksum_and_json(path):
    """Anybody can read the file without otwrap."""
    with RecordFile(path) as file:
        file.write("end", "")
    digits, _, text = Path(path).read_bytes().rstrip(b"\n").partition(b" ")
    assert int(digits, 16) == zlib.crc32(text) and json.loads(text) == ["end", ""]


def test_nobody_else_has_the_file(path):
    """Two runs of one task never write to one file."""
    with RecordFile(path), pytest.raises(FileExistsError):
        RecordFile(path)


def test_what_was_written_survives_kill_9(path):
    """A process that is killed has lost no line for which `write` had returned."""
    code = (
        "import sys; from otwrap.batch.records import RecordFile\n"
        "file = RecordFile(sys.argv[1])\n"
        "for number in range(10**6):\n"
        "    file.write('begin', number, 1, 0.0); print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True) as process:
        for _ in range(200):
            last = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            last = int(line)
    numbers = [entry[1] for entry in RecordFile.read(path).entries]
    assert numbers == list(range(len(numbers))) and len(numbers) > last
