"""The fake simulator that studies are rehearsed with."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import otwrap as otw
from otwrap.testing import KINDS, Expected, FakeSimulator, Fault, Run
from otwrap.testing.formulas import formula_of, where_of
from otwrap.testing.program import value_of

POINTS = np.random.default_rng(4).random((2000, 2)).tolist()


def struck(simulator, points=POINTS):
    """Return the points at which a fault is expected."""
    return [tuple(x) for x in points if simulator.expected(x).status != "done"]


def wait_until(condition, seconds=10.0):
    """Wait until a condition holds, and say whether it does."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def test_without_faults_it_is_an_external_code_like_any_other():
    """Files in, files out, and the number is that of the formula to the last bit."""
    beam = FakeSimulator(["F", "E", "L", "I"], ["deviation"], "F * L**3 / (3 * E * I)", keep="all")
    x = [3.1e4, 2.9e7, 250.1, 400.7]
    evaluation = beam.evaluate(x)
    assert evaluation.output == (x[0] * x[2] ** 3 / (3 * x[1] * x[3]),) == beam.expected(x).output
    assert sorted(os.listdir(evaluation.workdir))[:2] == ["input.txt", "output.txt"]
    with open(f"{evaluation.workdir}/input.txt") as file:
        assert file.readlines()[2] == "L = 250.1\n"


def test_names_of_all_kinds_and_outputs_that_differ():
    """Names need not be Python's; without formulas each output is another number."""
    simulator = FakeSimulator(["load (N)", "a = b", "été"], ["y max", "y=min"])
    assert simulator.evaluate([0.5, 1.5, 2.0]).output == (4.0, 5.0)
    assert FakeSimulator(2, 3).evaluate([1.0, 2.0]).output == (3.0, 4.0, 5.0)


def test_share_depends_on_the_point_alone(tmp_path):
    """The same points fail in this process, in another one, in the code itself, and on another day."""
    script = (
        "from otwrap.testing import FakeSimulator, Fault\n"
        f"s = FakeSimulator(2, faults=[Fault('exit code', share=0.2)]); X = {POINTS[:300]}\n"
        "print([i for i, x in enumerate(X) if s.expected(x).status != 'done'])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    simulator = FakeSimulator(2, faults=[Fault("exit code", share=0.2)])
    assert eval(told) == [i for i, x in enumerate(POINTS[:300]) if simulator.expected(x).status != "done"]
    really = [simulator.evaluate(x).status for x in POINTS[:30]]
    assert really == [simulator.expected(x).status for x in POINTS[:30]]
    assert {"done", "failed"} == set(really)


def test_share_is_the_share():
    """5 % of the points is 5 % of them, within three standard errors; kinds and seeds choose others."""
    simulators = [
        FakeSimulator(2, faults=[fault], timeout=1)
        for fault in (Fault("hang", share=0.05), Fault("hang", share=0.05, seed=1), Fault("nan", share=0.05))
    ]
    found = [set(struck(simulator)) for simulator in simulators]
    assert all(abs(len(points) - 100) < 30 for points in found)
    assert all(len(one & other) < 20 for one, other in [found[:2], found[1:]])
    assert struck(FakeSimulator(2, faults=[Fault("hang", share=0.0)])) == []


def test_chance_decides_anew_each_time():
    """With `random` the same point fails in some runs and not in others."""
    simulator = FakeSimulator(1, faults=[Fault("exit code", share=0.5, random=True)])
    assert {simulator.evaluate([0.5]).status for _ in range(20)} == {"done", "failed"}
    assert simulator.expected([0.5]).status == "done"


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("x0 > 0.8", lambda a, b: a > 0.8),
        (("x0", ">", 0.8), lambda a, b: a > 0.8),
        ("0.2 <= x0 < 0.6 and not x1 > 0.5", lambda a, b: 0.2 <= a < 0.6 and not b > 0.5),
        ("x0 + x1**2 > 1 or abs(x0 - x1) <= 0.1", lambda a, b: a + b**2 > 1 or abs(a - b) <= 0.1),
    ],
)
def test_region(where, holds):
    """A fault strikes where its condition holds, and with a share a part of it."""
    expected = {tuple(x) for x in POINTS if holds(*x)}
    assert set(struck(FakeSimulator(2, faults=[Fault("abort", where=where)]))) == expected
    part = set(struck(FakeSimulator(2, faults=[Fault("abort", where=where, share=0.5)])))
    assert part < expected
    assert 0.35 < len(part) / len(expected) < 0.65


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "x0.real", "x0[0]", "lambda: 1", "x0 if x1 else 2", "'x0'", "x0 == 1", "x0 ^ 2", "x2", "x0 +"]
    + ["exp(x0, x1)", "open(x0)", "[x0]", "max(x0, key=x1)", "x0 > 1", "True", "1j", "f'{x0}'", ""],
)  # fmt: skip
def test_formulas_are_never_executed(text):
    """What is no formula is refused, with the part that is not understood."""
    with pytest.raises(ValueError, match=r"formula .*(cannot be|not understood|no input|true or false)"):
        FakeSimulator(2, 1, text)


