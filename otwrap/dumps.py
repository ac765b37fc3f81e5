"""Dumps: arrays, samples and points to a file and back, and nothing else.

A pickle is a program, and so is the state of an OpenTURNS object in it: its XML may name an object
that is made by a pickle of its own. So nothing in a file gets to numpy or OpenTURNS before it has been
looked at: reading collects plain parts, and arrays and samples are then made from these.
"""

from __future__ import annotations

import gzip
import importlib
import io
import os
import pickle
import re
import warnings
import zlib
from math import prod
from pathlib import Path
from typing import Any

from .errors import OtwrapError
from .files import write_atomic

__all__ = ["DumpError", "dump_array", "load_array"]

StrPath = str | os.PathLike[str]

_ACCEPTED = (
    "numpy arrays and scalars of numbers, ot.Sample, ot.Point, Python numbers, and lists or tuples of these"
)
_NUMBERS = (bool, int, float, complex)
_DEEPEST = 50
_MOST_EMPTY = 10**6
_SAMPLES = ("Sample", "Point", "PointWithDescription")
_STUDY_CLASSES = ("SampleImplementation", "Point", "PointWithDescription")


class DumpError(OtwrapError, pickle.UnpicklingError):
    """A file is no dump that can be read: broken, or with something else than numbers in it.

    Examples
    --------
    >>> from otwrap import OtwrapError
    >>> from otwrap.dumps import DumpError
    >>> issubclass(DumpError, OtwrapError)
    True
    """


def dump_array(
    array: Any, filename: StrPath, compress: bool = False, *, compressed: bool | None = None
) -> None:
    """Write an array, a sample or a point to a file.

    Parameters
    ----------
    array : numpy.ndarray, ot.Sample, ot.Point, number, or list or tuple of these
        An array of an ot.Sample is lighter and faster than the sample.
    filename : path
        The file is written whole or not at all. The extension ``.pklz`` compresses in any case.
    compress : bool, optional
        Whether to compress with gzip. Default is false.
    compressed : bool, optional
        Deprecated spelling of `compress`.

    Raises
    ------
    TypeError
        `array` is something that :func:`load_array` would refuse; the file is not touched.

    Notes
    -----
    The file is a pickle of protocol 2, as otwrapy's are.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import otwrap as otw
    >>> filename = os.path.join(tempfile.mkdtemp(), "InputSample.pklz")
    >>> otw.dump_array(np.array([[1.0, 2.0]]), filename, compress=True)
    >>> otw.load_array(filename)
    array([[1., 2.]])
    """
    if compressed is not None:
        warnings.warn(
            "dump_array(compressed=...) is deprecated: write compress=...", DeprecationWarning, stacklevel=2
        )
        compress = compressed
    _check(array)
    data = pickle.dumps(array, protocol=2)
    if compress or Path(filename).suffix == ".pklz":
        data = gzip.compress(data, mtime=0)
    write_atomic(filename, data)


def load_array(filename: StrPath, compressed: bool = False, *, compress: bool | None = None) -> Any:
    """Read what :func:`dump_array`, or otwrapy's, wrote.

    Parameters
    ----------
    filename : path
        A dump, compressed or not, or a ``.npy`` file.
    compressed : bool, optional
        Not needed, as the content of the file says it; accepted for otwrapy's users.
    compress : bool, optional
        Deprecated spelling of `compressed`.

    Returns
    -------
    array : numpy.ndarray, ot.Sample, ot.Point, number, or list or tuple of these
        What was dumped.

    Raises
    ------
    DumpError
        The file is broken, or has something else in it. Nothing of it has been run.
    FileNotFoundError
        There is no such file.

    Examples
    --------
    >>> import os, tempfile
    >>> import openturns as ot
    >>> import otwrap as otw
    >>> filename = os.path.join(tempfile.mkdtemp(), "X.pkl")
    >>> otw.dump_array(ot.Point([1.0, 2.0]), filename)
    >>> print(otw.load_array(filename))
    [1,2]
    """
    if compress is not None:
        warnings.warn(
            "load_array(compress=...) is deprecated: leave it out", DeprecationWarning, stacklevel=2
        )
    data = Path(filename).read_bytes()
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        if data[:6] == b"\x93NUMPY":
            return _from_npy(data)
        return _Builder().build(_Parts(io.BytesIO(data), encoding="latin1").load())
    except DumpError as error:
        raise DumpError(f"{os.fspath(filename)!r} {error}; load_array reads {_ACCEPTED}") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DumpError(
            f"{os.fspath(filename)!r} is cut short or damaged ({error}); write it again"
        ) from None
    except Exception as error:
        # What a broken pickle raises is not bounded by its documentation.
        raise DumpError(
            f"{os.fspath(filename)!r} is no dump, or it is damaged ({type(error).__name__}: {error}); "
            f"load_array reads {_ACCEPTED}"
        ) from error


