"""The model of a submission, from its own folder: only where it is known to be what was written."""

from __future__ import annotations

import os
import sys
from typing import Any

from ..batch import BatchFolder
from ..errors import OtwrapError
from ..payload import load_payload
from ..store import Store

__all__ = ["check_model", "model_of"]


def check_model(folder: BatchFolder, evaluator: Any) -> None:
    """Raise if a model is not the one that was submitted; its parsers may differ.

    Parameters
    ----------
    folder : BatchFolder
        Of the submission.
    evaluator : Evaluator
        Of the model.

    Raises
    ------
    OtwrapError
        If it is another one.
    """
    now = {"inputs": list(evaluator.inputs), "outputs": list(evaluator.outputs), **evaluator.fingerprints()}
    then = folder.model
    changed = [name for name in ("inputs", "outputs", "input", "run") if now.get(name) != then.get(name)]
    if changed:
        words = {"input": "the templates or input files", "run": "the command or the version of the code"}
        what = ", ".join(words.get(name, f"the {name}") for name in changed)
        msg = (
            f"{folder.path} was prepared by another model: what changed is {what}. Prepare it again, or collect "
            "with the model that prepared it"
        )
        raise OtwrapError(msg)


def model_of(folder: BatchFolder, store: str) -> Any:
    """Return the evaluator that was submitted.

    Loading it runs what the file says. It is loaded only if the store, which never left this machine, has noted
    what the file was.

    Parameters
    ----------
    folder : BatchFolder
        Of the submission.
    store : str
        The path of the store that the submission was noted in.

    Returns
    -------
    evaluator : Evaluator

    Raises
    ------
    OtwrapError
        If the store does not know the submission, or the model cannot be loaded.
    """
    payload = folder.payload()
    if folder.about["payload"] not in _noted(store):
        msg = (
            f"{folder.path} may come from anywhere: the store {store} has not noted its model. Name the model, as in "
            "`otwrap collect FOLDER --model FILE.py:NAME`, or the store that it was submitted with"
        )
        raise OtwrapError(msg)
    # Last: modules that this process has are the user's of today.
    sys.path += [str(folder.path / "model"), *folder.about.get("path", ())]
    try:
        return load_payload(payload)
    except Exception as error:  # whatever the user's modules raise: the way out is the same
        msg = (
            f"the model of {folder.path} cannot be loaded here ({type(error).__name__}: {error}); name it, as in "
            "`otwrap collect FOLDER --model FILE.py:NAME`"
        )
        raise OtwrapError(msg) from error


def _noted(path: str) -> set[str]:
    """Return the models of the submissions that a store has noted."""
    if not os.path.exists(path):
        return set()
    with Store(path, readonly=True) as store:
        numbers = [number for number, _ in store.models()]
        found = set()
        for number in numbers:
            store.select_number(number)
            found |= {ticket.payload for ticket in store.submissions()}
    return found