def test_conditions_that_are_none_are_told():
    """A number is no condition, and an input that is not there is named."""
    for where in ("x0 + 1", "x7 > 1", ("x7", ">", 1), ("x0", "==", 1)):
        with pytest.raises(ValueError, match="where"):
            FakeSimulator(2, faults=[Fault("hang", where=where)])
    assert value_of(where_of("x0 > 0.8", ["x0"]), {"x0": 0.9}) is True
    assert value_of(formula_of("-x0**2 + min(x0, 3)", ["x0"]), {"x0": 2.0}) == -2.0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Fault("hangs"), "no kind of fault; there are 'hang'"),
        (lambda: Fault("hang", share=5), "from 0 to 1"),
        (lambda: Fault("hang", tries=0), "at least 1"),
        (lambda: Fault("hang", value=3), "nothing to choose"),
        (lambda: FakeSimulator(1, faults=[Fault("exit code", value="four")]), "which; default 4"),
        (lambda: FakeSimulator(1, 2, "x0"), "1 formula"),
        (lambda: FakeSimulator(["a\nb"]), "line ends"),
    ],
)
def test_wrong_settings_are_told(make, text):
    """What was given and what is accepted stand in the message."""
    with pytest.raises(ValueError, match=text):
        make()


def test_settings_go_through():
    """Settings of the wrapper and of the command reach them; its own files are its own."""
    simulator = FakeSimulator(1, timeout=7, memory="1 GB", retries=2, ok_codes=[0, 4], keep="none")
    command = simulator.commands[0]
    assert (command.timeout, command.memory, command.ok_codes) == (7, 10**9, (0, 4))
    assert (simulator.retries.count, simulator.folders.policy) == (2, "none")
    with pytest.raises(TypeError, match="parsers: a fake simulator has its own"):
        FakeSimulator(1, parsers=[])
    with pytest.raises(TypeError, match="no_such_setting"):
        FakeSimulator(1, no_such_setting=1)


@pytest.mark.parametrize("kind", ["licence", "segfault", "output missing"])
def test_transient_faults_go_away(kind):
    """A fault with `tries` is gone after so many runs of each point, whatever the kind."""
    simulator = FakeSimulator(1, faults=[Fault(kind, tries=2)], retries=2)
    with otw.Campaign(simulator, "threads", 2) as campaign:
        evaluations = campaign.map([[1.0], [2.0]])
    assert [(e.status, e.attempts, e.output) for e in evaluations] == [
        ("done", 3, (1.0,)),
        ("done", 3, (2.0,)),
    ]
    assert simulator.expected([1.0]) == Expected("done", "", (1.0,), 3)
    assert simulator.expected([1.0], ran=2) == Expected("done", "", (1.0,), 1)
    assert sorted(run.point for run in simulator.runs()) == [(1.0,)] * 3 + [(2.0,)] * 3


