"""The folder of a submission: points for the array tasks of a batch system, and what comes of them.

::

    FOLDER/README.txt        what to type
    FOLDER/submission.json   what it is
    FOLDER/design.csv        the points, one a line
    FOLDER/model.bin         the model, with files/ and model/ that it needs    where otwrap is on the nodes
    FOLDER/point-000000/     the input of a point, and its run.sh               where it is not
    FOLDER/jobs/001/         an array: script, tasks.txt, id, logs, records

One folder can be read by a person, copied to a cluster and back, and taken up by any process on any day. Nothing in
it is written twice by two processes: each task has files of its own.
"""

from __future__ import annotations

from .folder import BatchFolder
from .jobs import JobFolder
from .writing import WAYS, check_target, write_folder

__all__ = ["WAYS", "BatchFolder", "JobFolder", "check_target", "write_folder"]
