"""Another machine, by ssh: commands that run there, and the folder of a submission there and back.

``push`` sends a folder, ``pull`` brings what came of it, with rsync where both sides have it, else by SFTP (the
package asyncssh). Everything goes through the user's own configuration of ssh, or that of the file which the
environment variable ``OTWRAP_SSH_CONFIG`` names. Host keys are always checked, and an unknown one is refused;
nothing asks for a password.

One side writes each file, and so each name belongs to one side:

=============================================  ==================================================================
names                                          what happens to them
=============================================  ==================================================================
``README.txt submission.json design.csv``      made here: `push` sends them whenever they differ; `pull` brings
``model.bin model/ files/``, and in a job      one only if it is missing here, and never replaces it
``*.sh *.sub tasks.txt job.json``
``attempts.json cancelled``
``jobs/*/id``                                  the first one counts: never sent; brought if it is missing here
``jobs/*/records/``                            made there: never sent. A record file here only grows: one that is
                                               no continuation of it is kept beside it
``jobs/*/logs/ kept/``, ``exit_code.txt``      made there: never sent; brought whenever they differ
and ``times.txt`` of a point
``point-*/``, else                             made here until the run has ended, so nothing of a point whose
                                               ``exit_code.txt`` is here is sent, and nothing is brought of one
                                               that has none there; of the others, a newer file is not replaced
``earlier/``                                   each side's own: neither sent nor brought. `push` puts the folder of a
                                               point there that was put aside here, so that the point runs again
anything else                                  the newer one counts
=============================================  ==================================================================

Nothing is ever deleted on either side, and two submissions are never mixed: the ``id`` in ``submission.json`` has to be
the same at both ends. A file has its final name only when it is whole; of a point that a shell runs,
``exit_code.txt`` comes last, when its outputs are here: whoever finds it can read them. A `pull` of the small
:data:`RESULTS` alone, as for a status, leaves it in the folder :data:`THERE`.
"""

from __future__ import annotations

from .places import Place
from .shells import RemoteShell, Shell, shell_of
from .transfer import RESULTS, THERE, Transfer, pull, push

__all__ = ["RESULTS", "THERE", "Place", "RemoteShell", "Shell", "Transfer", "pull", "push", "shell_of"]
