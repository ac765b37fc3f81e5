"""Finding a model that is named by a text, as in ``path/to/file.py:Beam`` or ``package.module:Beam``.

A file is imported as a module of its own name, with its folder on the path, so that what it imports from
beside itself is found, and so that worker processes can import it too.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .errors import OtwrapError

__all__ = ["Found", "ModelError", "find_model", "load_model", "make_model"]


class ModelError(OtwrapError):
    """The text names no model, or it cannot be loaded.

    Examples
    --------
    >>> from otwrap.models import load_model
    >>> load_model("otwrap.campaign:Campain")
    Traceback (most recent call last):
    ...
    otwrap.models.ModelError: otwrap.campaign has no name 'Campain'; did you mean 'Campaign'?
    """


class Found(NamedTuple):
    """A model, and where it was found.

    Attributes
    ----------
    model : Wrapper, ot.Function or ot.OpenTURNSPythonFunction
        The instance.
    name : str
        What it is called there.
    names : mapping
        All names of the module that it comes from.
    """

    model: Any
    name: str
    names: Mapping[str, Any]

    def distribution(self, name: str | None = None) -> Any:
        """Return the distribution of the input.

        Parameters
        ----------
        name : str, optional
            Of a distribution, or of a function that returns one, in the model's module, or in another
            one as in ``package.module:name``. Default is the model's own `distribution`, else the name
            ``distribution`` of its module.

        Returns
        -------
        distribution : ot.Distribution

        Raises
        ------
        ModelError
            If there is none.
        """
        if name is None:
            own = getattr(self.model, "distribution", None)
            found = self.names.get("distribution") if own is None else own
            if found is None:
                msg = (
                    f"{self.name} has no distribution to draw points from; give the model distribution=..., "
                    f"write `distribution = ...` in its file, or name one with --distribution"
                    f"{_offer(self.names)}"
                )
                raise ModelError(msg)
            return _as_distribution(found, "distribution")
        if ":" in name:
            names, _, attribute = _resolve(name)
            return _as_distribution(_attribute(names, attribute, name), name)
        if name not in self.names:
            msg = f"there is no distribution {name!r} beside {self.name}{_offer(self.names, name)}"
            raise ModelError(msg)
        return _as_distribution(self.names[name], name)


def load_model(text: str) -> Any:
    """Return the model that a text names.

    Parameters
    ----------
    text : str
        ``path/to/file.py:Name`` or ``package.module:Name``. The name is that of an instance, of a class
        that needs no arguments, or of a function that returns an instance. It can be left out where the
        module has one model only.

    Returns
    -------
    model : Wrapper, ot.Function or ot.OpenTURNSPythonFunction

    Raises
    ------
    ModelError
        If there is no such model, or several.

    Examples
    --------
    >>> load_model("otwrap.examples.beam:Beam").outputs
    ('deviation',)
    """
    return find_model(text).model


def find_model(text: str) -> Found:
    """Return the model that a text names, and where it was found.

    Parameters
    ----------
    text : str
        See :func:`load_model`.

    Returns
    -------
    found : Found

    Raises
    ------
    ModelError
        If there is no such model, or several.

    Examples
    --------
    >>> find_model("otwrap.examples.beam:Beam").name
    'Beam'
    """
    names, module, attribute = _resolve(text)
    if attribute:
        thing = _attribute(names, attribute, module)
    else:
        attribute, thing = _only_candidate(names, module)
    return Found(make_model(thing, attribute), attribute, names)


def make_model(thing: Any, name: str | None = None) -> Any:
    """Return a model of an instance, a class or a function that returns one.

    Parameters
    ----------
    thing : object
        A model, or what makes one without arguments.
    name : str, optional
        What it is called in errors. Default is its own name.

    Returns
    -------
    model : Wrapper, ot.Function or ot.OpenTURNSPythonFunction

    Raises
    ------
    ModelError
        If it is none, or needs arguments.

    Examples
    --------
    >>> import openturns as ot
    >>> make_model(lambda: ot.SymbolicFunction(["x"], ["2 * x"])).getInputDimension()
    1
    """
    name = name or getattr(thing, "__qualname__", None) or type(thing).__name__
    model = thing
    if not _is_model(thing):
        if not callable(thing):
            raise ModelError(f"{name} is {_shortly(thing)}, not a model; {_ACCEPTED}")
        model = _called(thing, name)
    if not _is_model(model):
        raise ModelError(f"{name}() returned {_shortly(model)}, not a model; {_ACCEPTED}")
    return _unparallel(model)


_ACCEPTED = (
    "accepted are an otwrap.Wrapper, an ot.Function, an ot.OpenTURNSPythonFunction, a class of these that "
    "needs no arguments, or a function that returns one"
)


def _is_model(thing: Any) -> bool:
    """Return whether a thing can be evaluated at a point."""
    return not isinstance(thing, type) and all(
        hasattr(thing, name) for name in ("getInputDescription", "getOutputDescription")
    )


def _unparallel(model: Any) -> Any:
    """Return the model inside a Parallelizer, since the campaign is ours to choose."""
    evaluator = getattr(getattr(model, "campaign", None), "evaluator", None)
    if evaluator is None:
        return model
    return getattr(evaluator, "wrapper", None) or getattr(evaluator, "function", model)


def _called(thing: Any, name: str) -> Any:
    """Return what a class or a function makes without arguments."""
    import inspect

    try:
        inspect.signature(thing).bind()
    except TypeError as error:
        msg = (
            f"{name} cannot be made without arguments ({error}); name an instance, as in "
            f"`beam = {name}(...)`, or a function without arguments that returns one"
        )
        raise ModelError(msg) from None
    except ValueError:  # it has no signature to read
        pass
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return thing()
    except OtwrapError:
        raise
    except Exception as error:  # whatever the user's code raises is told as that code's
        raise ModelError(f"{name}() could not be made: {type(error).__name__}: {error}") from error


def _resolve(text: str) -> tuple[Mapping[str, Any], str, str]:
    """Return the names of the module, what it is called, and the name that is asked for."""
    place, colon, attribute = text.rpartition(":")
    # The colon of a Windows drive is no separator.
    if not colon or not re.fullmatch(r"[^\W\d][\w.]*", attribute) or attribute.endswith(".py"):
        place, attribute = text, ""
    if not place:
        msg = f"{text!r} names no model; give path/to/file.py:Name or package.module:Name"
        raise ModelError(msg)
    is_file = place.endswith(".py") or os.sep in place or "/" in place
    module = _load_file(Path(place).expanduser()) if is_file else _load_module(place)
    return vars(module), place, attribute


def _attribute(names: Mapping[str, Any], attribute: str, module: str) -> Any:
    """Return what a name, maybe a dotted one, stands for."""
    first, *rest = attribute.split(".")
    if first not in names:
        close = difflib.get_close_matches(first, [name for name in names if not name.startswith("_")], 1)
        models = list(_candidates(names))
        hint = f"did you mean {close[0]!r}?" if close else f"its models are: {', '.join(models) or 'none'}"
        raise ModelError(f"{module} has no name {first!r}; {hint}")
    thing = names[first]
    for name in rest:
        if not hasattr(thing, name):
            raise ModelError(f"{module}: {_shortly(thing)} has no attribute {name!r}")
        thing = getattr(thing, name)
    return thing


def _only_candidate(names: Mapping[str, Any], module: str) -> tuple[str, Any]:
    """Return name and value of the one model of a module."""
    models = _candidates(names)
    instances = {name: thing for name, thing in models.items() if not isinstance(thing, type)}
    if len(instances) == 1:
        (kind,) = (type(thing) for thing in instances.values())
        # The class of the only instance, and what that inherits from, is not another model.
        models = {n: thing for n, thing in models.items() if n in instances or not issubclass(kind, thing)}
    if len(models) == 1:
        return next(iter(models.items()))
    if models:
        first = next(iter(models))
        msg = f"{module} has several models: {', '.join(models)}; say which one, as in {module}:{first}"
    else:
        msg = f"{module} has no model; {_ACCEPTED}, named as in {module}:Name"
    raise ModelError(msg)


def _candidates(names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the models of a module by name, each once: instances, and the classes it defines itself."""
    import openturns as ot

    found: dict[str, Any] = {}
    for name, thing in names.items():
        if name.startswith("_") or any(thing is other for other in found.values()):
            continue
        if isinstance(thing, type):
            is_own = issubclass(thing, ot.OpenTURNSPythonFunction) and thing.__module__ == names.get(
                "__name__"
            )
        else:
            is_own = _is_model(thing) and not hasattr(thing, "campaign")
        if is_own:
            found[name] = thing
    return found


