"""The door for executors of one's own: what it asks of them, and what it gives back."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor

import openturns as ot
import pytest

import otwrap as otw
from otwrap.backends import Executor


class WhoAmI(ot.OpenTURNSPythonFunction):
    """Sleeps as long as it is told and returns the number of its process."""

    def __init__(self):
        super().__init__(2, 1)

    def _exec(self, x):
        import os
        import time

        time.sleep(x[1])
        return [os.getpid()]


def test_a_killed_worker_of_loky_costs_no_point():
    """`kill -9` in the middle of 200 points: 200 answers, although loky itself would break."""
    loky = pytest.importorskip("joblib.externals.loky")
    points = [[float(i), 0.005] for i in range(200)]
    with loky.ProcessPoolExecutor(2) as executor:
        with otw.Campaign(WhoAmI(), executor) as campaign:
            for number, evaluation in enumerate(campaign.run(points)):
                assert evaluation.done, evaluation.error
                if number == 50:
                    os.kill(int(evaluation.output[0]), signal.SIGKILL)
            assert len(campaign.evaluations) == 200
            assert len({evaluation.output for evaluation in campaign.evaluations}) == 3
        # The executor itself has not noticed.
        assert executor.submit(int, "3").result() == 3


def test_an_executor_is_not_shut_down_and_its_places_are_given_back():
    """After `close` the executor serves whoever asks, with all its places."""
    with ThreadPoolExecutor(1) as executor:
        with otw.Campaign(WhoAmI(), executor) as campaign:
            campaign.outputs([[1.0, 0.0]])
            assert campaign.backend.executor is executor
        assert executor.submit(int, "3").result(timeout=5) == 3


def test_the_end_of_an_executor_does_not_hang(monkeypatch):
    """A `with` block of an executor ends although nobody has closed the function; idle workers leave."""
    monkeypatch.setattr("otwrap.backends.executor.IDLE", 0.5)
    clock = time.monotonic()
    with ThreadPoolExecutor(2) as executor:
        function = otw.Parallelizer(WhoAmI(), executor, verbosity=False)
        assert function([1.0, 0.0])[0] != os.getpid()
    assert time.monotonic() - clock < 30
    # They come back when there is something to do, if there is an executor.
    with ThreadPoolExecutor(2) as executor:
        function.campaign.backend.executor = executor
        assert function([2.0, 0.0])[0] != os.getpid()
        function.close()


def test_a_script_that_forgets_its_executor_ends(tmp_path):
    """The interpreter waits for places of an executor, and gets them back."""
    script = tmp_path / "study.py"
    script.write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import openturns as ot, otwrap as otw\n"
        "import otwrap.backends.executor as door\n"
        "door.IDLE = 0.5\n"
        "f = otw.Parallelizer(ot.SymbolicFunction(['x'], ['2 * x']), ThreadPoolExecutor(2))\n"
        "print(f([3.0]))\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "[6]\n"


LATE = """
import time
from concurrent.futures import ThreadPoolExecutor
import openturns as ot, otwrap as otw
import otwrap.backends.executor as door
door.IDLE = 0.5
class Late(ThreadPoolExecutor):
    seconds = [0.0, 1.0]
    def submit(self, function, *arguments):
        delay = self.seconds.pop(0) if self.seconds else 0.0
        return super().submit(lambda: time.sleep(delay) or function(*arguments))
executor = Late(2)
f = otw.Parallelizer(ot.SymbolicFunction(["x"], ["2 * x"]), executor, 2, verbosity=False)
print(*f([[3.0], [4.0]]))
REST
"""


@pytest.mark.parametrize(
    ("rest", "said"),
    [("", "[6] [8]\n"), ("time.sleep(3.0); print(*f([[5.0], [6.0], [7.0]]))", "[6] [8]\n[10] [12] [14]\n")],
    ids=["and the script ends", "and leaves, and another one is started"],
)
def test_a_worker_that_comes_when_all_is_done_does_not_wait(rest, said, tmp_path):
    """It comes late, finds nobody who takes it in, and gives its place back."""
    script = tmp_path / "study.py"
    script.write_text(LATE.replace("REST", rest))
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == said


def test_the_number_of_places_is_the_executors():
    """`n_cpus=-1` means as many as it has; one that does not say so is asked for `n_cpus`."""
    with ThreadPoolExecutor(3) as executor:
        assert Executor(executor)._places() == 3

    class Silent:
        def submit(self, function, *arguments):
            raise AssertionError

    with otw.Campaign(WhoAmI(), Silent()) as campaign, pytest.raises(ValueError, match="give n_cpus="):
        campaign.outputs([[1.0, 0.0]])


def test_what_is_no_executor_is_told():
    """Without `submit` it is a mistake, told at once; so is a class."""
    with pytest.raises(TypeError, match=r"no method submit\(function, \*arguments\)"):
        Executor(object())
    with pytest.raises(otw.BackendError, match="an executor with submit"):
        otw.Campaign(WhoAmI(), ThreadPoolExecutor)


@pytest.mark.parametrize("problem", [OSError("no licence for workers"), None])
def test_an_executor_that_starts_nothing_is_told(problem):
    """A call that fails, or returns with no worker, is the backend's failure: nothing hangs."""

    class Broken:
        def submit(self, function, *arguments):
            future = Future()
            if problem is None:
                future.set_result("")
            else:
                future.set_exception(problem)
            return future

    with (
        otw.Campaign(WhoAmI(), Broken(), 2) as campaign,
        pytest.raises(otw.BackendError, match="no licence for workers" if problem else "returned at once"),
    ):
        campaign.outputs([[1.0, 0.0]])
