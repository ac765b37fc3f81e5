"""The distributions that a user can type, a closed table of those of OpenTURNS."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import OtwrapError
from ..parsers._words import hint
from .grammar import read_call

__all__ = ["KINDS", "DistributionError", "Law", "law_of", "suggested_law"]


class DistributionError(OtwrapError):
    """A typed text is no distribution.

    Examples
    --------
    >>> law_of("unifrom 0 1")
    Traceback (most recent call last):
    ...
    otwrap.drafts.distributions.DistributionError: 'unifrom' is no distribution (did you mean 'uniform'?)...
    """


class _Kind(NamedTuple):
    """A distribution of OpenTURNS by its typed name."""

    parameters: str
    least: int
    most: int
    template: str


#: Typed name -> parameters, how many of them, and the code that makes it.
KINDS = {
    "uniform": _Kind("low high", 2, 2, "ot.Uniform({})"),
    "normal": _Kind("mean std", 2, 2, "ot.Normal({})"),
    "lognormal": _Kind("mean std [shift]", 2, 3, "ot.ParametrizedDistribution(ot.LogNormalMuSigma({}))"),
    "triangular": _Kind("low mode high", 3, 3, "ot.Triangular({})"),
    "truncatednormal": _Kind("mean std low high", 4, 4, "ot.TruncatedNormal({})"),
    "beta": _Kind("alpha beta low high", 4, 4, "ot.Beta({})"),
    "gumbel": _Kind("mean std", 2, 2, "ot.ParametrizedDistribution(ot.GumbelMuSigma({}))"),
    "weibull": _Kind("mean std [shift]", 2, 3, "ot.ParametrizedDistribution(ot.WeibullMinMuSigma({}))"),
    "exponential": _Kind("rate [shift]", 1, 2, "ot.Exponential({})"),
    "values": _Kind("v1 v2 ... (equally probable)", 1, 1000, "ot.{discrete}([{}])"),
    "fixed": _Kind("value", 1, 1, "ot.Dirac({})"),
}


class Law(NamedTuple):
    """A distribution, as typed and as code.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    values : tuple of float
        Its parameters.
    """

    kind: str
    values: tuple[float, ...]

    @property
    def text(self) -> str:
        """How it is typed. str."""
        return " ".join([self.kind, *map(_short, self.values)])

    @property
    def code(self) -> str:
        """The Python expression that makes it. str."""
        shown = [f"[{value!r}]" if self.kind == "values" else repr(value) for value in self.values]
        return KINDS[self.kind].template.format(", ".join(shown), discrete=_discrete())

    @property
    def discrete(self) -> bool:
        """Whether it has nothing but its values. bool."""
        return self.kind in ("values", "fixed")

    def make(self) -> Any:
        """Return the distribution.

        Returns
        -------
        distribution : ot.Distribution

        Raises
        ------
        DistributionError
            If OpenTURNS refuses the parameters.

        Examples
        --------
        >>> Law("uniform", (0.0, 1.0)).make()
        class=Uniform name=Uniform dimension=1 a=0 b=1
        """
        import openturns as ot

        values: tuple[Any, ...] = self.values
        if self.kind == "values":
            values = ([[value] for value in values],)
        names = KINDS[self.kind].template.format("", discrete=_discrete())
        *around, inner = names.replace("ot.", "").split("(")[:-1]
        try:
            thing = getattr(ot, inner)(*values)
            return getattr(ot, around[0])(thing) if around else thing
        except (TypeError, RuntimeError, ValueError) as error:
            first = str(error).strip().splitlines()[-1]
            raise DistributionError(
                f"{self.text!r} is refused by OpenTURNS: {first} ({self.kind} {KINDS[self.kind].parameters})"
            ) from None


def law_of(text: str) -> Law | None:
    """Read a distribution.

    Parameters
    ----------
    text : str
        One of :data:`KINDS` and its parameters, as ``uniform 0.9 1.1`` or ``values 1:1:5``; or ``none``.

    Returns
    -------
    law : Law or None

    Raises
    ------
    GrammarError, DistributionError
        If it is none of them.

    Examples
    --------
    >>> law_of("normal(1, 0.1)").code
    'ot.Normal(1.0, 0.1)'
    """
    name, values = read_call(text)
    if name == "none" and not values:
        return None
    kinds = ", ".join(f"{name} {kind.parameters}" for name, kind in KINDS.items())
    if name not in KINDS:
        raise DistributionError(
            f"{name!r} is no distribution{hint(name, [*KINDS, 'none'])}; accepted are {kinds}, and none"
        )
    kind = KINDS[name]
    if not kind.least <= len(values) <= kind.most:
        raise DistributionError(
            f"{text!r} has {len(values)} value(s) after {name!r}; give {name} {kind.parameters}"
        )
    law = Law(name, tuple(values))
    law.make()
    return law


def suggested_law(nominal: float, whole: bool = False) -> Law | None:
    """Return a distribution to begin with: 10 % to both sides.

    Parameters
    ----------
    nominal : float
        The nominal value.
    whole : bool, optional
        Whether only whole numbers are possible. Default is false.

    Returns
    -------
    law : Law or None
        None around zero, of which 10 % are nothing.

    Examples
    --------
    >>> suggested_law(-100.0).text, suggested_law(101.0, whole=True).text
    ('uniform -110 -90', 'values 91 101 111')
    """
    if nominal == 0.0:
        return None
    if whole:
        step = max(1.0, float(round(abs(nominal) / 10)))
        return Law("values", (nominal - step, nominal, nominal + step))
    ends = sorted(float(f"{nominal * factor:.12g}") for factor in (0.9, 1.1))
    return Law("uniform", tuple(ends))


def _discrete() -> str:
    """Return the class of a few values, which has another name since OpenTURNS 1.27."""
    import openturns as ot

    name = "FiniteDiscreteDistribution"
    return name if hasattr(ot, name) else "UserDefined"


def _short(value: float) -> str:
    """Return a number as one would type it."""
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
