"""How a campaign is going: done, failed, rate and time left, on a terminal or in a notebook only."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .evaluation import Evaluation

__all__ = ["Progress"]


class Progress:
    """A progress bar that stays silent in batch logs.

    Parameters
    ----------
    total : int
        Number of points.
    shown : bool
        Whether a bar is wanted.

    Examples
    --------
    >>> from otwrap import Evaluation
    >>> with Progress(10, shown=False) as progress:
    ...     progress.advance([(0, Evaluation((1.0,), (2.0,)))])
    """

    def __init__(self, total: int, *, shown: bool) -> None:
        self._causes: Counter[str] = Counter()
        self._bar: Any = None
        if shown and total > 1 and _visible():
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, unit="point", dynamic_ncols=True)

    def advance(self, batch: Sequence[tuple[int, Evaluation]]) -> None:
        """Count points that have ended.

        Parameters
        ----------
        batch : sequence of (int, Evaluation)
            What ended together.
        """
        if self._bar is None:
            return
        failed = [
            evaluation.cause or evaluation.status for _, evaluation in batch if evaluation.output is None
        ]
        if failed:
            self._causes.update(failed)
            causes = ", ".join(f"{cause} {count}" for cause, count in self._causes.most_common(3))
            self._bar.set_postfix_str(f"failed {self._causes.total()}: {causes}", refresh=False)
        self._bar.update(len(batch))

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def _visible() -> bool:
    """Return whether somebody looks: a terminal, or a notebook's kernel."""
    if "ipykernel" in sys.modules:
        return True
    return bool(getattr(sys.stderr, "isatty", lambda: False)())
