"""The door to ``ot.Function``: a decorator for wrapper classes."""

from __future__ import annotations

import copy
import sys
from typing import Any

import openturns as ot

__all__ = ["FunctionDecorator"]


class FunctionDecorator:
    """Decorate a wrapper class so that its instances are functions of OpenTURNS.

    Parameters
    ----------
    enableCache : bool, optional
        Whether a function remembers the points that it was called at. Default is true. A `Campaign`
        remembers more, and across runs.
    doc : str, optional
        Documentation of the class and the functions. Default is that of the class.

    Notes
    -----
    The decorated class is a subclass of the original one, which it keeps as ``__wrapper__``. It can be
    subclassed in turn: instances of the subclass are functions too. The functions can be pickled if
    the original's instances can; a copy starts with an empty memory. The attributes of the instance,
    and the methods of ``ot.MemoizeFunction`` if there is a memory, can be read on the function.

    Examples
    --------
    >>> import openturns as ot
    >>> import otwrap as otw
    >>> @otw.FunctionDecorator(enableCache=True)
    ... class Sum(ot.OpenTURNSPythonFunction):
    ...     def __init__(self, dimension):
    ...         super().__init__(dimension, 1)
    ...         self.calls = 0
    ...     def _exec(self, x):
    ...         self.calls += 1
    ...         return [sum(x)]
    >>> f = Sum(2)
    >>> isinstance(f, ot.Function)
    True
    >>> print(f([1, 2]), f([1, 2]), f.calls)
    [3] [3] 1
    """

    def __init__(self, enableCache: bool = True, doc: str | None = None) -> None:
        given: object = enableCache
        if isinstance(given, type):
            raise TypeError(
                f"enableCache is true or false, not {given!r}; write @FunctionDecorator(), with parentheses"
            )
        self.enableCache = bool(enableCache)
        self.doc = doc

    def __call__(self, wrapper: type) -> type:
        """Return the decorated class.

        Parameters
        ----------
        wrapper : type
            A subclass of ``ot.OpenTURNSPythonFunction``, or any class that ``ot.Function`` takes.

        Returns
        -------
        decorated : type
            It is called as `wrapper` is, and returns an ``ot.Function``.

        Raises
        ------
        TypeError
            `wrapper` is no class.
        """
        if not isinstance(wrapper, type):
            raise TypeError(f"FunctionDecorator decorates a class, not {wrapper!r}")
        bases = (wrapper,) if issubclass(wrapper, _Decorated) else (_Decorated, wrapper)
        return type(wrapper)(
            wrapper.__name__,
            bases,
            {
                "__module__": wrapper.__module__,
                "__qualname__": wrapper.__qualname__,
                "__doc__": wrapper.__doc__ if self.doc is None else self.doc,
                "__wrapper__": wrapper,
                "_otwrap_options": (self.enableCache, self.doc),
            },
        )


class _Decorated:
    """What a decorated class does; without closures, so that a class of a script can be pickled."""

    __wrapper__: type
    _otwrap_options: tuple[bool, str | None]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        wrapper = _bare(cls, *args, **kwargs)
        wrapper.__init__(*args, **kwargs)
        return _DecoratedFunction(wrapper)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "_otwrap_in_init" in self.__dict__:
            # `super(Beam, self).__init__(4, 1)` in the class Beam: the name Beam now means the
            # decorated class, whose parent is the original one, which is asking.
            original: Any = _original(type(self))
            super(original, self).__init__(*args, **kwargs)
            return
        self.__dict__["_otwrap_in_init"] = True
        try:
            super().__init__(*args, **kwargs)
        finally:
            self.__dict__.pop("_otwrap_in_init", None)

    def __reduce_ex__(self, protocol: Any) -> Any:
        reduced = super().__reduce_ex__(max(int(protocol), 2))
        if not isinstance(reduced, tuple) or getattr(reduced[0], "__name__", "") != "__newobj__":
            return reduced
        cls, *args = reduced[1]
        return (_revived, (_named(cls), *args), *reduced[2:])


def _original(cls: type) -> type:
    """The class that stands behind the decoration in a class' line of parents."""
    line = cls.__mro__
    return line[line.index(_Decorated) + 1]


def _bare(cls: type, *args: Any, **kwargs: Any) -> Any:
    """An instance of a decorated class, not yet initialised, that is no function."""
    make: Any = super(_Decorated, cls).__new__  # type: ignore[misc]
    return make(cls) if make is object.__new__ else make(cls, *args, **kwargs)


def _named(cls: type) -> Any:
    """How to find a class again: itself, or the original if that has the name."""
    found: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        found = getattr(found, name, None)
    if found is cls.__dict__.get("__wrapper__"):
        return (found, *cls.__dict__["_otwrap_options"])
    return cls


def _revived(named: Any, *args: Any) -> Any:
    """An instance of a decorated class from a pickle, before its state."""
    if isinstance(named, tuple):
        original, enable_cache, doc = named
        return _bare(FunctionDecorator(enable_cache, doc)(original), *args)
    return _bare(named, *args)


class _DecoratedFunction(ot.Function):
    """The function of one instance of a decorated class."""

    def __init__(self, wrapper: Any) -> None:
        function = ot.Function(wrapper)
        memory = None
        if type(wrapper)._otwrap_options[0]:
            memory = ot.MemoizeFunction(function)
            memory.disableHistory()
        super().__init__(function if memory is None else memory)
        self._wrapper = wrapper
        self._memory = memory
        self.__doc__ = type(wrapper).__doc__

    def __getattr__(self, name: str) -> Any:
        # Asked only for what ot.Function has not. A half made object has no wrapper yet.
        for source in ("_wrapper", "_memory"):
            found = self.__dict__.get(source)
            if found is not None and hasattr(found, name):
                return getattr(found, name)
        raise AttributeError(f"{type(self.__dict__.get('_wrapper')).__name__!r} has no attribute {name!r}")

    def __reduce__(self) -> Any:
        return _function_of, (
            self._wrapper,
            list(self.getInputDescription()),
            list(self.getOutputDescription()),
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__reduce__()

    def __copy__(self) -> Any:
        function, args = self.__reduce__()
        return function(*args)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        function, args = self.__reduce__()
        return function(*copy.deepcopy(args, memo))


def _function_of(wrapper: Any, inputs: list[str], outputs: list[str]) -> _DecoratedFunction:
    """A function from a pickle, with the descriptions it had."""
    function = _DecoratedFunction(wrapper)
    if [list(function.getInputDescription()), list(function.getOutputDescription())] != [inputs, outputs]:
        function.setInputDescription(inputs)
        function.setOutputDescription(outputs)
    return function
