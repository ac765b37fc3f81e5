"""Studies that are killed at random moments go on where they were, and leave nothing behind.

A few kills by default; ``OTWRAP_STRESS_KILLS=100 pytest -m slow tests/stress`` for more, and
``OTWRAP_STRESS_SEED`` for the moments of a former run.
"""

import itertools
import os
import random
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from kills import Case, Results, Study, bad, cases, run_to_end, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SEED = int(os.environ.get("OTWRAP_STRESS_SEED", random.SystemRandom().randrange(10**6)))
KILLS = int(os.environ.get("OTWRAP_STRESS_KILLS", "100"))
#: Backend, study and what is killed: each of them once.
FEW = [
    ("threads", "sample", "driver, KILL"),
    ("multiprocessing", "sample", "worker, KILL"),
    ("joblib", "sample", "process group, KILL"),
    ("multiprocessing", "montecarlo", "whole tree, KILL"),
    ("threads", "form", "driver, TERM"),
    ("multiprocessing", "sample", "whole tree, TERM"),
    ("joblib", "montecarlo", "driver, INT"),
    ("threads", "sample", "the code, KILL"),
]


def check(results, chosen, at_a_time):
    """Kill and resume, and tell what was lost, run twice or left behind."""
    with ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(results.add, chosen))
    print(f"OTWRAP_STRESS_SEED={results.seed}\n{results.table()}")
    troubles = [f"{case}: {figures}" for case, figures in results.all if bad(figures)]
    assert not troubles, f"OTWRAP_STRESS_SEED={results.seed}\n" + "\n".join(troubles)


def test_a_few_kills(tmp_path):
    """Every kind of kill, at a random moment: nothing is lost, run twice without need, or left behind."""
    pytest.importorskip("joblib")
    chance = random.Random(SEED)
    chosen = [
        Case(backend, study, kind, "", chance.randrange(-1, 20), chance.uniform(0.0, 0.1), False)
        for backend, study, kind in FEW
    ]
    check(Results(tmp_path, SEED), chosen, at_a_time=3)


@pytest.mark.slow
def test_many_kills(tmp_path):
    """The same for all backends, kinds and studies, many times."""
    pytest.importorskip("joblib")
    check(Results(tmp_path, SEED), list(itertools.islice(cases(SEED), KILLS)), at_a_time=1)


def test_two_drivers_on_one_store(tmp_path):
    """The second one is refused and told who the first one is; no point is run twice."""
    study = Study(tmp_path / "study", Case("multiprocessing", "sample", "", "", 0, 0.0, False))
    first = study.start()
    wait_for(lambda: study.recorded(1) or first.poll() is not None, 60)
    # However slow the start of the second one is, the first one is not done.
    first.send_signal(signal.SIGSTOP)
    second = study.start()
    assert second.wait(60) == 1
    first.send_signal(signal.SIGCONT)
    assert f"process {first.pid} on " in study.printed(2)
    assert "StoreError" in study.printed(2)
    assert first.wait(60) == 0, study.printed(1)
    assert run_to_end(study, 3) == ""
    assert study.started(2) == study.started(3) == []
    assert study.result(3) == study.result(1) != ""
    assert len(study.started(1)) == len(set(study.started(1))) == 24
