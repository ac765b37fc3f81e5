"""Parsers of arrays in binary files."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import OutputError
from ._words import excerpt, hint, some
from .base import Range
from .files import FileParser

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Hdf5", "NetCdf", "Npy", "Npz"]

_ADVICE = "Look whether the code wrote it to its end, or correct file="


class _Array(FileParser):
    """Base of the parsers of arrays."""

    def __init__(
        self,
        file: str | os.PathLike[str],
        index: Any = None,
        *,
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, valid=valid, allow_nan=allow_nan)
        for part in index if isinstance(index, tuple) else (index,):
            known = part is None or part is Ellipsis or isinstance(part, (int, slice))
            if not known or isinstance(part, bool) or (part is None and index is not None):
                raise ValueError(f"index is {index!r}; give an int, a slice or a tuple of them, as (0, -1)")
        self.index = index

    def _take(self, array: Any) -> list[float]:
        """Return what the index says as floats, row by row."""
        import numpy as np

        try:
            found = array[() if self.index is None else self.index]
        except (IndexError, ValueError) as error:
            found = f"shape {array.shape} ({error})"
            raise self._error(found, "Correct the index; it counts from 0", "no match") from None
        if isinstance(found, np.ma.MaskedArray) and found.dtype.kind in "iuf":
            found = np.ma.filled(found.astype(float), np.nan)
        numbers: np.ndarray[Any, Any] = np.asarray(found)
        if numbers.dtype.kind not in "iuf":
            kind = f"an array of {numbers.dtype}"
            raise self._error(kind, "Real numbers are needed: correct name or index", "not a number")
        if not numbers.size:
            advice = "Look at the code's log, or correct the index"
            raise self._error(f"no element (shape {numbers.shape})", advice, "no match")
        floats: list[float] = numbers.astype(float).ravel().tolist()
        return floats

    def _missing(self, name: str, names: list[str]) -> OutputError:
        found = f"no {name!r} among {some(names)}"
        return self._error(
            found, f"Look at the code's log, or correct the name{hint(name, names)}", "no match"
        )

    def _module(self, name: str, extra: str) -> ModuleType:
        """Import what an extra brings."""
        from importlib import import_module

        try:
            return import_module(name)
        except ImportError as error:
            advice = f"Where evaluations are parsed: pip install otwrap[{extra}]"
            raise self._error(f"no package {name} to read it ({error})", advice) from error

    def _bad_file(self, kind: str, error: Exception, path: str) -> OutputError:
        text = str(error).replace(path, self.files[0])
        return self._error(f"no {kind} file ({excerpt(text, 160)})", _ADVICE)

    def _at(self) -> str:
        return "" if self.index is None else f" at index {self.index}"


class Npy(_Array):
    """The numbers of a NumPy ``.npy`` file.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    index : int, slice or tuple of them, optional
        Which elements, from 0; default is all, row by row.
    valid, allow_nan
        As in :class:`~otwrap.parsers.Parser`.

    Raises
    ------
    ValueError
        A setting means nothing.

    Notes
    -----
    Pickled objects in the file are refused.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from otwrap.parsers import Npy
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     np.save(f"{workdir}/out.npy", [[1.0, 2.0], [3.0, 4.0]])
    ...     Npy("out.npy")(workdir), Npy("out.npy", (0, -1))(workdir)
    ([1.0, 2.0, 3.0, 4.0], [2.0])
    """

    def _read(self, workdir: str) -> list[float]:
        from zipfile import BadZipFile

        import numpy as np

        path = self._path(workdir)
        try:
            # Opened here: np.load leaves its file open where the content is bad.
            with open(path, "rb") as stream:
                array = np.load(stream, allow_pickle=False)
                if not isinstance(array, np.ndarray):
                    raise self._error("an .npz file", "Read it with Npz(file, name)")
        except (ValueError, EOFError, OSError, BadZipFile) as error:
            raise self._bad_file(".npy", error, path) from error
        return self._take(array)

    def _sought(self) -> str:
        return f"the array{self._at()}"


class Npz(_Array):
    """The numbers of an array in a NumPy ``.npz`` file.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    name : str
        The array's name.
    index : int, slice or tuple of them, optional
        Which elements, from 0; default is all, row by row.
    valid, allow_nan
        As in :class:`~otwrap.parsers.Parser`.

    Raises
    ------
    ValueError
        A setting means nothing.

    Notes
    -----
    Pickled objects in the file are refused.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from otwrap.parsers import Npz
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     np.savez(f"{workdir}/out.npz", u=[1.0, 2.0], v=3.0)
    ...     Npz("out.npz", "u", -1)(workdir), Npz("out.npz", "v")(workdir)
    ([2.0], [3.0])
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        name: str,
        index: Any = None,
        *,
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, index, valid=valid, allow_nan=allow_nan)
        self.name = name

    def _read(self, workdir: str) -> list[float]:
        from zipfile import BadZipFile

        import numpy as np

        path = self._path(workdir)
        try:
            with open(path, "rb") as stream:
                arrays = np.load(stream, allow_pickle=False)
                if isinstance(arrays, np.ndarray):
                    raise self._error("an .npy file", "Read it with Npy(file)")
                if self.name not in arrays.files:
                    raise self._missing(self.name, arrays.files)
                array = arrays[self.name]
        except (ValueError, EOFError, OSError, BadZipFile) as error:
            raise self._bad_file(".npz", error, path) from error
        return self._take(array)

    def _sought(self) -> str:
        return f"the array {self.name!r}{self._at()}"


