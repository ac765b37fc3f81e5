"""One writer at a time."""

import os
import signal
import subprocess
import sys
import time

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


def test_a_forked_child_does_not_hold_on(tmp_path):
    """A child that outlives a driver killed with -9 does not keep the lock, nor take it away by ending."""
    script = """
import os, sys, time
from otwrap.locks import FileLock
lock = FileLock(sys.argv[1])
assert lock.acquire()
if sys.argv[2] == "end" and os.fork() == 0:
    sys.exit()
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
if sys.argv[2] == "end":
    os.wait()
print(child, flush=True)
time.sleep(60)
"""
    for word in ("end", "stay"):
        path = str(tmp_path / word)
        driver = subprocess.Popen([sys.executable, "-c", script, path, word], stdout=subprocess.PIPE)
        child = int(driver.stdout.readline())
        lock = FileLock(path)
        try:
            assert not lock.acquire()
            driver.kill()
            driver.wait()
            # A child that was made just now may still be about to let go.
            deadline = time.monotonic() + 5
            while not (acquired := lock.acquire()) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert acquired
            lock.release()
        finally:
            os.kill(child, signal.SIGKILL)
            driver.stdout.close()