def _check(value: Any, depth: int = 0) -> None:
    """Raise for what load_array would refuse."""
    kind = type(value)
    if kind in _NUMBERS:
        return
    if kind in (list, tuple):
        if depth == _DEEPEST:
            raise TypeError(f"dump_array takes lists up to {_DEEPEST} deep; convert to a numpy array")
        for item in value:
            _check(item, depth + 1)
        return
    if kind.__module__ == "openturns.typ" and kind.__name__ in _SAMPLES:
        return
    import numpy as np

    hint = "; convert it with np.array(...)" if hasattr(value, "__len__") and kind is not str else ""
    if kind is np.ndarray or isinstance(value, np.generic):
        if value.dtype.kind in "biufc":
            return
        hint = f" of dtype {value.dtype}"
    raise TypeError(f"dump_array writes {_ACCEPTED}, not {kind.__module__}.{kind.__qualname__}{hint}")


def _from_npy(data: bytes) -> Any:
    """The array of a .npy file."""
    import numpy as np

    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.kind not in "biufc":
        raise DumpError(f"has an array of dtype {array.dtype}")
    return array


class _Part:
    """What a pickle may name. It collects what it is given, and does nothing with it."""

    kind = ""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


_ALLOWED = {
    ("_codecs", "encode"): "encoded bytes",
    ("builtins", "bytes"): "empty bytes",
    ("__builtin__", "bytes"): "empty bytes",
    ("builtins", "complex"): "complex number",
    ("__builtin__", "complex"): "complex number",
    ("numpy", "ndarray"): "array type",
    ("numpy", "dtype"): "array dtype",
    ("openturns.typ", "Sample"): "SampleImplementation",
    ("openturns.typ", "Point"): "Point",
    ("openturns.typ", "PointWithDescription"): "PointWithDescription",
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = "array"
    _ALLOWED[f"{_core}.multiarray", "scalar"] = "scalar"
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = "array of a buffer"
# A class for each, as a pickle may make objects of nothing else.
_CLASSES = {kind: type(kind, (_Part,), {"kind": kind}) for kind in set(_ALLOWED.values())}


def _kind(part: Any) -> str:
    """What a part stands for; empty for what is none."""
    return part.kind if isinstance(part, _Part) else ""


class _Parts(pickle.Unpickler):
    """Read a pickle into parts; nothing that it names is imported."""

    def find_class(self, module: str, name: str) -> Any:
        """The part that stands for a name, if it is an accepted one."""
        try:
            return _CLASSES[_ALLOWED[module, name]]
        except KeyError:
            raise DumpError(f"asks for {module}.{name}, which is refused") from None


class _Builder:
    """Make arrays and samples of the parts; each part once, however often it is named."""

    def __init__(self) -> None:
        self._built: dict[int, Any] = {}

    def build(self, part: Any, depth: int = 0) -> Any:
        """What a part, a number, or a list of these stands for."""
        kind = type(part)
        if kind in _NUMBERS:
            return part
        if id(part) in self._built:
            return self._built[id(part)]
        if kind in (list, tuple):
            if depth == _DEEPEST:
                raise DumpError(f"has lists that are more than {_DEEPEST} deep")
            value = kind([self.build(item, depth + 1) for item in part])
        elif _kind(part) in ("array", "array of a buffer"):
            value = _array(part)
        elif _kind(part) == "scalar":
            dtype, data = part.args
            value = _numbers((1,), dtype, data, False)[0]
        elif _kind(part) == "complex number":
            value = complex(*[float(item) for item in part.args])
        elif _kind(part) in _STUDY_CLASSES:
            value = _openturns(part)
        else:
            raise DumpError(f"has an object of type {kind.__name__}")
        self._built[id(part)] = value
        return value


def _array(part: _Part) -> Any:
    """The array of its parts."""
    if part.kind == "array of a buffer":
        data, dtype, shape, order = part.args
        return _numbers(shape, dtype, data, order == "F")
    if part.args[0] is not _CLASSES["array type"]:
        raise DumpError("has a special kind of array")
    shape, dtype, fortran, data = part.state[-4:]
    return _numbers(shape, dtype, data, bool(fortran))


def _numbers(shape: Any, dtype: Any, data: Any, fortran: bool) -> Any:
    """An array of numbers from its bytes."""
    import numpy as np

    if _kind(dtype) != "array dtype" or not re.fullmatch(r"[biufc]\d{1,2}|O8|[SUVMm]\d+", str(dtype.args[0])):
        raise DumpError("has an array of an unknown dtype")
    name = dtype.args[0]
    if name[0] not in "biufc":
        raise DumpError(f"has an array of dtype {np.dtype(name).name}")
    byte_order = dtype.state[1]
    number = np.dtype(name).newbyteorder(byte_order if byte_order in ("<", ">") else "=")
    raw = _raw(data)
    if type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
        raise DumpError(f"has an array of shape {shape!r}")
    if len(raw) != prod(shape) * number.itemsize:
        raise DumpError(f"has an array of shape {shape} and dtype {number} in {len(raw)} bytes")
    return np.ndarray(shape, number, raw, order="F" if fortran else "C").copy(order="K")


def _raw(data: Any) -> bytes:
    """Bytes, in the ways that protocol 2, protocol 5 and Python 2 wrote them."""
    if _kind(data) == "empty bytes" and not data.args:
        return b""
    if _kind(data) == "encoded bytes":
        text, encoding = data.args
        if type(text) is not str or encoding != "latin1":
            raise DumpError("has bytes in an unknown encoding")
        return text.encode("latin1")
    if isinstance(data, _Part):
        raise DumpError("has no bytes where they should be")
    return data.encode("latin1") if isinstance(data, str) else bytes(memoryview(data))


def _openturns(part: _Part) -> Any:
    """A sample or a point, of which OpenTURNS itself reads the numbers only."""
    import numpy as np

    # Imported here, as most dumps are of arrays and this room does without OpenTURNS otherwise.
    ot = importlib.import_module("openturns")
    content = _Content(part.kind, part.state)
    values = content.values
    if values is None:
        values = _stored_numbers(ot, content, _raw(part.state["h5data"]))
    if part.kind == "SampleImplementation":
        size, dimension = content.shape
        if len(values) != size * dimension or (not len(values) and max(size, dimension) > _MOST_EMPTY):
            raise DumpError(
                f"has a sample of {size} points of dimension {dimension} in {len(values)} numbers"
            )
        value = ot.Sample(np.array(values).reshape(size, dimension)) if size else ot.Sample(0, dimension)
        if content.description:
            value.setDescription(content.description)
    elif part.kind == "PointWithDescription":
        value = ot.PointWithDescription(list(zip(content.description, values, strict=True)))
    else:
        value = ot.Point(values)
    if content.name:
        value.setName(content.name)
    return value


#: Where HDF5 writes the length of a one-dimensional data set.
_LENGTH = re.compile(rb"\x01\x14\x00.\x02\x01\x01\x01(.{8})", re.DOTALL)


def _stored_numbers(ot: Any, content: _Content, h5data: bytes) -> Any:
    """The numbers in the binary half of a study, read as a point by an XML half of our own."""
    # OpenTURNS 1.27 crashes the process if the two halves do not agree on the length.
    lengths = {int.from_bytes(length, "little") for length in _LENGTH.findall(h5data)}
    if content.length not in (lengths or {content.length}):
        raise DumpError(f"announces {content.length} numbers and has {sorted(lengths)}")
    xml = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<openturns-study version="{content.version}" '
        f'manager="XMLH5StorageManager">\n  <object class="Point" id="{content.stored}" '
        f'size="{content.length}" StudyVisible="true" StudyLabel="instance">\n'
        f"    <string>numbers.h5:/{content.stored}</string>\n  </object>\n</openturns-study>\n"
    )
    point = ot.Point()
    point.__setstate__({"format": "xmlh5", "xmldata": xml.encode(), "h5data": h5data})
    if len(point) != content.length:
        raise DumpError(f"has {len(point)} numbers where {content.length} are announced")
    return point


class _Content:
    """What the XML of an OpenTURNS study says about the one sample or point that it has."""

    def __init__(self, expected: str, state: Any) -> None:
        from xml.etree import ElementTree

        xml = _raw(state["xmldata"])
        if b"<!" in xml:
            raise DumpError("has a sample whose XML declares entities")
        study = ElementTree.fromstring(xml)
        objects = {item.get("id"): item for item in study.iter("object") if item.get("class")}
        top = next(item for item in objects.values() if item.get("StudyLabel") == "instance")
        if top.get("class") != expected:
            raise DumpError(f"has an object of class {top.get('class')} where a {expected} is announced")
        members = {item.get("member"): objects[item.get("id")] for item in top if item.get("member")}
        self.version = int(study.get("version", "0"))
        self.name = top.get("name", "")
        self.description = [text.text or "" for text in members.get("description_", ())]
        self.shape = (int(top.get("size_", "0")), int(top.get("dimension_", "0")))
        numbers = members.get("data_", top)
        self.length = int(numbers.get("size", "0"))
        self.stored = int(numbers.get("id", "0"))
        self.values: Any = None
        found = [float(item.text or "") for item in numbers if item.tag == "numericalscalar"]
        if len(found) == self.length:
            self.values = found
