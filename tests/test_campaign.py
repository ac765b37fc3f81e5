"""The evaluation of many points."""

import fcntl
import os
import pathlib
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import openturns as ot
import pytest

import otwrap as otw


class Counting(ot.OpenTURNSPythonFunction):
    """A function that counts its evaluations, and fails where its input is negative."""

    def __init__(self, fail=True):
        super().__init__(1, 1)
        self.fail = fail
        self.calls = 0

    def _exec(self, x):
        self.calls += 1
        if self.fail and x[0] < 0.0:
            raise ValueError("negative")
        return [x[0] ** 2]


def test_known_points_are_not_run_again(tmp_path):
    """A second campaign on the same store serves what the first recorded."""
    model = Counting()
    with otw.Campaign(model, "serial", store=tmp_path / "s") as campaign:
        campaign.outputs([[1.0], [2.0]])
    with otw.Campaign(model, "serial", store=tmp_path / "s") as campaign:
        assert campaign.outputs([[2.0], [3.0], [1.0]]) == [(4.0,), (9.0,), (1.0,)]
    assert model.calls == 3


def test_one_failing_point_loses_nothing(tmp_path):
    """All others are finished and kept first; the error lists the failed ones with their reasons."""
    model = Counting()
    with otw.Campaign(model, "serial", store=tmp_path / "s") as campaign:
        with pytest.raises(otw.SampleError, match=r"(?s)1 of 3 points failed.*negative") as caught:
            campaign.outputs([[1.0], [-2.0], [3.0]])
        assert [index for index, _ in caught.value.failures] == [1]
        assert len(campaign.failures()) == 1
        X, Y = campaign.clean()
        assert (X.tolist(), Y.tolist()) == ([[1.0], [3.0]], [[1.0], [9.0]])
        model.fail = False
        assert campaign.outputs([[1.0], [-2.0], [3.0]]) == [(1.0,), (4.0,), (9.0,)]
        assert campaign.failures() == []
    assert model.calls == 4


def test_failed_points_have_a_number_of_attempts_over_all_calls():
    """rerun_failed limits what a hopeless point may cost; 0 serves the failure as it was."""
    model = Counting()
    with otw.Campaign(model, "serial", rerun_failed=2) as campaign:
        for _ in range(5):
            campaign.map([[-1.0]])
    assert model.calls == 2
    with otw.Campaign(model, "serial", rerun_failed={"failed": 1}) as campaign:
        campaign.map([[-1.0]])
        assert campaign.map([[-1.0]])[0].status == "failed"
    assert model.calls == 3
    with pytest.raises(ValueError, match="accepted are"):
        otw.Campaign(model, "serial", rerun_failed={"broken": 1})


@pytest.mark.parametrize(("choice", "expected"), [("nan", "nan"), (1e6, "1000000.0")])
def test_what_stands_for_a_failure_is_chosen_by_name(choice, expected):
    """A nan or a value stands for a failed point only if it was asked for."""
    with otw.Campaign(Counting(), "serial") as campaign:
        assert repr(campaign.outputs([[-1.0]], on_failure=choice)[0][0]) == expected
        with pytest.raises(ValueError, match="'raise', 'nan' and a number"):
            campaign.outputs([[-1.0]], on_failure="zero")


def test_duplicates_run_once_unless_the_model_is_stochastic(tmp_path):
    """One run serves all occurrences; a stochastic model runs each, and replays them in order."""
    model = Counting()
    with otw.Campaign(model, "serial") as campaign:
        assert len(campaign.outputs([[1.0]] * 5)) == 5
    assert model.calls == 1
    for _ in range(2):
        with otw.Campaign(model, "serial", store=tmp_path / "s", stochastic=True) as campaign:
            campaign.outputs([[1.0]] * 5)
    assert model.calls == 6


@pytest.mark.parametrize("X", [[1.0, 2.0], [[1.0, 2.0]], 3.0])
def test_a_sample_of_the_wrong_shape_is_told(X):
    """The shape that came and the one that is expected stand in the message."""
    with otw.Campaign(Counting(), "serial") as campaign, pytest.raises(ValueError, match=r"\(size, 1\)"):
        campaign.outputs(X)


def test_records_make_a_table():
    """One row a point, with inputs and outputs by name."""
    pytest.importorskip("pandas")
    with otw.Campaign(Counting(), "serial") as campaign:
        campaign.map([[2.0], [-1.0]])
        table = campaign.as_dataframe()
    assert table["y0"].tolist()[0] == 4.0
    assert np.isnan(table["y0"].tolist()[1])
    assert table["status"].tolist() == ["done", "failed"]


def test_something_that_is_no_model_is_refused_with_a_way_out():
    """A class, or a bare Python function, is told how to become a model."""
    with pytest.raises(TypeError, match="is a class"):
        otw.Campaign(Counting)
    with pytest.raises(TypeError, match="PythonFunction"):
        otw.Campaign(lambda x: x)