def test_a_fault_lasts_until_a_file_says_so(tmp_path):
    """The licence server is down until it is mended; the wrapper stays the same model, so its store serves on."""
    mended = tmp_path / "mended"
    simulator = FakeSimulator(1, faults=[Fault("licence", where="x0 > 1", until=mended)])
    with otw.Campaign(simulator, "serial", store=tmp_path / "store") as campaign:
        assert [e.status for e in campaign.map([[1.0], [2.0]])] == ["done", "failed"]
        assert "no licence available" in campaign.failures()[0].error
    mended.touch()
    with otw.Campaign(FakeSimulator(1), "serial", store=tmp_path / "store") as campaign:
        assert campaign.outputs([[1.0]]) == [(1.0,)]
    assert simulator.expected([2.0]).status == "done"


def test_waiting_for_a_licence_costs_no_attempt():
    """A message that is declared transient is waited for, and so is expected."""
    retries = otw.Retries(1, transient=["no licence"], pause=0.05)
    simulator = FakeSimulator(1, faults=[Fault("licence", tries=3)], retries=retries)
    with otw.Campaign(simulator, "serial") as campaign:
        (evaluation,) = campaign.map([[1.0]])
    assert (evaluation.status, evaluation.attempts) == ("done", 1)
    assert simulator.expected([1.0]) == Expected("done", "", (1.0,), 1)
    assert len(simulator.runs()) == 4


def test_a_ladder_of_settings_is_expected_too():
    """What a further attempt changes is known to the expected answer."""
    slow = [Fault("slow", value=0.6)]
    simulator = FakeSimulator(1, faults=slow, timeout=0.2, retries=otw.Retries(retry_with=[{"timeout": 20}]))
    with otw.Campaign(simulator, "serial") as campaign:
        (evaluation,) = campaign.map([[1.0]])
    assert (evaluation.status, evaluation.attempts) == ("done", 2)
    assert simulator.expected([1.0]) == Expected("done", "", (1.0,), 2)


def test_runs_are_those_that_really_ran(tmp_path):
    """One line a start, from all workers; a run that was ended has no end. A folder keeps its log."""
    simulator = FakeSimulator(1, faults=[Fault("hang", where="x0 > 30")], timeout=0.5, folder=tmp_path)
    points = [[float(i)] for i in range(32)]
    with otw.Campaign(simulator, "multiprocessing", 2) as campaign:
        campaign.map(points)
    runs = simulator.runs()
    assert sorted(run.point for run in runs) == [tuple(x) for x in points]
    assert [run.point for run in runs if run.end is None] == [(31.0,)]
    assert all(0.0 <= run.end - run.start < 60.0 for run in runs if run.end is not None)
    assert FakeSimulator(1, folder=tmp_path).runs() == runs
    assert isinstance(runs[0], Run)


def test_processes_are_those_that_live():
    """A run in flight and the children that ignore TERM are seen; once ended by KILL, they are not."""
    simulator = FakeSimulator(1, faults=[Fault("children"), Fault("hang")])
    code = subprocess.Popen(
        [f"{simulator.folder}/simulator"], cwd=_prepared(simulator, 0.5), stdout=subprocess.DEVNULL
    )
    try:
        assert wait_until(lambda: len(simulator.processes()) == 4)
        assert code.pid in simulator.processes()
        for pid in simulator.processes():
            os.kill(pid, signal.SIGTERM)
        code.wait()
        time.sleep(0.2)
        assert len(simulator.processes()) == 3
        sessions = {os.getsid(pid) for pid in simulator.processes()}
        assert len(sessions) == 3
    finally:
        for pid in simulator.processes():
            os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: simulator.processes() == [])


def _prepared(simulator, *point):
    """Return a folder with the input of a point."""
    folder = f"{simulator.folder}/by-hand"
    os.makedirs(folder)
    simulator.prepare(point, folder)
    return folder


