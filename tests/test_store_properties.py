"""Whatever doubles, names and texts: a store gives back what it was given, bit for bit."""

import math
import struct
import tempfile
from pathlib import Path

import pytest

from otwrap.errors import StoreError
from otwrap.evaluation import STATUSES, Evaluation, occurrence_key, point_key, point_keys
from otwrap.integrity import check_store
from otwrap.repair import repair
from otwrap.store import Store

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

doubles = st.floats(width=64)
finite = st.floats(allow_nan=False, allow_infinity=False)
# SQLite and files cannot hold half of a surrogate pair.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
names = st.lists(texts.filter(bool), min_size=1, max_size=5, unique=True)


def bits(values):
    """Return doubles as bytes, so that -0.0 and nan are told apart."""
    return None if values is None else struct.pack(f"<{len(values)}d", *values)


def same(one, other):
    """Whether two records are the same to the last bit."""
    return (bits(one.point), bits(one.output), one[2:]) == (bits(other.point), bits(other.output), other[2:])


@st.composite
def records(draw, inputs, outputs):
    """Return a record of a model with so many inputs and outputs."""
    status = draw(st.sampled_from(STATUSES))
    output = tuple(draw(st.lists(doubles, min_size=outputs, max_size=outputs))) if status == "done" else None
    return Evaluation(
        tuple(draw(st.lists(finite, min_size=inputs, max_size=inputs))),
        output,
        status,
        "" if status == "done" else draw(texts),
        draw(texts),
        draw(st.floats(0.0, 1e9)),
        draw(st.none() | st.floats(0.0, 1e9)),
        draw(st.none() | st.integers(0, 2**62)),
        draw(st.none() | st.integers(-255, 255)),
        draw(st.integers(1, 100)),
        draw(texts),
        draw(st.none() | texts),
        draw(st.floats(0.0, 1e10)),
    )


@st.composite
def studies(draw):
    """Return input and output description, and records."""
    inputs, outputs = draw(names), draw(names)
    return inputs, outputs, draw(st.lists(records(len(inputs), len(outputs)), max_size=8))


@given(studies())
@few
def test_what_is_put_comes_back_from_the_file(study):
    """Closed and opened again, the store has the last record of each point with all its bits, and is whole."""
    inputs, outputs, given_records = study
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "s.db"))
        with Store(path) as store:
            store.select(inputs, outputs, {"run": "a"})
            for record in given_records:
                store.put(point_key(record.point), record)
        last = {point_key(record.point): record for record in given_records}
        with Store(path) as store:
            store.select(inputs, outputs, {"run": "a"})
            assert store.keys() == last.keys()
            assert all(same(store.get(key), record) for key, record in last.items())
            assert store.description() == (inputs, outputs)
        found = check_store(path)
        assert (found.problems, found.records, found.points) == ([], len(given_records), len(last))
        if given_records:
            repaired = repair(path)
            assert (repaired.records, repaired.lost) == (len(given_records), [])


@given(studies())
@few
def test_attempts_add_up_the_same_before_and_after(study):
    """What a running store knows of a point is what one that is opened later knows."""
    inputs, outputs, given_records = study
    keys = [b"%d" % (i % 3) for i in range(len(given_records))]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "s.db"))
        with Store(path) as store:
            store.select(inputs, outputs, {})
            store.put_many(list(zip(keys, given_records, strict=True))[:4])
            store.put_many(list(zip(keys, given_records, strict=True))[4:])
            before = {key: store.known(key) for key in store.keys()}  # noqa: SIM118
        with Store(path, readonly=True) as store:
            store.select_last()
            # In one commit the records that are done are written first, and so read first.
            assert {key: store.known(key) for key in store.keys()} == before  # noqa: SIM118


@given(st.binary(max_size=20_000), st.integers(0, 20_000), st.integers(0, 60_000))
@few
def test_no_damage_makes_a_record_up(garbage, start, cut):
    """Whatever overwrites a file, wherever it is cut: nothing comes out that was not put in, and nothing crashes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.db")
        with Store(path) as store:
            store.select(["a"], ["y"], {})
            put = {point_key((i / 3,)): Evaluation((i / 3,), (i * 1.5,)) for i in range(300)}
            store.put_many(list(put.items()))
        content = bytearray(path.read_bytes())
        content[start : start + len(garbage)] = garbage
        path.write_bytes(content[: len(content) - cut % len(content)])
        check_store(str(path))
        try:
            repaired = repair(str(path))
        except StoreError:
            return
        with Store(repaired.path, readonly=True) as store:
            store.select_last()
            for _, key, record in store.entries():
                assert record.point == put[key].point
                # What overwrites an output and nothing else cannot be told from an output.
                assert garbage or record == put[key]


@given(st.lists(finite, min_size=1, max_size=5), st.lists(finite, min_size=1, max_size=5))
def test_a_key_is_that_of_the_bits(one, other):
    """Two points have one key if all their doubles are equal, and only then; -0.0 is equal to 0.0."""
    assert len(point_key(one)) == 16
    assert (point_key(one) == point_key(other)) is (one == other)
    assert point_key([x + 0.0 for x in one]) == point_key(one) == point_keys([one])[0]
    assert occurrence_key(point_key(one), 0) != occurrence_key(point_key(one), 1)


@given(finite.filter(lambda x: x != 0.0), st.integers(1, 16))
def test_a_last_bit_is_another_point_unless_digits_say_otherwise(x, digits):
    """The next double has a key of its own, and the digits that count alone decide where some are asked for."""
    following = math.nextafter(x, 0.0)
    assert point_key([x]) != point_key([following]) or x + 0.0 == following
    rounded = [float(f"{value:.{digits - 1}e}") for value in (x, following)]
    assert (point_key([x], digits) == point_key([following], digits)) is (rounded[0] == rounded[1])
