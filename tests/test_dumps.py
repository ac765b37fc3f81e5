"""What `otwrap.dumps` promises."""

from __future__ import annotations

import gzip
import os
import pickle
from collections import namedtuple
from pathlib import Path

import numpy as np
import openturns as ot
import pytest

from otwrap.dumps import DumpError, dump_array, load_array
from otwrap.errors import OtwrapError


@pytest.fixture
def file(tmp_path):
    """The path of a dump that is not there yet."""
    return tmp_path / "dump.pkl"


@pytest.fixture
def mark(tmp_path):
    """A file that only malicious code would write."""
    return tmp_path / "run-by-a-pickle"


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def described_sample():
    """A sample with all that can be said about it."""
    sample = ot.Sample([[1 / 3, -0.0], [5e-324, 1e308]])
    sample.setDescription(["a <&>", "é"])
    sample.setName("X")
    return sample


ARRAYS = [
    np.array([[1 / 3, -0.0], [np.nan, np.inf]]),
    np.arange(6, dtype=">i2").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(10.0)[::2],
    np.array([True, False]),
    np.array([1 + 2j]),
    np.array(3.0),
    np.zeros((0, 3)),
    np.float32(0.1),
    np.int64(3),
    np.bool_(True),
]
OTHERS = [
    1 / 3,
    10**30,
    True,
    1j,
    [],
    [1, (2.5, [3])],
    ot.Point([1 / 3, 2]),
    ot.Point(),
    ot.Sample(0, 3),
    ot.PointWithDescription([("a", 1.0)]),
    described_sample(),
]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("protocol", [None, 2, 3, 4, 5])
@pytest.mark.parametrize("array", ARRAYS)
def test_arrays_come_back_bit_for_bit(file, array, compress, protocol):
    """An array or scalar of any numeric dtype, order or shape; of any protocol, as others write it."""
    if protocol is None:
        dump_array(array, file, compress=compress)
    else:
        data = pickle.dumps(array, protocol)
        file.write_bytes(gzip.compress(data) if compress else data)
    got = load_array(file)
    assert type(got) is type(array)
    assert (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_a_loaded_array_can_be_written_to(file):
    """An array is the reader's own."""
    dump_array(np.zeros(3), file)
    got = load_array(file)
    got[0] = 1
    assert got.tolist() == [1, 0, 0]


@pytest.mark.parametrize("protocol", [None, 2, 5])
@pytest.mark.parametrize("value", OTHERS)
def test_numbers_points_and_samples_come_back(file, value, protocol):
    """Type, values, description and name are those that were dumped."""
    if protocol is None:
        dump_array(value, file)
    else:
        file.write_bytes(pickle.dumps(value, protocol))
    got = load_array(file)
    assert type(got) is type(value)
    assert got == value
    for name in ("getDescription", "getName"):
        if hasattr(value, name):
            assert getattr(got, name)() == getattr(value, name)()


def test_lists_of_arrays_keep_what_they_share(file):
    """One array named twice is one array again."""
    array = np.zeros(3)
    dump_array([array, ot.Point([1.0]), array], file)
    got = load_array(file)
    assert got[0] is got[2]
    assert got[1] == ot.Point([1.0])


def test_the_spelling_of_numpy_1_is_read(file):
    """A dump written with numpy 1 names `numpy.core`."""
    data = pickle.dumps(np.array([1.5]), 2)
    assert b"numpy._core" in data or b"numpy.core" in data
    for name in (b"numpy.core", b"numpy._core"):
        file.write_bytes(data.replace(b"numpy._core", b"numpy.core").replace(b"numpy.core", name))
        assert load_array(file) == np.array([1.5])


def test_a_dump_of_python_2_is_read(file):
    """Protocol 2 of Python 2 has the bytes as a string."""
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03"
        b"(K\x01K\x01\x85cnumpy\ndtype\nq\x04U\x02f8K\x00K\x01\x87Rq\x05(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x08\x00\x00\x00\x00\x00\x00\xf8?tb."
    )
    file.write_bytes(data)
    assert load_array(file).tolist() == [1.5]


def test_npy_files_are_read(tmp_path):
    """A .npy file is fine too, unless it has objects in it."""
    np.save(tmp_path / "a.npy", np.array([1.5]))
    assert load_array(tmp_path / "a.npy").tolist() == [1.5]
    np.save(tmp_path / "s.npy", np.array(["x"]))
    with pytest.raises(DumpError, match="dtype <U1"):
        load_array(tmp_path / "s.npy")


