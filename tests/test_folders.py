"""Work directories that are used again."""

import os
import pickle
import subprocess
import sys
import time

import pytest

from otwrap.errors import OutputError
from otwrap.folders import WorkFolders, check_fresh, file_stamps


def test_a_folder_is_emptied_and_serves_again(tmp_path):
    """What an evaluation leaves, read-only folders included, is gone when the folder is handed out again."""
    folders = WorkFolders(str(tmp_path))
    folder = folders.take()
    os.makedirs(f"{folder}/sub/deep")
    open(f"{folder}/sub/deep/file", "w").close()
    os.chmod(f"{folder}/sub/deep", 0o500)
    os.symlink("/", f"{folder}/root")
    folders.give_back(folder)
    assert folders.take() == folder
    assert os.listdir(folder) == []
    assert os.path.isdir("/usr")


def test_a_spare_folder_that_was_cleaned_away_is_replaced(tmp_path):
    """A cleaner of temporary files may take a spare folder; the next evaluation gets another."""
    folders = WorkFolders(str(tmp_path))
    folder = folders.take()
    folders.give_back(folder)
    os.rmdir(folder)
    assert os.path.isdir(folders.take())


def test_the_name_of_a_kept_folder_is_short_and_has_the_number(tmp_path):
    """Forty inputs do not make a long name: it has the number of the point."""
    folders = WorkFolders(str(tmp_path))
    kept = folders.keep(folders.take(), 7)
    assert os.path.basename(kept).startswith("run-000007-")
    assert len(os.path.basename(kept)) < 30


def test_spare_folders_stay_at_home(tmp_path):
    """A copy that travels to a worker does not share the spare folders of its origin."""
    folders = WorkFolders(str(tmp_path))
    folders.give_back(folders.take())
    assert pickle.loads(pickle.dumps(folders)).take() != folders.take()


def test_a_file_that_was_not_written_is_stale(tmp_path):
    """Only a file that changed since its stamp is an output of the run."""
    (tmp_path / "out").write_text("1")
    before = file_stamps(str(tmp_path), ["out", "missing"])
    assert list(before) == ["out"]
    with pytest.raises(OutputError, match="older than the run"):
        check_fresh(str(tmp_path), before)
    (tmp_path / "out").write_text("22")
    check_fresh(str(tmp_path), before)


SCRIPT = """
import os, signal, sys
from otwrap.folders import WorkFolders
folders = WorkFolders(sys.argv[1])
spare, used = folders.take(), folders.take()
folders.give_back(spare)
kept = folders.keep(folders.take(), 1)
print(kept, flush=True)
if sys.argv[2] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["end", "kill"])
def test_no_folder_is_left_by_a_process_that_ends(tmp_path, how):
    """However the process ends, what is left is what was kept."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path), how], capture_output=True, text=True)
    kept = os.path.basename(ended.stdout.strip())
    deadline = time.monotonic() + 5.0
    while os.listdir(tmp_path) != [kept] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert os.listdir(tmp_path) == [kept]
