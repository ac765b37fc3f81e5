"""Parsers of arrays: Npy, Npz, Hdf5, NetCdf."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otwrap.parsers import Hdf5, NetCdf, Npy, Npz, Parser

Write = Callable[..., Path]
Refused = Callable[..., str]

ARRAYS: dict[str, Any] = {
    "u": np.array([[1.5, 2.5], [3.5, 0.1 + 0.2]]),
    "n": np.array([1, 2], dtype=np.int32),
    "bad": np.array([1.0, np.nan, np.inf]),
    "none": np.zeros((0, 2)),
}


def save_npy(folder: Path) -> None:
    for name, array in ARRAYS.items():
        np.save(folder / name, array)


def save_npz(folder: Path) -> None:
    np.savez(folder / "out", **ARRAYS)


def save_hdf5(folder: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "out", "w") as file:
        for name, array in ARRAYS.items():
            file[f"results/{name}"] = array


def save_netcdf(folder: Path) -> None:
    netcdf = pytest.importorskip("netCDF4")
    with netcdf.Dataset(folder / "out", "w") as file:
        group = file.createGroup("results")
        for name, array in ARRAYS.items():
            sizes = [f"{name}{n}" for n in range(array.ndim)]
            for dimension, size in zip(sizes, array.shape, strict=True):
                group.createDimension(dimension, size)
            group.createVariable(name, array.dtype, sizes)[:] = array


EACH: dict[str, tuple[Callable[[Path], None], Callable[..., Parser]]] = {
    "npy": (save_npy, lambda name, *args, **settings: Npy(f"{name}.npy", *args, **settings)),
    "npz": (save_npz, lambda name, *args, **settings: Npz("out.npz", name, *args, **settings)),
    "hdf5": (save_hdf5, lambda name, *args, **settings: Hdf5("out", f"results/{name}", *args, **settings)),
    "netcdf": (
        save_netcdf,
        lambda name, *args, **settings: NetCdf("out", f"results/{name}", *args, **settings),
    ),
}


@pytest.fixture(params=EACH)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Parser]:
    """Write the arrays in one of the formats, and return what makes its parser."""
    save, make = EACH[request.param]
    save(tmp_path)
    return make


def test_good(make: Any, tmp_path: Path) -> None:
    """All elements row by row, or those of an index from either end, to their last bit."""
    assert make("u")(tmp_path) == [1.5, 2.5, 3.5, 0.1 + 0.2]
    assert make("u", (0, -1))(tmp_path) == [2.5]
    assert make("u", -1)(tmp_path) == make("u", (-1, slice(None)))(tmp_path) == [3.5, 0.1 + 0.2]
    assert make("u", (..., 0))(tmp_path) == [1.5, 3.5]
    assert make("n", 1)(tmp_path) == [2]
    assert all(type(number) is float for number in make("n")(tmp_path))


def test_failures(make: Any, tmp_path: Path, refused: Refused) -> None:
    """An index beyond the array, no element, nan, and a range are told."""
    refused(make("u", (0, 2)), tmp_path, "no match", "(2, 2)", "index (0, 2)")
    refused(make("u", (0, 0, 0)), tmp_path, "no match", "(2, 2)")
    refused(make("none"), tmp_path, "no match", "no element")
    refused(make("bad"), tmp_path, "not a number", "nan")
    refused(make("bad", 2), tmp_path, "not a number", "inf")
    refused(make("u", valid=(0, 3)), tmp_path, "out of range", "3.5")
    numbers = make("bad", allow_nan=True)(tmp_path)
    assert numbers[0] == 1 and math.isnan(numbers[1]) and numbers[2] == math.inf


def test_missing_name(make: Any, tmp_path: Path, refused: Refused) -> None:
    """An array that is not there is told with those that are."""
    cause = "output missing" if isinstance(make("uu"), Npy) else "no match"
    refused(make("uu"), tmp_path, cause, "did you mean", "bad")


@pytest.mark.parametrize("kind", EACH)
def test_bad_file(kind: str, write: Write, refused: Refused, tmp_path: Path) -> None:
    """A file that is missing, empty, cut short or of another kind is told."""
    save, make = EACH[kind]
    parser = make("u")
    refused(parser, tmp_path, "output missing")
    refused(parser, write("", parser.files[0]), "output empty")
    refused(parser, write("something else", parser.files[0]), "output", "to its end")
    save(tmp_path)
    data = (tmp_path / parser.files[0]).read_bytes()
    refused(parser, write(data[: len(data) // 2], parser.files[0]), "output")


@pytest.mark.parametrize(
    "array", [np.array(["1"]), np.array([True]), np.array([1j]), np.array(["2020"], "M8")]
)
def test_not_real(array: Any, tmp_path: Path, refused: Refused) -> None:
    """Text, truth values, complex numbers and dates are no real numbers."""
    np.save(tmp_path / "out", array)
    refused(Npy("out.npy"), tmp_path, "not a number", str(array.dtype))


def test_pickles_are_refused(tmp_path: Path, refused: Refused) -> None:
    """What is pickled in a file is never loaded."""
    np.save(tmp_path / "out", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "out", u=np.array([{}], dtype=object))
    refused(Npy("out.npy"), tmp_path, "output", "allow_pickle=False")
    refused(Npz("out.npz", "u"), tmp_path, "output", "allow_pickle=False")


def test_npy_for_npz(tmp_path: Path, refused: Refused) -> None:
    """A file of the other NumPy format is told, with its parser."""
    np.save(tmp_path / "out", 1.0)
    (tmp_path / "out.npy").rename(tmp_path / "a")
    np.savez(tmp_path / "out", u=1.0)
    assert Npy("a")(tmp_path) == Npz("out.npz", "u")(tmp_path) == [1]
    refused(Npz("a", "u"), tmp_path, "output", "Npy(file)")
    refused(Npy("out.npz"), tmp_path, "output", "Npz(file, name)")


def test_netcdf_fill_value(tmp_path: Path, refused: Refused) -> None:
    """A netCDF element that was never written is a nan, not 9.97e36; a packed one is unpacked."""
    netcdf = pytest.importorskip("netCDF4")
    with netcdf.Dataset(tmp_path / "out.nc", "w") as file:
        file.createDimension("n", 3)
        file.createVariable("u", "f8", ("n",))[:2] = [1, 2]
        packed = file.createVariable("p", "i2", ())
        packed.scale_factor = 0.5
        packed[...] = 3.5
    assert NetCdf("out.nc", "u", slice(2))(tmp_path) == [1, 2]
    assert NetCdf("out.nc", "p")(tmp_path) == [3.5]
    refused(NetCdf("out.nc", "u"), tmp_path, "not a number", "nan")
    refused(NetCdf("out.nc", "u", 2), tmp_path, "not a number", "nan")


def test_hdf5_group(tmp_path: Path, refused: Refused) -> None:
    """A group in place of a dataset is told with the datasets."""
    save_hdf5(tmp_path)
    refused(Hdf5("out", "results"), tmp_path, "no match", "'results/u'")
    refused(Hdf5("out", "nothing/here"), tmp_path, "no match", "'results/u'")


@pytest.mark.parametrize(
    ("parser", "package", "extra"),
    [(Hdf5("out", "u"), "h5py", "hdf5"), (NetCdf("out", "u"), "netCDF4", "netcdf")],
)
def test_missing_extra(
    parser: Parser, package: str, extra: str, write: Write, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package is told with what to install."""
    monkeypatch.setitem(sys.modules, package, None)
    refused(parser, write("x", "out"), "output", package, f"pip install otwrap[{extra}]")


@pytest.mark.parametrize("index", [1.5, "1", True, (0, "1"), (0, None), [0]])
def test_bad_index(index: Any) -> None:
    """An index that is none is refused when the parser is made."""
    with pytest.raises(ValueError, match="give an int, a slice"):
        Npy("out.npy", index)