def test_the_slides_calls(tmp_path, monkeypatch):
    """Dump and load as the slides write them; the extension alone compresses too."""
    monkeypatch.chdir(tmp_path)
    X = ot.Sample([[1.0, 2.0]])
    dump_array(np.array(X), "InputSample.pklz", compress=True)
    assert ot.Sample(load_array("InputSample.pklz")) == X
    dump_array(X, "other.pklz")
    assert Path("other.pklz").read_bytes()[:2] == b"\x1f\x8b"
    assert load_array("other.pklz") == X


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("compress", [True, False])
def test_compression_is_seen_in_the_content(file, compress, flag):
    """Whatever the flag and the extension say, the file is read."""
    dump_array(np.array([1.0]), file, compress)
    assert (file.read_bytes()[:2] == b"\x1f\x8b") == compress
    assert load_array(file, flag).tolist() == [1.0]
    assert load_array(str(file), compressed=flag).tolist() == [1.0]


def test_each_others_keyword_is_accepted_with_a_warning(file):
    """`compressed=` of dump and `compress=` of load work, and say how to write it."""
    with pytest.warns(DeprecationWarning, match="write compress="):
        dump_array(1.0, file, compressed=True)
    assert file.read_bytes()[:2] == b"\x1f\x8b"
    with pytest.warns(DeprecationWarning, match="leave it out"):
        assert load_array(file, compress=True) == 1.0


def test_a_dump_is_a_plain_pickle_of_protocol_2(file):
    """otwrapy, and anybody, can read it."""
    dump_array(np.array([1.5]), file)
    assert file.read_bytes()[:2] == b"\x80\x02"
    assert pickle.loads(file.read_bytes()).tolist() == [1.5]


def malicious(mark):
    """Pickles that write a file when they are loaded carelessly."""
    command = f"touch {mark}"
    yield Calls(os.system, command)
    yield [1.0, Calls(os.system, command)]
    yield np.array([Calls(os.system, command)], dtype=object)
    yield Calls(eval, f"__import__('os').system({command!r})")
    yield Calls(getattr, Calls(__import__, "os"), "system")
    yield Calls(np.load, command)
    yield Calls(np.dtype, Calls(os.system, command))
    yield Calls(np.ndarray, (1,), np.dtype("O"))
    yield Calls(ot.Sample, Calls(os.system, command))
    yield Calls(pickle.loads, pickle.dumps(Calls(os.system, command)))


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_malicious_pickle_runs_nothing(file, mark, number, protocol):
    """Whatever a pickle says to call, alone or inside accepted things, is refused and not called."""
    data = pickle.dumps(list(malicious(mark))[number], protocol)
    file.write_bytes(data)
    with pytest.raises(DumpError, match="load_array reads"):
        load_array(file)
    assert not mark.exists()


def test_the_malicious_pickles_are_malicious(mark):
    """Loaded with pickle they do write the file: the test above could fail."""
    pickle.loads(pickle.dumps(next(malicious(mark))))
    assert mark.exists()


class Evil(ot.OpenTURNSPythonFunction):
    """A function whose instance pickles as a call of os.system."""

    command = ""

    def __init__(self):
        super().__init__(1, 1)

    def _exec(self, x):
        return x

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_sample_whose_study_has_a_function_runs_nothing(file, mark, monkeypatch):
    """OpenTURNS unpickles the Python functions in a sample's own XML; they never get there."""
    monkeypatch.setattr(Evil, "command", f"touch {mark}")
    state = ot.Function(Evil()).__getstate__()
    file.write_bytes(pickle.dumps(Calls(ot.Sample), 2)[:-1] + pickle.dumps(state, 2)[2:-1] + b"b.")
    with pytest.raises(DumpError, match="where a SampleImplementation is announced"):
        load_array(file)
    assert not mark.exists()
    pickle.loads(file.read_bytes())
    assert mark.exists()  # so that it would have been run


