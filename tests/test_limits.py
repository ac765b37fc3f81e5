"""Named limits: so many evaluations at a time, in all processes that use one store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import otwrap as otw
from otwrap.limits import Limits

#: Notes when it begins and ends.
CODE = """
import os, sys, time
def note(word):
    with open(sys.argv[1], "a") as file:
        print(word, time.time(), file=file)
note("begin"); time.sleep(0.15); note("end"); print(1)
"""


def model(log):
    """Return a wrapper of a code that takes a while and notes when it ran."""
    return otw.Wrapper(
        inputs=["x"],
        outputs=["y"],
        command=[sys.executable, "-I", "-S", "-c", CODE, str(log), "{x}"],
        parsers=[otw.parsers.Stdout()],
    )


def most_at_a_time(log):
    """Return how many ran at the same time at most."""
    events = sorted((float(when), word) for word, when in map(str.split, Path(log).read_text().splitlines()))
    running = most = 0
    for _, word in events:
        running += 1 if word == "begin" else -1
        most = max(most, running)
    return most


@pytest.mark.parametrize("backend", ["threads", "multiprocessing", "joblib"])
@pytest.mark.parametrize("stored", [True, False])
def test_no_more_than_the_limit_run_at_a_time(backend, stored, tmp_path):
    """With four workers and two tokens, two evaluations run at a time; no lock file is left behind."""
    store = tmp_path / "s.sqlite" if stored else None
    with otw.Parallelizer(
        model(tmp_path / "log"), backend=backend, n_cpus=4, limits={"licence": 2}, store=store
    ) as f:
        f([[float(i)] for i in range(8)])
        assert len(f.campaign.evaluations) == 8
    assert most_at_a_time(tmp_path / "log") == 2
    assert not [path for path in tmp_path.iterdir() if "limits" in path.name]


def test_two_models_on_one_store_share_a_limit(tmp_path):
    """Campaigns in two threads with the same open store share the tokens of a name."""
    from threading import Thread

    with otw.Store(tmp_path / "s.sqlite") as store:
        campaigns = [
            otw.Campaign(
                model(tmp_path / "log"), "threads", 2, store=store, limits={"licence": 1}, stochastic=True
            )
            for _ in range(2)
        ]
        threads = [Thread(target=c.map, args=([[float(i)] for i in range(3)],)) for c in campaigns]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for campaign in campaigns:
            campaign.close()
    assert most_at_a_time(tmp_path / "log") == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX")
def test_the_tokens_of_a_killed_process_are_free(tmp_path):
    """A driver that is killed gives its tokens back, and the next run goes on at once."""
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import otwrap as otw
from test_limits import model
otw.Parallelizer(model({str(tmp_path / "log")!r}), backend="threads", limits={{"licence": 1}},
                 store={str(tmp_path / "s.sqlite")!r})([[float(i)] for i in range(50)])
"""
    driver = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (tmp_path / "log").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    clock = time.monotonic()
    with otw.Parallelizer(
        model(tmp_path / "log"), backend="threads", limits={"licence": 1}, store=tmp_path / "s.sqlite"
    ) as f:
        f([[99.0]])
    assert time.monotonic() - clock < 10
    assert not (tmp_path / "s.sqlite-limits").exists()


@pytest.mark.parametrize("limits", [{"licence": 0}, {"licence": True}, {"a/b": 1}, {"licence": 1.5}])
def test_a_limit_that_means_nothing_is_told(limits):
    """A name that is no file name, or a number below 1, is told."""
    with pytest.raises(ValueError, match="limits: "):
        Limits(limits, None)


def test_kept_work_directories_go_where_a_queue_wants_them(tmp_path):
    """A limited model keeps its failed work directories in the folder of a submission, as any other does."""
    model = otw.Wrapper(["x"], ["y"], command=["false"], parsers=[otw.parsers.Value("stdout.txt", "y =")])
    with otw.Campaign(model, "serial", store=tmp_path / "s.db", limits={"licence": 1}) as campaign:
        campaign.evaluator.keep_in(str(tmp_path / "kept"))
        (evaluation,) = campaign.map([[1.0]])
    assert evaluation.workdir.startswith(str(tmp_path / "kept"))
