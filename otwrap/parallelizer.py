"""The front for OpenTURNS: a model becomes an `ot.Function` that runs its samples as a campaign."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import openturns as ot

from .backends import Backend
from .backends._otwrapy import backend_of_otwrapy
from .campaign import Campaign
from .failures import failure_value
from .fields import common_mesh, components_of
from .idle import OneAtATime
from .process.interrupts import be_interruptible, end_as_interrupted
from .store import Store

__all__ = ["FieldFunction", "Parallelizer"]


class Parallelizer(ot.Function):
    """A model as an `ot.Function` whose samples run in parallel and are all recorded.

    It works in every algorithm of OpenTURNS. Gradients and Hessians by finite differences go out as
    one sample, unless the model has its own.

    Parameters
    ----------
    model : Wrapper, ot.Function, ot.OpenTURNSPythonFunction or ot.PointToFieldFunction
        What is evaluated. Outputs that are fields are flat here, one number per vertex; see :meth:`field`.
    backend : str or Backend, optional
        Where: ``"multiprocessing"`` (default), ``"threads"``, ``"joblib"``, ``"serial"``, ``"dask"`` and
        what else :func:`otwrap.backends.backend_names` returns, a name of otwrapy, or an instance.
    n_cpus : int, optional
        CPUs to use; -1 (default) means every CPU this process may use. The backend that is chosen
        runs, whatever the number is.
    verbosity : bool, optional
        Whether a progress bar is shown on a terminal or in a notebook. Default is `True`.
    dask_args, slurmcluster_kw, ipp_client_kw : dict, optional
        Arguments of otwrapy for its backends ``"dask/ssh"``, ``"dask/slurm"`` and ``"ipyparallel"``. An
        instance, such as ``otw.backends.Dask(...)``, says the same and more.
    store : path or Store, optional
        Where evaluations are kept, and found again by the next run of the script. Default is memory.
    on_failure : {"raise", "nan"} or float, optional
        What stands for the output of a failed point: an error, after all other points have been
        finished and kept (default), nan, or a value.
    on_change, rerun_failed, stochastic, match_digits, max_failures, straggler_factor, limits
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
        max_failures: int | float | None = None,
        straggler_factor: float | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        failure_value(on_failure)
        made = backend_of_otwrapy(
            backend, n_cpus, dask_args=dask_args, slurmcluster_kw=slurmcluster_kw, ipp_client_kw=ipp_client_kw
        )
        self._made: Backend | None = made if made is not backend else None
        self.campaign = Campaign(
            model,
            made,
            n_cpus,
            store=store,
            on_change=on_change,
            rerun_failed=rerun_failed,
            stochastic=stochastic,
            match_digits=match_digits,
            max_failures=max_failures,
            straggler_factor=straggler_factor,
            limits=limits,
            verbosity=verbosity,
        )
        self._door = _Door(self.campaign, model, on_failure)
        super().__init__(self._door)

    def __call__(self, *arguments: Any) -> Any:
        """Evaluate a point or a sample; what goes wrong keeps its type."""
        with self._door.errors_kept():
            return super().__call__(*arguments)

    def field(self, *names: str) -> FieldFunction:
        """Return outputs that are fields as an `ot.PointToFieldFunction`, on the same campaign.

        Parameters
        ----------
        *names : str
            Of the outputs; default is all that are fields. They must have one mesh.

        Returns
        -------
        function : FieldFunction
            A point in, the values at the vertices out; a sample in, an `ot.ProcessSample` out. It works
            until this function is closed.

        Raises
        ------
        ValueError
            If an output is no field, or the meshes differ.

        Examples
        --------
        >>> import openturns as ot
        >>> import otwrap as otw
        >>> grid = ot.RegularGrid(0.0, 0.5, 3)
        >>> line = ot.PythonPointToFieldFunction(1, grid, 1, lambda x: [[x[0] * t] for t in (0.0, 0.5, 1.0)])
        >>> f = otw.Parallelizer(ot.PointToFieldFunction(line), backend="threads")
        >>> print(f([2.0]))
        [0,1,2]
        >>> f.field()([[2.0], [4.0]]).getSize()
        2
        """
        return FieldFunction(self._door, names)

    def close(self) -> None:
        """End the backend and close the store."""
        self.campaign.close()
        if self._made is not None:
            self._made.close()

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
        self._alone = OneAtATime(campaign.backend, campaign.evaluator.cpus)
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
        before = self.campaign.evaluated
        be_interruptible()
        try:
            outputs = self.campaign.outputs(X, self.on_failure)
        except BaseException as error:
            self.raised = error
            if isinstance(error, KeyboardInterrupt):
                end_as_interrupted()
            raise
        self._alone.note(len(X), self.campaign.evaluated - before)
        return outputs

    def __deepcopy__(self, memo: dict[int, Any]) -> _Door:
        # OpenTURNS copies functions that it combines or renames; campaign and workers stay the same ones.
        return self

    @contextmanager
    def errors_kept(self) -> Iterator[None]:
        """Raise what was raised inside, where OpenTURNS made a RuntimeError of it."""
        self.raised = None
        try:
            yield
        except RuntimeError:
            if self.raised is not None:
                raise self.raised from None
            raise


