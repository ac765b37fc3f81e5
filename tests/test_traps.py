"""What other tools were caught doing wrong, and the test that otwrap does not.

One line a trap, in our own words: the promise, and the tests that hold it to it. A promise that other rooms' tests
keep already is not tested twice; that those tests are there is.
"""

import ast
import math
import os
import re
import subprocess
import sys
import textwrap
import threading
import types
from pathlib import Path

import numpy as np
import openturns as ot
import pytest

import otwrap as otw
from otwrap.process import live
from otwrap.testing import FakeSimulator, Fault

HERE = Path(__file__).resolve().parent

#: The promise, and the tests of it; a file alone is this one.
COSTS_NO_STUDY = {
    "a failing point loses no other point, and none of the others runs again": [
        "test_campaign::test_one_failing_point_loses_nothing",
        "test_statuses::test_good_points_do_not_notice",
        "test_one_bad_point_in_many",
    ],
    "after kill -9 of the driver only what was in flight runs again": [
        "test_campaign::test_a_killed_driver_repeats_only_what_was_in_flight",
        "test_store::test_what_put_returned_for_survives_kill_9",
    ],
    "after kill -9 of the driver no code runs on after 5 s": [
        "test_campaign::test_a_killed_driver_leaves_no_code_and_no_folder",
        "test_process::test_no_orphan_after_a_kill",
    ],
    "a worker that dies costs its own point one more try, and the sample does not hang": [
        "backends/test_contract::test_a_worker_that_dies_costs_its_own_point_only",
        "test_statuses::test_a_worker_that_dies_costs_its_point",
    ],
    "a time limit ends the whole process tree, politely first": [
        "test_process::test_time_limit_ends_the_tree",
        "test_process::test_term_comes_first",
        "test_time_limit_reaches_children_that_went_away",
    ],
    "there is no time limit unless one was asked for": ["test_no_time_limit_unless_asked"],
    "an exit code that was not declared to be fine is a failure, whatever the output": [
        "test_process::test_exit_code",
        "test_exit_code_counts_more_than_output",
    ],
    "an output that is missing or empty fails its point, with the name of the file": [
        "test_statuses::test_each_says_what_it_is",
        "parsers/test_text::test_missing",
        "parsers/test_text::test_empty",
    ],
    "the output of an earlier run is never read": [
        "test_wrapper::test_the_work_directory_starts_clean",
        "test_wrapper::test_files_are_there_and_a_stale_output_among_them_is_no_output",
        "test_stale_output_in_one_folder",
    ],
    "a failure tells what the code said last, where its folder is and how to run it again": [
        "test_failure_tells_where_to_look",
        "test_reproduce::test_what_failed_fails_again",
    ],
    "failed points run again on the next call, a limited number of times": [
        "test_campaign::test_failed_points_have_a_number_of_attempts_over_all_calls",
        "test_mended_code_is_asked_again",
    ],
    "the error is the one that was raised, and the sample is run once": [
        "test_error_is_the_original_and_comes_once",
        "test_logs::test_the_same_exception_is_raised_once_with_its_traceback",
    ],
}

NEVER_WRONG_SILENTLY = {
    "a nan reaches no algorithm unasked: no metamodel that is zero everywhere": [
        "test_nan_among_many_stops_before_the_metamodel",
        "test_parallelizer::test_a_nan_reaches_nobody_who_did_not_ask_for_it",
    ],
    "a failed point never counts as 'no event', and the probability has bounds": [
        "test_failures_are_not_taken_for_no_event",
        "test_failures::test_a_probability_stands_between_bounds",
    ],
    "quantiles and rank correlations of a sample with failures are refused": [
        "test_quantiles_of_a_sample_with_failures",
    ],
    "an input is written with all its digits": [
        "test_template::test_no_digit_is_lost",
        "test_formats::test_reads_back",
        "test_formats::test_reads_back_hypothesis",
    ],
    "tokens are literal, and the longest comes first": [
        "test_template::test_longest_token_first",
        "test_template::test_tokens_are_literal",
    ],
    "a value that contains its token is written once": ["test_template::test_value_that_contains_a_token"],
    "a token that is nowhere and a mark that is left over are errors before any point": [
        "test_template::test_token_in_no_template",
        "test_template::test_explicit_tokens_must_appear",
        "test_template::test_mark_left_over",
        "test_template::test_jinja_undefined",
    ],
    "nothing is escaped in an input file": ["test_template::test_jinja_never_escapes"],
    "a number is read whole: Fortran's exponents, nan and inf, and no thousands separators": [
        "parsers/test_numbers::test_reads",
        "parsers/test_numbers::test_reads_nan",
        "parsers/test_numbers::test_refuses",
        "parsers/test_text::test_regex_never_cuts",
    ],
    "which match counts is said, and how many there are can be checked": [
        "parsers/test_text::test_regex_exactly_one",
        "parsers/test_text::test_regex_occurrence",
        "parsers/test_text::test_value_occurrence",
    ],
    "a code, template or parser that changed is not served the old numbers": [
        "test_campaign::test_a_store_of_another_wrapper_is_refused",
        "test_wrapper::test_fingerprints_follow_contents_and_not_places",
        "test_store::test_the_numbers_of_another_model_are_not_served",
    ],
    "JSON that we write has no nan": ["test_cli::test_export_json", "test_cli::test_failure_by_name"],
}

