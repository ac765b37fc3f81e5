"""The front for OpenTURNS: a model becomes an `ot.Function` that runs its samples as a campaign."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import openturns as ot

from .backends import Backend
from .campaign import Campaign, failure_value
from .errors import BackendUnavailable
from .store import Store

__all__ = ["Parallelizer"]


class Parallelizer(ot.Function):
    """A model as an `ot.Function` whose samples run in parallel and are all recorded.

    It works in every algorithm of OpenTURNS. Gradients and Hessians by finite differences go out as
    one sample, unless the model has its own.

    Parameters
    ----------
    model : Wrapper, ot.Function or ot.OpenTURNSPythonFunction
        What is evaluated.
    backend : str or Backend, optional
        Where: ``"multiprocessing"`` (default), ``"threads"``, ``"joblib"``, ``"serial"``, a name of
        otwrapy, or an instance.
    n_cpus : int, optional
        CPUs to use; -1 (default) means every CPU this process may use. The backend that is chosen
        runs, whatever the number is.
    verbosity : bool, optional
        Whether a progress bar is shown on a terminal or in a notebook. Default is `True`.
    dask_args, slurmcluster_kw, ipp_client_kw : dict, optional
        Arguments of otwrapy for backends that this version does not have.
    store : path or Store, optional
        Where evaluations are kept, and found again by the next run of the script. Default is memory.
    on_failure : {"raise", "nan"} or float, optional
        What stands for the output of a failed point: an error, after all other points have been
        finished and kept (default), nan, or a value.
    on_change, rerun_failed, stochastic, match_digits
        See :class:`otwrap.Campaign`.

    Attributes
    ----------
    campaign : Campaign
        The evaluations, the failures, the store.

    Raises
    ------
    BackendError, BackendUnavailable
        If there is no such backend, or something that it needs is missing.
    StoreError
        If the store cannot be used, or holds the evaluations of another model.

    Examples
    --------
    >>> import openturns as ot
    >>> import otwrap as otw
    >>> f = otw.Parallelizer(ot.SymbolicFunction(["x"], ["x^2"]), backend="threads")
    >>> isinstance(f, ot.Function)
    True
    >>> print(f([3.0]))
    [9]
    >>> f.close()
    """

    def __init__(
        self,
        model: Any,
        backend: str | Backend = "multiprocessing",
        n_cpus: int = -1,
        verbosity: bool = True,
        dask_args: Mapping[str, Any] | None = None,
        slurmcluster_kw: Mapping[str, Any] | None = None,
        ipp_client_kw: Mapping[str, Any] | None = None,
        *,
        store: str | os.PathLike[str] | Store | None = None,
        on_failure: str | float = "raise",
        on_change: str = "refuse",
        rerun_failed: bool | int | Mapping[str, int] = True,
        stochastic: bool = False,
        match_digits: int | None = None,
    ) -> None:
        _refuse_settings(dask_args=dask_args, slurmcluster_kw=slurmcluster_kw, ipp_client_kw=ipp_client_kw)
        failure_value(on_failure)
        self.campaign = Campaign(
            model,
            backend,
            n_cpus,
            store=store,
            on_change=on_change,
            rerun_failed=rerun_failed,
            stochastic=stochastic,
            match_digits=match_digits,
            verbosity=verbosity,
        )
        self._door = _Door(self.campaign, model, on_failure)
        super().__init__(self._door)

    def __call__(self, *arguments: Any) -> Any:
        """Evaluate a point or a sample; what goes wrong keeps its type."""
        self._door.raised = None
        try:
            return super().__call__(*arguments)
        except RuntimeError:
            raised = self._door.raised
            if raised is not None:
                raise raised from None
            raise

    def close(self) -> None:
        """End the backend and close the store."""
        self.campaign.close()

    def __enter__(self) -> Parallelizer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Door(ot.OpenTURNSPythonFunction):
    """What OpenTURNS calls."""

    def __init__(self, campaign: Campaign, model: Any, on_failure: str | float) -> None:
        inputs, outputs = campaign.evaluator.inputs, campaign.evaluator.outputs
        super().__init__(len(inputs), len(outputs))
        self.setInputDescription(list(inputs))
        self.setOutputDescription(list(outputs))
        self.campaign = campaign
        self.on_failure = on_failure
        #: OpenTURNS hands over only the text of an error, so the error itself waits here.
        self.raised: BaseException | None = None
        # OpenTURNS looks for these names to know that the model has its own derivatives.
        for name, public in (("_gradient", "gradient"), ("_hessian", "hessian")):
            own = getattr(model, name, None) or _analytical(model, public)
            if own is not None:
                setattr(self, name, own)

    def _exec(self, x: Sequence[float]) -> Sequence[float]:
        """Evaluate a point."""
        return self._exec_sample([x])[0]

    def _exec_sample(self, X: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
        """Evaluate a sample."""
        try:
            return self.campaign.outputs(X, self.on_failure)
        except BaseException as error:
            self.raised = error
            raise


def _analytical(model: Any, name: str) -> Any:
    """Return the derivative of an `ot.Function` that does not come from finite differences."""
    accessor = getattr(model, f"get{name.capitalize()}", None)
    if accessor is None or "FiniteDifference" in repr(accessor()):
        return None
    return getattr(model, name)


def _refuse_settings(**settings: Mapping[str, Any] | None) -> None:
    """Say so when settings are given for a backend that is not there, rather than drop them."""
    given = [name for name, value in settings.items() if value]
    if given:
        msg = (
            f"{', '.join(given)}: this version of otwrap has no dask, Slurm or ipyparallel backend; "
            "use 'multiprocessing', 'threads', 'joblib' or 'serial' without them"
        )
        raise BackendUnavailable(msg)
