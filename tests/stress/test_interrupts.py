"""Ctrl-C at a real terminal, and SIGTERM: the terminal comes back, nothing runs on, nothing is lost."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kills import MARK, PATIENCE, living, send, wait_for

import otwrap as otw
from otwrap.testing.runs import read_runs

SCRIPT = Path(__file__).with_name("interrupted.py")
BACKENDS = ("serial", "threads", "multiprocessing", "joblib")
#: Seconds until the shell has its terminal again: what is promised is 3, on a machine that does nothing else.
AT_ONCE = 10.0
PROMPT = "ready> "

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
everywhere = pytest.mark.parametrize("backend", BACKENDS)
pytestmark = linux


class Terminal:
    """An interactive shell at a terminal of its own."""

    def __init__(self, folder: Path, mark: str) -> None:
        ours, theirs = pty.openpty()
        environment = {**os.environ, "PS1": PROMPT, MARK: mark, "TERM": "dumb", "HISTFILE": ""}
        self.shell = subprocess.Popen(
            [sys.executable, "-c", "import os, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
             "os.execvp('bash', ['bash', '--norc', '--noprofile', '--noediting', '-i'])"],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.terminal = ours
        self.text = ""
        self.read_to(PROMPT)

    def type(self, keys: str) -> None:
        """Type, without the return key."""
        os.write(self.terminal, keys.encode())

    def read_to(self, end: str, seconds: float = 60.0) -> str:
        """Return what is printed until something comes at the end of it."""
        start = len(self.text)
        deadline = time.monotonic() + seconds
        while not self.text[start:].endswith(end):
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {end!r} in {self.text[start:]!r}"
            self.text += os.read(self.terminal, 65536).decode(errors="replace")
        return self.text[start:]

    def command(self, text: str) -> str:
        """Type a command and return what it prints."""
        self.type(f"{text}\n")
        return self.read_to(PROMPT)

    def close(self) -> None:
        """Hang up."""
        self.shell.kill()
        self.shell.wait()
        os.close(self.terminal)


@pytest.fixture
def mark(tmp_path):
    """What tells the processes of a test from all others; those that are left are ended."""
    mark = f"{tmp_path.name}-{os.urandom(4).hex()}"
    yield mark
    send(list(living(mark)), signal.SIGKILL)


def running(folder):
    """Return how many codes hang."""
    return sum(run.end is None and run.point[0] > 0.5 for run in read_runs(folder / "code" / "runs.log"))


def is_busy(folder, backend, what):
    """Whether the quick points are done and as many codes hang as there can be."""
    done = [run for run in read_runs(folder / "code" / "runs.log") if run.end is not None]
    return len(done) >= (2 if what == "sample" else 0) and running(folder) >= (
        1 if backend == "serial" else 2
    )


def check_what_is_left(folder, done):
    """Check that what was finished is kept, and that no folder is left."""
    with otw.Store(folder / "study.sqlite", readonly=True) as store:
        store.select_last()
        assert {e.status for _, e in store.items()} <= {"done"}
        assert len(store) == done
    assert os.listdir(folder / "work") == []
    assert not (folder / "study.sqlite.lock").exists()


@everywhere
@pytest.mark.parametrize("what", ["sample", "montecarlo"])
def test_ctrl_c_gives_the_terminal_back(tmp_path, mark, backend, what):
    """At once, with the exit status that a shell expects, no code running on, and what is finished is kept."""
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    if backend == "joblib":
        pytest.importorskip("joblib")
    terminal = Terminal(tmp_path, mark)
    try:
        terminal.type(f"{sys.executable} {SCRIPT} {tmp_path} {backend} {what}\n")
        wait_for(lambda: is_busy(tmp_path, backend, what), 60, 0.02)
        time.sleep(0.2)
        finished = sum(run.end is not None for run in read_runs(tmp_path / "code" / "runs.log"))
        terminal.type("\x03")
        clock = time.monotonic()
        printed = terminal.read_to(PROMPT, AT_ONCE)
        print(f"{backend}, {what}: {time.monotonic() - clock:.2f} s")
        assert "KeyboardInterrupt" in printed
        assert "Segmentation" not in printed
        assert terminal.command("echo status $?").count("status 130") == 1
        # The shell itself is one.
        wait_for(lambda: len(living(mark)) == 1, PATIENCE)
        assert list(living(mark)) == [terminal.shell.pid]
    finally:
        terminal.close()
    check_what_is_left(tmp_path, finished)


@everywhere
def test_term_ends_everything(tmp_path, mark, backend):
    """SIGTERM, which batch systems send at the end of the walltime, leaves nothing after 5 s."""
    if backend == "joblib":
        pytest.importorskip("joblib")
    driver = subprocess.Popen(
        [sys.executable, SCRIPT, tmp_path, backend, "sample"], env={**os.environ, MARK: mark}
    )
    wait_for(lambda: is_busy(tmp_path, backend, "sample"), 60, 0.02)
    time.sleep(0.2)
    driver.terminate()
    assert driver.wait(PATIENCE) == -signal.SIGTERM
    wait_for(lambda: not living(mark), PATIENCE)
    assert living(mark) == {}
    with otw.Store(tmp_path / "study.sqlite", readonly=True) as store:
        store.select_last()
        assert len(store) == 2
    assert os.listdir(tmp_path / "work") == []


def test_a_script_that_catches_the_error_goes_on(tmp_path):
    """The error of an interrupted algorithm can be caught, and a later error of another kind is told as it is."""
    script = tmp_path / "study.py"
    script.write_text(
        """
import os, signal
import openturns as ot
import otwrap as otw
class Interrupted(ot.OpenTURNSPythonFunction):
    def __init__(self): super().__init__(1, 1)
    def _exec(self, x): os.kill(os.getpid(), signal.SIGINT); return x
f = otw.Parallelizer(Interrupted(), "serial")
try: ot.MemoizeFunction(f)([1.0])
except RuntimeError: print("caught")
raise RuntimeError("another one")
"""
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.returncode) == ("caught\n", 1)
    assert ended.stderr.endswith("RuntimeError: another one\n")