REALLY_PARALLEL = {
    "the backend that was chosen runs, with however many CPUs there are": [
        "backends/test_contract::test_chosen_width_runs_also_as_one",
        "backends/test_contract::test_unknown_and_missing_backends_are_told_apart",
    ],
    "the workers live as long as the function": [
        "test_parallelizer::test_pool_lives_as_long_as_the_function"
    ],
    "an algorithm that asks for one point at a time is told so once, with the setting": [
        "test_failures::test_one_point_at_a_time_is_told_once",
    ],
    "who is done gets the next point: the slowest one makes nobody wait": [
        "backends/test_contract::test_load_is_shared_point_by_point",
    ],
    "a plain script needs no guard": ["backends/test_contract::test_a_plain_script_needs_no_guard"],
    "this process, in which OpenTURNS has threads, is not forked by default": [
        "test_default_backend_does_not_fork"
    ],
    "threads that need a current directory have each their own": [
        "test_wrapper::test_threads_of_the_slides_wrapper_do_not_meet",
        "test_workdir::test_eight_threads_have_eight_directories",
    ],
    "the memory of this process is never told as the code's": [
        "test_process::test_peak_memory_is_the_code_s",
        "test_big_driver_is_not_the_code_s_memory",
    ],
    "a batch log has no progress bar": ["test_campaign::test_no_bar_in_a_batch_log"],
}

TABLES = {
    "a failure costs the study": COSTS_NO_STUDY,
    "a wrong answer, silently": NEVER_WRONG_SILENTLY,
    "parallel that is not": REALLY_PARALLEL,
}
ROWS = [
    pytest.param(tests, id=promise) for promises in TABLES.values() for promise, tests in promises.items()
]


def collected_from(file):
    """Return the names of the tests that pytest collects from a file, those left out for now excepted."""
    tree = ast.parse((HERE / f"{file}.py").read_text(encoding="utf-8"))
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
            if not re.search(r"mark\.(skip|xfail|slow)\b", marks):
                found.add(node.name)
    return found


@pytest.mark.parametrize("tests", ROWS)
def test_promise_is_kept_by_tests(tests):
    """Each promise has a test, and the test is there."""
    assert tests
    for test in tests:
        file, _, name = test.rpartition("::")
        assert name in collected_from(file or "test_traps"), (
            f"{test} is gone: which test keeps this promise now?"
        )


def test_no_row_is_left_out():
    """The three tables have as many rows as there were traps, and every test below belongs to one."""
    assert [len(promises) for promises in TABLES.values()] == [12, 12, 9]
    named = {test for promises in TABLES.values() for tests in promises.values() for test in tests}
    own = collected_from("test_traps") - {"test_promise_is_kept_by_tests", "test_no_row_is_left_out"}
    assert own <= named


@pytest.mark.parametrize("backend", ["threads", "multiprocessing"])
def test_one_bad_point_in_many(backend, tmp_path):
    """One crash among forty: 39 are recorded, and the next call runs that one alone."""
    crash = Fault("segfault", where="0.5 < x0 < 1.5", tries=1)
    simulator = FakeSimulator(1, faults=[crash], folder=tmp_path)
    X = [[float(i)] for i in range(40)]
    with otw.Parallelizer(simulator, backend, 2, verbosity=False, store=tmp_path / "store") as f:
        with pytest.raises(
            otw.SampleError, match=r"(?s)1 of 40 points failed; the other 39 are done.*SIGSEGV"
        ):
            f(X)
        assert len(f.campaign.failures()) == 1
        assert np.ravel(f(X)).tolist() == np.ravel(X).tolist()
    ran = [run.point[0] for run in simulator.runs()]
    assert sorted(ran) == sorted([*map(float, range(40)), 1.0])