@pytest.mark.parametrize(
    "change",
    [
        (b'size="2"', b'size="4"'),
        (b'size="2"', b'size="1"'),
        (b'size="2"', b'size="999999999999"'),
        (b'size="2"', b'size="-1"'),
        (b"<openturns", b"<!DOCTYPE x [<!ENTITY e 'x'>]><openturns"),
        (b"instance", b"other"),
    ],
)
def test_a_point_that_lies_about_itself_is_refused(file, change):
    """A length that is not that of the numbers would crash OpenTURNS; entities are not read."""
    state = ot.Point([1.0, 2.0]).__getstate__()
    state["xmldata"] = state["xmldata"].replace(*change)
    file.write_bytes(pickle.dumps(Calls(ot.Point), 2)[:-1] + pickle.dumps(state, 2)[2:-1] + b"b.")
    with pytest.raises(DumpError, match="dump.pkl"):
        load_array(file)


def test_an_empty_sample_of_huge_size_is_refused(file):
    """No memory is asked for a sample that says it is huge and has nothing."""
    for change in ((b'dimension_="3"', b'dimension_="999999999999"'), (b'size_="0"', b'size_="-1"')):
        state = ot.Sample(0, 3).__getstate__()
        state["xmldata"] = state["xmldata"].replace(*change)
        file.write_bytes(pickle.dumps(Calls(ot.Sample), 2)[:-1] + pickle.dumps(state, 2)[2:-1] + b"b.")
        with pytest.raises(DumpError):
            load_array(file)


@pytest.mark.parametrize("change", [(b"K\x02\x85", b"K\x7f\x85"), (b"f8", b"f4"), (b"f8", b"O8")])
def test_an_array_that_lies_about_itself_is_refused(file, change):
    """A shape or dtype that the bytes do not have is told, not read past their end."""
    data = pickle.dumps(np.array([1.0, 2.0]), 2)
    assert change[0] in data
    file.write_bytes(data.replace(*change))
    with pytest.raises(DumpError, match="has an array of"):
        load_array(file)


def test_endless_lists_are_refused(file):
    """A list in itself, and one of 2 to the 100 items, end at once."""
    endless = []
    endless.append(endless)
    file.write_bytes(pickle.dumps(endless, 2))
    with pytest.raises(DumpError, match="deep"):
        load_array(file)
    with pytest.raises(TypeError, match="deep"):
        dump_array(endless, file)
    wide = [1.0]
    for _ in range(40):
        wide = [wide, wide]
    file.write_bytes(pickle.dumps(wide, 2))
    got = load_array(file)
    assert got[0] is got[1]


@pytest.mark.parametrize("compress", [False, True])
def test_a_truncated_file_is_told_by_its_name(file, compress):
    """Cut anywhere, a dump gives a clear error."""
    dump_array(np.arange(100.0), file, compress=compress)
    whole = file.read_bytes()
    for end in (0, 1, 2, 5, 20, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:end])
        with pytest.raises(DumpError, match="dump.pkl"):
            load_array(file)


def test_what_is_no_dump_is_told(file):
    """A text file is told to be no dump."""
    file.write_text("1.0 2.0\n")
    with pytest.raises(DumpError, match="is no dump, or it is damaged"):
        load_array(file)


def test_the_error_is_of_both_families(file):
    """It can be caught as otwrap's and as pickle's, and says what was found."""
    file.write_bytes(pickle.dumps(namedtuple))
    for family in (OtwrapError, pickle.UnpicklingError):
        with pytest.raises(family, match="asks for collections.namedtuple, which is refused"):
            load_array(file)
    error = pickle.loads(pickle.dumps(DumpError("text")))
    assert (type(error), str(error)) == (DumpError, "text")


def test_a_missing_file_is_missing(file):
    """As for any file."""
    with pytest.raises(FileNotFoundError):
        load_array(file)


REFUSED = [
    "text",
    b"bytes",
    None,
    {"a": 1},
    {1},
    [None],
    [1, ["x"]],
    np.array(["x"]),
    np.array([None]),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    np.ma.array([1.0]),
    np.datetime64("2020-01-01"),
    namedtuple("Pair", "a b")(1, 2),
    ot.Normal(),
    ot.SymbolicFunction("x", "x"),
    len,
]


@pytest.mark.parametrize("value", REFUSED, ids=str)
def test_what_load_refuses_dump_refuses(file, value):
    """It is refused with its type and what is accepted, and the file is left as it is."""
    file.write_text("old")
    with pytest.raises(TypeError, match="dump_array writes numpy arrays"):
        dump_array(value, file)
    assert file.read_text() == "old"
    try:
        file.write_bytes(pickle.dumps(value, 2))
    except (TypeError, pickle.PicklingError, AttributeError):
        return
    with pytest.raises(DumpError, match="load_array reads numpy arrays"):
        load_array(file)
