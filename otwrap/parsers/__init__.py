"""Output file -> numbers.

A parser is called with the work directory and returns a list of floats, or raises
:class:`~otwrap.errors.OutputError`. Each says what is wrong: file, line, what it looked for, what it
found, what to do.

====================== =====================================================
:class:`Value`         the number after a literal text
:class:`Regex`         the number that a regular expression finds
:class:`LineColumn`    the number at a line and column
:class:`KeyValue`      the number of a line ``key = value``
:class:`Stdout`        the number that the code prints
:class:`Csv`           one number or a column of a table
:class:`Curve`         a curve at given abscissas
:class:`Json`          the number at a path in a JSON file
:class:`Xml`           the number in an attribute or text of an XML element
:class:`Npy`           an array in a NumPy ``.npy`` file
:class:`Npz`           an array in a NumPy ``.npz`` file
:class:`Hdf5`          a dataset in an HDF5 file
:class:`NetCdf`        a variable in a netCDF file
:class:`Binary`        numbers at a known place in a binary file
:class:`FortranRecord` a record of an unformatted Fortran file
:class:`Function`      any function of the work directory
:class:`Parser`        the base of your own
====================== =====================================================
"""

from __future__ import annotations

from ._numbers import NUMBER, to_float
from .arrays import Hdf5, NetCdf, Npy, Npz
from .base import Parser
from .binary import Binary, FortranRecord
from .curve import Curve
from .files import FileParser, TextParser
from .function import Function
from .lines import KeyValue, LineColumn
from .stdout import Stdout
from .structured import Json, Xml
from .table import Csv
from .text import Regex, Value

__all__ = [
    "NUMBER",
    "Binary",
    "Csv",
    "Curve",
    "FileParser",
    "FortranRecord",
    "Function",
    "Hdf5",
    "Json",
    "KeyValue",
    "LineColumn",
    "NetCdf",
    "Npy",
    "Npz",
    "Parser",
    "Regex",
    "Stdout",
    "TextParser",
    "Value",
    "Xml",
    "to_float",
]