def test_time_limit_reaches_children_that_went_away(tmp_path):
    """Children that ignore TERM and left for a session of their own end with the time limit."""
    simulator = FakeSimulator(1, faults=[Fault("children"), Fault("hang")], timeout=0.5, folder=tmp_path)
    evaluation = simulator.evaluate([1.0])
    assert evaluation.status == "timeout"
    assert "all its children" in evaluation.error
    assert simulator.processes() == []
    with open(tmp_path / "runs.log") as log:
        assert sum(line.startswith("child") for line in log) == 3


def test_no_time_limit_unless_asked(monkeypatch):
    """A run of many hours, by a clock that is fast, is not ended."""
    real = live.time.monotonic
    fast = types.SimpleNamespace(**vars(live.time))
    fast.monotonic = lambda: 2e5 * real()
    simulator = FakeSimulator(1, seconds=0.3)
    assert simulator.commands[0].timeout is None
    monkeypatch.setattr(live, "time", fast)
    evaluation = simulator.evaluate([1.0])
    assert evaluation.status == "done"
    assert evaluation.wall_time > 10 * 3600


def test_exit_code_counts_more_than_output():
    """An exit code of 4 beside a complete output is a failure, unless 4 was declared to be fine."""
    faults = [Fault("exit code", value=4)]
    evaluation = FakeSimulator(1, faults=faults, keep="all").evaluate([1.0])
    assert (evaluation.status, evaluation.cause, evaluation.output) == ("failed", "exit code", None)
    assert "y0 = 1.0" in Path(evaluation.workdir, "output.txt").read_text()
    allowed = FakeSimulator(1, faults=faults, ok_codes=[0, 4]).evaluate([1.0])
    assert (allowed.status, allowed.exit_code, allowed.output) == ("done", 4, (1.0,))


@pytest.mark.parametrize("backend", ["serial", "threads"])
def test_stale_output_in_one_folder(backend, tmp_path):
    """A code that writes nothing after a hundred good runs finds no output of theirs."""
    simulator = FakeSimulator(
        1, faults=[Fault("output missing", where="x0 > 99")], base_temp_work_dir=tmp_path
    )
    with otw.Campaign(simulator, backend, 2) as campaign:
        evaluations = campaign.map([[float(i)] for i in range(101)][-20:])
    assert [e.cause for e in evaluations] == [""] * 19 + ["output missing"]


@pytest.mark.parametrize("kind", ["exit code", "abort", "hang", "output missing"])
def test_failure_tells_where_to_look(kind):
    """The text has the code's last words and its folder; the folder has all files and a script that runs it again."""
    simulator = FakeSimulator(["load"], faults=[Fault(kind)], timeout=0.5)
    with pytest.raises(otw.SampleError) as caught, otw.Parallelizer(simulator, "serial") as f:
        f([[12.5]])
    text, (_, evaluation) = str(caught.value), caught.value.failures[0]
    assert "load=12.5" in text
    assert "| FAKE SIMULATOR: load = 12.5" in text
    assert evaluation.workdir in text
    assert {"input.txt", "stdout.txt", "reproduce.sh"} <= set(os.listdir(evaluation.workdir))


def test_mended_code_is_asked_again(tmp_path):
    """A point that failed is not remembered for ever, as a nan in a cache would be."""
    mended = tmp_path / "mended"
    simulator = FakeSimulator(1, faults=[Fault("nan", until=mended)])
    with otw.Parallelizer(simulator, "serial", store=tmp_path / "store", on_failure="nan") as f:
        assert math.isnan(f([2.0])[0])
        mended.touch()
        assert f([2.0])[0] == 2.0
        assert f([2.0])[0] == 2.0
    assert len(simulator.runs()) == 2


class Raises(ot.OpenTURNSPythonFunction):
    """A model whose error looks like something else, and that counts how often it was asked."""

    def __init__(self, folder):
        super().__init__(2, 1)
        self.folder = folder

    def _exec(self, x):
        with open(os.path.join(self.folder, "asked"), "a") as file:
            file.write("x")
        raise ValueError("chunksize must be 1+, not %r", tuple(x))


@pytest.mark.parametrize("backend", ["serial", "threads", "multiprocessing", "joblib"])
def test_error_is_the_original_and_comes_once(backend, tmp_path):
    """An error with a tuple and a misleading text arrives as it is, and no backend runs the sample again for it."""
    if backend == "joblib":
        pytest.importorskip("joblib")
    text = r"ValueError.*chunksize must be 1\+.*\(1\.0, 2\.0\)"
    with (
        pytest.raises(otw.SampleError, match=text),
        otw.Parallelizer(Raises(str(tmp_path)), backend, 2, verbosity=False) as f,
    ):
        f([[1.0, 2.0], [3.0, 4.0]])
    assert (tmp_path / "asked").read_text() == "xx"


