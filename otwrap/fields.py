"""Outputs that are fields: one value at each vertex of a mesh, as a curve over time.

Everywhere else an output is a flat series of numbers: a field takes as many of them as its mesh has
vertices, and its components are called ``gain[0]``, ``gain[1]`` and so on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import openturns as ot

__all__ = [
    "abridged",
    "common_mesh",
    "component_names",
    "components_of",
    "fields_of",
    "listed",
    "meshes_digest",
]


def fields_of(fields: Any, outputs: Sequence[str]) -> dict[str, ot.Mesh]:
    """Return the mesh of each output that is a field, checked.

    Parameters
    ----------
    fields : dict, optional
        Name of the output -> its `ot.Mesh` or `ot.RegularGrid`.
    outputs : sequence of str
        The names that there are.

    Returns
    -------
    meshes : dict of ot.Mesh

    Raises
    ------
    ValueError
        If there is no such output.
    TypeError
        If it is no mesh.

    Examples
    --------
    >>> import openturns as ot
    >>> fields_of({"gain": ot.RegularGrid(0.0, 0.1, 5)}, ["f3db", "gain"])["gain"].getVerticesNumber()
    5
    """
    if fields is not None and not isinstance(fields, Mapping):
        msg = f"fields={fields!r}: give the mesh of each output that is a field, as in {{'T': ot.RegularGrid(0.0, 0.1, 11)}}"
        raise TypeError(msg)
    meshes = dict(fields or {})
    for name, mesh in meshes.items():
        if name not in outputs:
            msg = f"fields: {name!r} is no output; the outputs are {list(outputs)}"
            raise ValueError(msg)
        if not isinstance(mesh, ot.Mesh):
            msg = f"fields: {name!r} has {mesh!r}; accepted are an ot.Mesh and an ot.RegularGrid"
            raise TypeError(msg)
    return meshes


def component_names(outputs: Sequence[str], fields: Mapping[str, ot.Mesh]) -> list[str]:
    """Return one name per number of the output.

    Parameters
    ----------
    outputs : sequence of str
        The names.
    fields : dict of ot.Mesh
        Those that are fields.

    Returns
    -------
    names : list of str

    Examples
    --------
    >>> component_names(["f3db", "gain"], {"gain": ot.RegularGrid(0.0, 0.1, 2)})
    ['f3db', 'gain[0]', 'gain[1]']
    """
    return [
        component
        for name in outputs
        for component in (
            [f"{name}[{i}]" for i in range(fields[name].getVerticesNumber())] if name in fields else [name]
        )
    ]


def components_of(name: str, components: Sequence[str]) -> list[int]:
    """Return where the values of a field stand in the output.

    Parameters
    ----------
    name : str
        Of the field.
    components : sequence of str
        What :func:`component_names` returned.

    Returns
    -------
    indices : list of int
        One per vertex.

    Examples
    --------
    >>> components_of("gain", ["f3db", "gain[0]", "gain[1]"])
    [1, 2]
    """
    start = components.index(f"{name}[0]")
    end = start
    while end < len(components) and components[end] == f"{name}[{end - start}]":
        end += 1
    return list(range(start, end))


def abridged(components: Sequence[str], most: int = 8) -> list[int | None]:
    """Return which components to show, without the middles of long fields.

    Parameters
    ----------
    components : sequence of str
        What :func:`component_names` returned.
    most : int, optional
        Up to how many values a field is shown whole. Default is 8.

    Returns
    -------
    indices : list of int or None
        `None` stands for a middle that is left out.

    Examples
    --------
    >>> abridged(["f3db", *(f"gain[{i}]" for i in range(100))])
    [0, 1, 2, 3, None, 100]
    """
    shown: list[int | None] = []
    i = 0
    while i < len(components):
        name = components[i].removesuffix("[0]")
        size = len(components_of(name, components)) if components[i] == f"{name}[0]" else 1
        indices = list(range(i, i + size))
        shown += indices if size <= most else [*indices[:3], None, indices[-1]]
        i += size
    return shown


def listed(components: Sequence[str], values: Sequence[float] | None = None, between: str = ", ") -> str:
    """Return components as text, with their values if they are given, without the middles of long fields.

    Parameters
    ----------
    components : sequence of str
        The description of an output.
    values : sequence of float, optional
        One for each.
    between : str, optional
        What stands between two. Default is a comma.

    Returns
    -------
    text : str

    Examples
    --------
    >>> listed([f"u[{i}]" for i in range(20)])
    'u[0], u[1], u[2], ..., u[19]'
    >>> listed(["y", "z"], (1.0, 2.0))
    'y = 1.0, z = 2.0'
    """
    return between.join(
        "..." if i is None else components[i] if values is None else f"{components[i]} = {values[i]!r}"
        for i in abridged(components)
    )


def common_mesh(fields: Mapping[str, ot.Mesh], chosen: Sequence[str] | None = None) -> ot.Mesh:
    """Return the mesh that fields have in common.

    Parameters
    ----------
    fields : dict of ot.Mesh
        All there are.
    chosen : sequence of str, optional
        Those that count; default is all.

    Returns
    -------
    mesh : ot.Mesh

    Raises
    ------
    ValueError
        If there is no field, a name is none of them, or they have several meshes.
    """
    if not fields:
        msg = "the model has no output that is a field; declare one, as in fields={'T': ot.RegularGrid(0.0, 0.1, 11)}, or use Parallelizer"
        raise ValueError(msg)
    for name in chosen or ():
        if name not in fields:
            msg = f"outputs: {name!r} is no field; the fields are {list(fields)}"
            raise ValueError(msg)
    meshes = [fields[name] for name in chosen or fields]
    if any(mesh != meshes[0] for mesh in meshes):
        msg = f"the fields {list(chosen or fields)} have several meshes; choose those of one, as in outputs=[{next(iter(fields))!r}]"
        raise ValueError(msg)
    return meshes[0]


def meshes_digest(fields: Mapping[str, ot.Mesh]) -> dict[str, str]:
    """Return what tells meshes apart.

    Parameters
    ----------
    fields : dict of ot.Mesh
        By the name of the output.

    Returns
    -------
    digests : dict of str
        Of the vertices; the same on every machine.
    """
    return {
        name: hashlib.sha256(np.asarray(mesh.getVertices(), dtype="<f8").tobytes()).hexdigest()
        for name, mesh in fields.items()
    }