#: Modules that were loaded from files, by name: another file of the same name takes the place.
_loaded: dict[str, str] = {}


def _load_file(path: Path) -> Any:
    """Import a file as a module."""
    path = path.absolute()
    if not path.is_file():
        near = sorted(file.name for file in path.parent.glob("*.py")) if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, near, 1)
        hint = f"did you mean {close[0]!r}?" if close else "give path/to/file.py:Name or package.module:Name"
        raise ModelError(f"there is no file {path}; {hint}")
    root, name = _module_name(path)
    _make_room(name, path)
    # The order is that of `python file.py`, with the package's own folder first.
    for folder in (str(path.parent), str(root)):
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    module = _import(name, str(path))
    found = getattr(module, "__file__", None)
    if found is None or not path.samefile(found):
        msg = f"{path} cannot be imported: {name!r} is also {found or 'a module of Python'}; rename the file"
        raise ModelError(msg)
    _loaded[name] = str(path)
    return module


def _module_name(path: Path) -> tuple[Path, str]:
    """Return the folder to put on the path, and the dotted name of a file below it."""
    if "." in path.stem:
        raise ModelError(f"{path} cannot be imported, for the dot in {path.stem!r}; rename the file")
    names, root = [path.stem], path.parent
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        names.insert(0, root.name)
        root = root.parent
    if names[-1] == "__init__" and len(names) > 1:
        names.pop()
    return root, ".".join(names)


