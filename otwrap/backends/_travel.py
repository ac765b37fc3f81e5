"""The files that travel to a worker on another machine."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from ..fingerprints import files_fingerprint
from ..process.registry import watch_folder

__all__ = ["list_of_files", "pack_files", "with_files"]


def list_of_files(files: Sequence[str]) -> bytes:
    """Return what a worker needs to know which files it has at the same place.

    Parameters
    ----------
    files : sequence of str
        Absolute paths of files and folders.

    Returns
    -------
    message : bytes
        For :func:`with_files`.
    """
    return pickle.dumps([(path, files_fingerprint([path])) for path in files])


def pack_files(files: Sequence[str], wanted: Sequence[int]) -> bytes:
    """Return files that a worker asks for.

    Parameters
    ----------
    files : sequence of str
        Absolute paths of files and folders.
    wanted : sequence of int
        Which of them.

    Returns
    -------
    message : bytes
        For :func:`with_files`.
    """
    stream = io.BytesIO()
    # What a link points to travels: it is not there at the other end.
    with tarfile.open(fileobj=stream, mode="w", dereference=True) as archive:
        for number in wanted:
            archive.add(files[number], arcname=f"{number}/{os.path.basename(files[number])}")
    return stream.getvalue()


def with_files(evaluate: Any, connection: Connection[Any, Any]) -> Any:
    """Return an evaluator whose files are those of this machine; what is missing goes to a temporary folder.

    Parameters
    ----------
    evaluate : Evaluator
        As it came.
    connection : Connection
        To the driver, which sends :func:`list_of_files` and, when asked, :func:`pack_files`.

    Returns
    -------
    evaluate : Evaluator
    """
    there = pickle.loads(connection.recv_bytes())
    if not there:
        return evaluate
    missing = [i for i, (path, digest) in enumerate(there) if not _is_here(path, digest)]
    connection.send_bytes(pickle.dumps(("files", missing)))
    folder = tempfile.mkdtemp(prefix="otwrap-files-") if missing else ""
    if folder:
        # This process ends where it stands when the driver is gone: its guardian removes the folder.
        watch_folder(folder)
    with tarfile.open(fileobj=io.BytesIO(connection.recv_bytes())) as archive:
        archive.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(
            folder
        )
    places = [
        os.path.join(folder, str(i), os.path.basename(path)) if i in missing else path
        for i, (path, _) in enumerate(there)
    ]
    evaluate.use_files(places)
    return evaluate


def _is_here(path: str, digest: dict[str, str]) -> bool:
    """Whether a file or folder with the same content is at the same place here, as on a shared file system."""
    try:
        return os.path.exists(path) and files_fingerprint([path]) == digest
    except OSError:
        return False