class Hdf5(_Array):
    """The numbers of a dataset in an HDF5 file; needs ``pip install otwrap[hdf5]``.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    dataset : str
        Its path in the file, as ``results/stress``.
    index : int, slice or tuple of them, optional
        Which elements, from 0; only they are read. Default is all, row by row.
    valid, allow_nan
        As in :class:`~otwrap.parsers.Parser`.

    Raises
    ------
    ValueError
        A setting means nothing.

    Examples
    --------
    >>> from otwrap.parsers import Hdf5
    >>> Hdf5("out.h5", "results/stress", -1).files
    ('out.h5',)
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        dataset: str,
        index: Any = None,
        *,
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, index, valid=valid, allow_nan=allow_nan)
        self.dataset = dataset

    def _read(self, workdir: str) -> list[float]:
        path = self._path(workdir)
        h5py = self._module("h5py", "hdf5")
        try:
            with h5py.File(path, "r") as file:
                found = file.get(self.dataset)
                if not isinstance(found, h5py.Dataset):
                    names: list[str] = []
                    file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
                    raise self._missing(self.dataset, names)
                return self._take(found)
        except OSError as error:
            raise self._bad_file("HDF5", error, path) from error

    def _sought(self) -> str:
        return f"the dataset {self.dataset!r}{self._at()}"


class NetCdf(_Array):
    """The numbers of a variable in a netCDF file; needs ``pip install otwrap[netcdf]``.

    Scale and offset are applied; an element that was never written (a fill value) is a `nan`.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    variable : str
        Its name, or its path through groups, as ``results/stress``.
    index : int, slice or tuple of them, optional
        Which elements, from 0; only they are read. Default is all, row by row.
    valid, allow_nan
        As in :class:`~otwrap.parsers.Parser`.

    Raises
    ------
    ValueError
        A setting means nothing.

    Examples
    --------
    >>> from otwrap.parsers import NetCdf
    >>> NetCdf("out.nc", "stress", (0, -1)).files
    ('out.nc',)
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        variable: str,
        index: Any = None,
        *,
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, index, valid=valid, allow_nan=allow_nan)
        self.variable = variable

    def _read(self, workdir: str) -> list[float]:
        path = self._path(workdir)
        netcdf = self._module("netCDF4", "netcdf")
        try:
            with netcdf.Dataset(path) as file:
                variables = _variables(file)
                name = self.variable.strip("/")
                if name not in variables:
                    raise self._missing(name, list(variables))
                return self._take(variables[name])
        except (OSError, RuntimeError) as error:
            raise self._bad_file("netCDF", error, path) from error

    def _sought(self) -> str:
        return f"the variable {self.variable!r}{self._at()}"


def _variables(group: Any, above: str = "") -> dict[str, Any]:
    """Return all variables of a netCDF group by their path."""
    found = {above + name: variable for name, variable in group.variables.items()}
    for name, inner in group.groups.items():
        found.update(_variables(inner, f"{above}{name}/"))
    return found