class FieldFunction(ot.PointToFieldFunction):
    """Outputs of a model that are fields, as an `ot.PointToFieldFunction`; see :meth:`Parallelizer.field`.

    Parameters
    ----------
    door : object
        Of the :class:`Parallelizer` whose campaign it shares.
    names : sequence of str
        Of the outputs; if empty, all that are fields.

    Raises
    ------
    ValueError
        If an output is no field, or the meshes differ.

    Notes
    -----
    OpenTURNS' own algorithms call such functions one point at a time. A sample that is evaluated first,
    ``f.field()(X)``, runs in parallel, and its points are known afterwards.
    """

    def __init__(self, door: _Door, names: Sequence[str] = ()) -> None:
        self._door = door
        evaluator = door.campaign.evaluator
        names = list(names or evaluator.fields)
        mesh = common_mesh(evaluator.fields, names)
        where = [components_of(name, evaluator.outputs) for name in names]
        super().__init__(_FieldDoor(door, mesh, names, where))
        self._where = np.array(where).T

    def __call__(self, X: Any) -> Any:
        """Evaluate a point or a sample; what goes wrong keeps its type.

        Parameters
        ----------
        X : sequence of float, shape (input dimension,), or 2-d, shape (size, input dimension)
            The point, or the points.

        Returns
        -------
        Y : ot.Sample, shape (vertices, fields), or ot.ProcessSample
            The values of one field, or the fields of all points.
        """
        if np.ndim(X) < 2:
            with self._door.errors_kept():
                return super().__call__(X)
        fields = ot.ProcessSample(self.getOutputMesh(), 0, self.getOutputDimension())
        for output in self._door.campaign.outputs(X, self._door.on_failure):
            fields.add(ot.Sample(np.array(output)[self._where]))
        return fields


class _FieldDoor(ot.OpenTURNSPythonPointToFieldFunction):
    """What OpenTURNS calls for a field."""

    def __init__(self, door: _Door, mesh: ot.Mesh, names: list[str], where: list[list[int]]) -> None:
        super().__init__(len(door.campaign.evaluator.inputs), mesh, len(names))
        self.setInputDescription(list(door.campaign.evaluator.inputs))
        self.setOutputDescription(names)
        self.door = door
        self.where = where

    def _exec(self, x: Sequence[float]) -> list[tuple[float, ...]]:
        """Evaluate a point."""
        output = self.door._exec(x)
        return list(zip(*([output[i] for i in indices] for indices in self.where), strict=True))

    def __deepcopy__(self, memo: dict[int, Any]) -> _FieldDoor:
        return self


def _analytical(model: Any, name: str) -> Any:
    """Return the derivative of an `ot.Function` that does not come from finite differences."""
    accessor = getattr(model, f"get{name.capitalize()}", None)
    if accessor is None or "FiniteDifference" in repr(accessor()):
        return None
    return getattr(model, name)
