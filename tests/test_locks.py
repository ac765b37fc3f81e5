"""One writer at a time."""

import subprocess
import sys

from otwrap.locks import FileLock

HOLD = """
import sys, time
from otwrap.locks import FileLock
assert FileLock.acquire(lock := FileLock(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_ends_with_its_process_even_by_kill(tmp_path):
    """A driver killed with -9 leaves no lock behind."""
    path = str(tmp_path / "lock")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    lock = FileLock(path)
    assert not lock.acquire()
    assert str(holder.pid) in lock.holder()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert lock.acquire()
    lock.release()


def test_codes_that_are_run_do_not_inherit_the_lock(tmp_path):
    """A code that outlives the driver does not hold its store."""
    path = str(tmp_path / "lock")
    lock, other = FileLock(path), FileLock(path)
    assert lock.acquire()
    code = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    lock.release()
    try:
        assert other.acquire()
        other.release()
    finally:
        code.kill()
        code.wait()


def test_nothing_is_left_of_a_lock_that_was_released(tmp_path):
    """The lock file goes with the lock, and the next one is another's to take."""
    path = tmp_path / "lock"
    lock = FileLock(str(path))
    assert lock.acquire()
    lock.release()
    assert not path.exists()
    other = FileLock(str(path))
    assert other.acquire()
    assert not lock.acquire()
    other.release()