DRIVER = """
import sys
import otwrap as otw
folder, backend = sys.argv[1:]
wrapper = otw.Wrapper(
    ["a"], ["y"], command=["sh", "-c", f"echo $0 >> {folder}/ran; sleep 0.05; echo $0", "{a}"],
    parsers=[otw.parsers.LineColumn("stdout.txt", 1, 1)])
with otw.Campaign(wrapper, backend, 2, store=f"{folder}/store") as campaign:
    print(len(campaign.outputs([[float(i)] for i in range(60)])))
"""


@pytest.mark.parametrize("backend", ["serial", "threads", "multiprocessing"])
def test_a_killed_driver_repeats_only_what_was_in_flight(tmp_path, backend):
    """After kill -9 the same script runs the rest, and no point that was recorded."""
    command = [sys.executable, "-c", DRIVER, str(tmp_path), backend]
    ran = tmp_path / "ran"
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while (not ran.exists() or len(ran.read_text().split()) < 20) and time.monotonic() < deadline:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(1.0)
    second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert second.stdout.split() == ["60"]
    runs = ran.read_text().split()
    assert len(set(runs)) == 60
    assert len(runs) <= 62


def test_a_store_of_another_wrapper_is_refused(tmp_path):
    """The numbers of another code are never served; the message says what changed."""

    def wrapper(word):
        return otw.Wrapper(
            ["a"], ["y"], command=["echo", word, "{a}"], parsers=[otw.parsers.LineColumn("stdout.txt", 1, 2)]
        )

    with otw.Campaign(wrapper("one"), "serial", store=tmp_path / "s") as campaign:
        campaign.outputs([[1.0]])
    with pytest.raises(otw.StoreError, match="command"):
        otw.Campaign(wrapper("two"), "serial", store=tmp_path / "s")
    with otw.Campaign(wrapper("two"), "serial", store=tmp_path / "s", on_change="rerun") as campaign:
        assert campaign.evaluations == []


def test_no_bar_in_a_batch_log(tmp_path):
    """Without a terminal the progress bar writes nothing."""
    ended = subprocess.run(
        [sys.executable, "-c", DRIVER, str(tmp_path), "serial"], capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""


def test_a_bar_on_a_terminal(tmp_path):
    """On a terminal the bar counts, and says how many failed of what."""
    script = (
        "import openturns as ot, otwrap as otw, math\n"
        "f = otw.Campaign(ot.SymbolicFunction(['x'], ['log(x)']), 'serial')\n"
        "f.map([[float(i)] for i in range(-5, 5)])\n"
    )
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    ended = subprocess.Popen([sys.executable, "-c", script], stderr=follower)
    os.close(follower)
    text = b""
    while True:
        try:
            text += os.read(leader, 4096)
        except OSError:
            break
    assert ended.wait() == 0
    os.close(leader)
    assert b"10/10" in text
    assert b"failed 6: exception 6" in text


def test_the_store_may_be_shared_by_an_open_object(tmp_path):
    """A Store that was given is not closed with the campaign."""
    with otw.Store(tmp_path / "s") as store:
        with otw.Campaign(Counting(), "serial", store=store) as campaign:
            campaign.outputs([[1.0]])
        assert len(store) == 1
    assert pathlib.Path(tmp_path / "s").exists()


SLEEPERS = """
import sys
import otwrap as otw
wrapper = otw.Wrapper(
    ["a"], ["y"], command=["sh", "-c", f"echo $$ >> {sys.argv[1]}/pids; setsid sleep 321 & sleep 321"],
    parsers=[otw.parsers.Stdout("y")], base_temp_work_dir=f"{sys.argv[1]}/work")
otw.Campaign(wrapper, sys.argv[2], 2).map([[1.0], [2.0]])
"""


@pytest.mark.parametrize("backend", ["serial", "threads", "multiprocessing", "joblib"])
def test_a_killed_driver_leaves_no_code_and_no_folder(tmp_path, backend):
    """After kill -9 of the driver nothing of ours runs on after 5 s, children in another session included."""
    driver = subprocess.Popen([sys.executable, "-c", SLEEPERS, str(tmp_path), backend])
    pids = tmp_path / "pids"
    wanted = 1 if backend == "serial" else 2
    deadline = time.monotonic() + 60
    while (not pids.exists() or len(pids.read_text().split()) < wanted) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 5.0
    while _running_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _running_in(tmp_path) == []
    while os.listdir(tmp_path / "work") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert os.listdir(tmp_path / "work") == []


def _running_in(folder):
    """Return the processes that live in a folder, or name it."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            place = os.readlink(entry / "cwd")
            words = (entry / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if place.startswith(str(folder)) or str(folder) in words:
            found.append((entry.name, place, words))
    return found