def _make_room(name: str, path: Path) -> None:
    """Forget a module of the same name that was loaded from another file in an earlier call."""
    before = _loaded.get(name)
    if before is None or before == str(path):
        return
    sys.modules.pop(name, None)
    folder = str(Path(before).parent)
    if folder in sys.path:
        sys.path.remove(folder)


def _load_module(name: str) -> Any:
    """Import a module by its dotted name, from the current folder too."""
    # `python -m` looks there, and an installed command does not.
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    return _import(name, name)


def _import(name: str, shown: str) -> Any:
    """Import a module; what it prints goes to the standard error."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return importlib.import_module(name)
    except OtwrapError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            hint = f"; for a file, write {name}.py" if Path(f"{name}.py").is_file() else ""
            msg = f"there is no module {error.name!r} here or among the installed ones{hint}"
            raise ModelError(msg) from None
        raise ModelError(f"{shown} could not be loaded: {error}; is it installed?") from error
    except SystemExit as error:
        msg = f"{shown} ended the program; put what it runs under `if __name__ == '__main__':`"
        raise ModelError(msg) from error
    except Exception as error:  # whatever the user's file raises is told as that file's
        raise ModelError(f"{shown} could not be loaded: {_told(error, shown)}") from error


def _told(error: Exception, shown: str) -> str:
    """Return an error in words, with the line of the file where it came up."""
    lines = [number for file, number in _frames(error) if file == shown]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}{where}"


def _frames(error: Exception) -> Iterator[tuple[str, int]]:
    """Yield file and line of each call that an error went through."""
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame.f_code.co_filename, step.tb_lineno
        step = step.tb_next


def _as_distribution(thing: Any, name: str) -> Any:
    """Return a distribution, made by a call if need be."""
    if not hasattr(thing, "getSample") and callable(thing):
        thing = _called(thing, name)
    if not hasattr(thing, "getSample"):
        raise ModelError(
            f"{name} is {_shortly(thing)}; an ot.Distribution, or a function that returns one, is expected"
        )
    return thing


def _offer(names: Mapping[str, Any], wanted: str = "") -> str:
    """Return the distributions of a module as the end of a sentence."""
    known = [
        name for name, thing in names.items() if hasattr(thing, "getSample") and not isinstance(thing, type)
    ]
    close = difflib.get_close_matches(wanted, known, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f" (there are: {', '.join(known)})" if known else ""


def _shortly(thing: Any) -> str:
    """Return what a thing is, in a few words."""
    text = repr(thing)
    return text if len(text) < 60 and "\n" not in text else f"a {type(thing).__name__}"