def test_faults_that_meet_act_in_order():
    """Children and a hang together end as a time limit; an exit code and a spoilt output as an exit code."""
    simulator = FakeSimulator(
        1, faults=[Fault("exit code"), Fault("output empty"), Fault("hang", where="x0 > 1")], timeout=0.5
    )
    for x in ([0.5], [1.5]):
        evaluation, expected = simulator.evaluate(x), simulator.expected(x)
        assert (evaluation.status, evaluation.cause) == (expected.status, expected.cause)
    assert simulator.expected([0.5]).cause == "exit code"


def test_arithmetic_that_fails_is_the_code_s_failure():
    """Where the formula has no value the code says so and returns 1; complex numbers never come of it."""
    simulator = FakeSimulator(1, 1, "log(x0) + (x0 - 2)**0.5")
    evaluation = simulator.evaluate([1.0])
    assert (evaluation.cause, evaluation.exit_code) == ("exit code", 1)
    assert "floating point exception" in evaluation.error
    assert simulator.expected([1.0]).cause == "exit code"
    assert simulator.evaluate([3.0]).output == simulator.expected([3.0]).output


def test_enormous_output_and_endless_printing():
    """Talk before the answer is read over; what is printed without end stays small on disk."""
    talking = FakeSimulator(1, faults=[Fault("output enormous", value="5 MB")], keep="all")
    evaluation = talking.evaluate([0.5])
    assert evaluation.output == (0.5,)
    assert os.path.getsize(f"{evaluation.workdir}/output.txt") > 5_000_000
    printing = FakeSimulator(1, faults=[Fault("endless printing")], timeout=1).evaluate([0.5])
    assert printing.status == "timeout"
    assert os.path.getsize(f"{printing.workdir}/stdout.txt") < 40_000_000


def test_a_run_takes_its_time():
    """`seconds` is how long a run takes, and a time limit below it is expected to strike."""
    simulator = FakeSimulator(1, seconds=0.3)
    assert 0.3 <= simulator.evaluate([0.5]).wall_time < 2.0
    assert FakeSimulator(1, seconds=0.3, timeout=0.1).expected([0.5]).status == "timeout"


def test_model_is_the_same_whatever_goes_wrong():
    """Faults, formulas and the folder are no part of the fingerprints, as in real codes; the version is."""
    healthy = FakeSimulator(2)
    sick = FakeSimulator(2, 1, "x0 * x1", faults=[Fault("hang", share=0.1)], seconds=3)
    assert FakeSimulator(2, version="2.0").fingerprints() != healthy.fingerprints()
    assert healthy.folder != sick.folder
    assert healthy.fingerprints() == sick.fingerprints()


def test_its_own_files_go_with_it():
    """The temporary folder is removed with the simulator, and not with a copy of it in a worker."""
    simulator = FakeSimulator(1)
    folder = simulator.folder
    for other in (pickle.loads(pickle.dumps(simulator)), copy.copy(simulator)):
        assert other.evaluate([0.5]).output == (0.5,)
        del other
    assert simulator.evaluate([1.5]).output == (1.5,)
    assert len(simulator.runs()) == 3
    del simulator
    assert not os.path.exists(folder)


def test_many_runs_write_one_log():
    """Lines of runs that end at the same time never mix."""
    simulator = FakeSimulator(6)
    X = np.random.default_rng(0).random((60, 6)).tolist()
    threads = [
        threading.Thread(target=lambda part: [simulator.evaluate(x) for x in part], args=(X[i::6],)) for i in range(6)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.point for run in simulator.runs()) == sorted(map(tuple, X))
    assert all(run.end is not None for run in simulator.runs())


def test_page_names_every_kind():
    """The how-to tells of each kind of fault."""
    page = os.path.join(os.path.dirname(__file__), "..", "docs", "how-to", "rehearse.rst")
    with open(page, encoding="utf-8") as file:
        text = file.read()
    assert [kind for kind in KINDS if f"``{kind}``" not in text] == []