def uniform(dimension):
    """Return independent uniform variables."""
    return ot.JointDistribution([ot.Uniform(0.0, 1.0)] * dimension)


def test_nan_among_many_stops_before_the_metamodel():
    """One nan among 200: no chaos is built of it; from the good pairs one is, with the true indices."""
    X = ot.LHSExperiment(uniform(2), 200).generate()
    bad = X[17, 0]
    nan = Fault("nan", where=f"{bad!r} <= x0 <= {bad!r}")
    simulator = FakeSimulator(2, 1, "x0 + 3 * x1", faults=[nan])
    with otw.Parallelizer(simulator, "threads", 2, verbosity=False) as f:
        with pytest.raises(otw.SampleError, match=r"(?s)1 of 200 points failed.*'y0 = nan'"):
            f(X)
        good = f.campaign.clean(X)
    assert len(good.kept) == 199
    assert good.dropped == [17]
    chaos = ot.FunctionalChaosAlgorithm(ot.Sample(good.X), ot.Sample(good.Y), uniform(2))
    chaos.run()
    indices = ot.FunctionalChaosSobolIndices(chaos.getResult())
    assert [indices.getSobolIndex(i) for i in (0, 1)] == pytest.approx([0.1, 0.9], abs=1e-6)


def test_failures_are_not_taken_for_no_event():
    """Where the code fails exactly in the failure domain, Monte Carlo is refused; the bounds tell what is open."""
    ot.RandomGenerator.SetSeed(2)
    simulator = FakeSimulator(1, faults=[Fault("nan", where="x0 > 0.75")])
    with otw.Parallelizer(simulator, "threads", 2, verbosity=False) as f:
        event = ot.ThresholdEvent(ot.CompositeRandomVector(f, ot.RandomVector(uniform(1))), ot.Greater(), 0.5)
        algorithm = ot.ProbabilitySimulationAlgorithm(event, ot.MonteCarloExperiment())
        algorithm.setBlockSize(20)
        algorithm.setMaximumOuterSampling(2)
        with pytest.raises(RuntimeError, match="points failed"):
            algorithm.run()
        X = [[(i + 0.5) / 40] for i in range(40)]
        f.campaign.map(X)
        bounds = f.campaign.probability_bounds(X, ot.Greater(), 0.5)
    assert (bounds.lower, bounds.upper) == (0.25, 0.5)


def test_quantiles_of_a_sample_with_failures():
    """There is no Y to compute a quantile of, unless nan was asked for by its name."""
    X = [[i / 10] for i in range(11)]
    simulator = FakeSimulator(1, faults=[Fault("inf", where="x0 > 0.9")])
    with otw.Parallelizer(simulator, "threads", 2, verbosity=False) as f:
        with pytest.raises(otw.SampleError, match="not a number"):
            f(X).computeQuantile(0.5)
        with otw.Parallelizer(simulator, "threads", 2, verbosity=False, on_failure="nan") as by_name:
            assert math.isnan(by_name(X)[10, 0])


def test_default_backend_does_not_fork(tmp_path):
    """Neither workers nor codes are started by a fork of this process."""
    script = """
        import os, sys
        import otwrap as otw
        from otwrap.testing import FakeSimulator
        import openturns as ot
        ot.Normal(2).getSample(100000).computeQuantilePerComponent(0.5)
        forks = []
        os.register_at_fork(before=lambda: forks.append(1))
        with otw.Parallelizer(FakeSimulator(1), n_cpus=2, verbosity=False) as f:
            f([[1.0], [2.0], [3.0]])
            print(type(f.campaign.backend).__name__, len(forks))
        os.fork() or os._exit(0)
        print(len(forks))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.split() == ["Multiprocessing", "0", "1"], ended.stderr


def test_big_driver_is_not_the_code_s_memory():
    """From a driver of 300 MB, in threads too, the peak memory of a small code is small or not told."""
    ballast = bytearray(b"x") * 300_000_000
    simulator = FakeSimulator(1, seconds=0.1)
    found = []
    threads = [threading.Thread(target=lambda: found.append(simulator.evaluate([1.0]))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(e.done and (e.peak_memory is None or e.peak_memory < 100e6) for e in found)
    assert len(ballast) == 300_000_000
