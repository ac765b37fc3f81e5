"""The doctor finds what is wrong with a wrapper, and says so in words one can act on."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openturns as ot
import pytest

import otwrap as otw
from otwrap.doctor import Report, examine
from otwrap.doctor.report import Finding

Make = Callable[..., otw.Wrapper]


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a home, a temporary and a current folder of its own, which others do not write in."""
    for name in ("home", "tmp", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def wrapper(tmp_path: Path) -> Make:
    """Return a function that makes a wrapper of a shell script, which finds a and b in in.txt."""
    (tmp_path / "model").mkdir()
    template = tmp_path / "model" / "in.tmpl"
    template.write_text("a=@a\nb=@b\n", encoding="utf-8")

    def make(script: str, **settings: Any) -> otw.Wrapper:
        return otw.Wrapper(
            inputs=["a", "b"],
            outputs=["y"],
            **{
                "templates": {"in.txt": template},
                "tokens": ["@a", "@b"],
                "command": ["sh", "-c", script],
                "parsers": [otw.parsers.Value("out.txt", "y =")],
                "nominal": [3.0, 2.0],
                **settings,
            },
        )

    return make


GOOD = '. ./in.txt; echo "y = $a" > out.txt'


def found(report: Report, name: str) -> Finding:
    """Return the finding of one check."""
    return next(finding for finding in report.findings if finding.name == name)


def troubles(report: Report) -> dict[str, str]:
    """Return what is not well, by the name of the check."""
    return {name: outcome for name, outcome, _ in report.findings if outcome in ("problem", "warning")}


def files_below(folder: Path) -> list[Path]:
    """Return all files and folders below one, without the guardian's, which lives as long as this process."""
    return sorted(path for path in folder.rglob("*") if "otwrap-guardians-" not in str(path))


def test_a_healthy_wrapper_is_ready(wrapper: Make, tmp_path: Path) -> None:
    """Nothing is wrong with a healthy wrapper, every check was made, and nothing is left of them."""
    model = wrapper(GOOD, keep="all", keep_to=tmp_path / "kept", base_temp_work_dir=tmp_path / "new" / "work")
    before = files_below(tmp_path)
    report = examine(model, n_points=500)
    assert troubles(report) == {}, str(report)
    assert report.ok
    assert {finding.outcome for finding in report.findings} == {"ok"}, str(report)
    assert report.verdict.startswith("Ready to run. 500 points, 2 at a time, take about ")
    assert files_below(tmp_path) == before
    assert "a = 3.0, b = 2.0): y = 3.0" in found(report, "nominal").text


def test_report_is_json_and_aligned_ascii(wrapper: Make) -> None:
    """The report can be read by a program, and on any terminal by a person."""
    report = examine(wrapper("echo no; exit 4"), backend="serial")
    assert json.loads(json.dumps(report.as_dict()))["ok"] is False
    lines = str(report).splitlines()
    assert lines[0].startswith("ok       files        ")
    assert max(map(len, lines)) <= 110
    assert lines[-1] == report.verdict
    assert next(line for line in lines if "nominal" in line).startswith(
        "PROBLEM  nominal      at the nominal"
    )


def test_point_of_the_distribution_or_none_at_all(wrapper: Make) -> None:
    """Without a nominal point the mean is tried; without any, nothing is run and the verdict asks for one."""
    law = ot.JointDistribution([ot.Uniform(0.0, 2.0), ot.Uniform(4.0, 6.0)])
    state = ot.RandomGenerator.GetState()
    report = examine(wrapper(GOOD, nominal=None, distribution=law), backend="threads")
    assert "the mean of the distribution (a = 1.0, b = 5.0)" in found(report, "nominal").text
    assert found(report, "parallel").outcome == "ok"
    assert ot.RandomGenerator.GetState() == state
    report = examine(wrapper(GOOD, nominal=None))
    assert found(report, "nominal").outcome == "skipped"
    assert "-X" in report.verdict
    given = examine(wrapper(GOOD, nominal=None), point=[7.0, 1.0], backend="serial")
    assert found(given, "nominal").text == "at the given point (a = 7.0, b = 1.0): y = 7.0"


def test_plain_functions_are_examined_too() -> None:
    """A function of OpenTURNS has no files and no command; the rest is checked."""
    report = examine(ot.SymbolicFunction(["x"], ["x^2"]), point=[3.0])
    assert report.ok
    skipped = [finding.name for finding in report.findings if finding.outcome == "skipped"]
    assert skipped == ["files", "tokens", "executable", "left behind"]
    assert "5 points with multiprocessing" in found(report, "parallel").text


def test_missing_executable_is_named(wrapper: Make) -> None:
    """A code that is not there is told by its name, before and by the run."""
    report = examine(wrapper("", command=["no-such-code-at-all", "in.txt"]))
    assert found(report, "executable").outcome == "problem"
    assert "no-such-code-at-all" in found(report, "executable").text
    assert found(report, "nominal").outcome == "problem"
    assert report.verdict.startswith("Not ready: 2 problems. Mend this first: executable")


def test_lost_template_and_lost_file_are_told(wrapper: Make, tmp_path: Path) -> None:
    """A template or a file that is gone since the wrapper was made is a problem, by its path."""
    mesh = tmp_path / "mesh.dat"
    mesh.write_text("1")
    model = wrapper(GOOD, files=[mesh])
    assert found(examine(model, backend="serial"), "files").outcome == "ok"
    mesh.unlink()
    assert str(mesh) in found(examine(model, backend="serial"), "files").text
    model = wrapper(GOOD)
    (tmp_path / "model" / "in.tmpl").unlink()
    finding = found(examine(model, backend="serial"), "files")
    assert finding.outcome == "problem"
    assert "in.tmpl" in finding.text


def test_input_that_nothing_uses_is_told(wrapper: Make) -> None:
    """An input that is in no template and not in the command cannot matter, which is a warning."""
    parsers = [otw.parsers.Value("stdout.txt", "y =")]
    plain = {"templates": None, "tokens": None, "parsers": parsers, "command": ["echo", "y =", "{a}"]}
    report = examine(wrapper("", **plain), backend="serial")
    assert found(report, "tokens").outcome == "warning"
    assert found(report, "tokens").text.startswith("b: in no template")
    assert report.ok
    assert "look at the warnings first (tokens)" in report.verdict
    report = examine(wrapper("", **{**plain, "command": ["echo", "y =", "{a}{b}"]}), backend="serial")
    assert found(report, "tokens").outcome == "ok"


def test_missing_output_is_told_and_its_folder_removed(wrapper: Make, tmp_path: Path) -> None:
    """The failure of the nominal run is told with its reason; its work directory does not stay."""
    report = examine(wrapper("true"))
    assert found(report, "nominal").outcome == "problem"
    assert "out.txt" in found(report, "nominal").text
    assert "was kept" not in found(report, "nominal").text
    assert {found(report, name).outcome for name in ("same answer", "parallel", "estimate")} == {"skipped"}
    assert files_below(tmp_path / "tmp") == []


@pytest.mark.parametrize("place", ["here", "model"])
def test_writing_outside_is_a_problem(wrapper: Make, tmp_path: Path, place: str) -> None:
    """What a code writes into the current directory, or beside the template, is told by its path."""
    log = tmp_path / place / "all.log"
    report = examine(wrapper(f"{GOOD}; echo line >> '{log}'"), backend="serial")
    assert troubles(report) == {"outside": "problem"}
    assert f"made {log}" in found(report, "outside").text
    report = examine(wrapper(f"{GOOD}; echo line >> '{log}'"), backend="serial")
    assert f"changed {log}" in found(report, "outside").text


@pytest.mark.parametrize("place", ["home", "tmp"])
def test_writing_where_others_write_too_is_a_warning(wrapper: Make, tmp_path: Path, place: str) -> None:
    """A new entry in home or among temporary files may be another program's."""
    log = tmp_path / place / "all.log"
    report = examine(wrapper(f"{GOOD}; echo line >> '{log}'"), backend="serial")
    assert troubles(report) == {"outside": "warning"}
    assert str(log) in found(report, "outside").text


def test_writing_beside_the_work_directory_is_a_problem(wrapper: Make, tmp_path: Path) -> None:
    """A file that a code puts one folder above is shared by all evaluations."""
    report = examine(wrapper(f"{GOOD}; cp out.txt .."), backend="serial")
    assert troubles(report) == {"left behind": "problem"}
    assert "'out.txt'" in found(report, "left behind").text
    assert files_below(tmp_path / "tmp") == []


def test_stochastic_code_is_told(wrapper: Make) -> None:
    """Another answer each time is a problem that names the way out, and none if the user knows."""
    script = 'echo "y = $(od -An -N4 -tu4 /dev/urandom)" > out.txt'
    report = examine(wrapper(script))
    assert troubles(report) == {"same answer": "problem"}
    assert "stochastic=True" in found(report, "same answer").text
    assert found(report, "parallel").outcome == "skipped"
    assert examine(wrapper(script), stochastic=True).ok


def test_answer_that_depends_on_the_folder_is_told(wrapper: Make) -> None:
    """A code that computes with its own path is told from a stochastic one."""
    report = examine(wrapper('echo "y = $(pwd | cksum | cut -d" " -f1)" > out.txt'))
    assert troubles(report) == {"same answer": "problem"}
    assert "depends on where the code runs" in found(report, "same answer").text


def test_code_that_cannot_stand_spaces_in_paths_gets_a_warning(wrapper: Make) -> None:
    """A code that fails in odd folders only can be used in others."""
    report = examine(wrapper(f"cd $PWD && {GOOD}"))
    assert troubles(report) == {"same answer": "warning"}
    assert "base_temp_work_dir" in found(report, "same answer").text
    assert found(report, "parallel").outcome == "ok"


class Background(otw.Wrapper):
    """Starts a process by itself and does not wait for it."""

    def _run_code(self, workdir: Path) -> None:
        subprocess.run(["sh", "-c", f"{GOOD}; sleep 321 & "], cwd=workdir, check=True)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux tells whose processes run")
def test_process_left_behind_is_told_and_ended(tmp_path: Path) -> None:
    """A process that outlives the evaluation is a problem, and does not outlive the doctor."""
    template = tmp_path / "in.tmpl"
    template.write_text("a=@a\n")
    model = Background(
        ["a"], ["y"], templates={"in.txt": template}, tokens=["@a"],
        parsers=[otw.parsers.Value("out.txt", "y =")], nominal=[1.0],
    )  # fmt: skip
    report = examine(model, backend="serial")
    assert troubles(report)["processes"] == "problem"
    text = found(report, "processes").text
    assert "'sleep 321'" in text
    pids = re.findall(r"process (\d+)", text)
    assert pids
    for pid in pids:
        status = Path(f"/proc/{pid}/cmdline")
        assert not status.exists() or status.read_bytes() == b"", f"{pid} still runs"


class Stateful(otw.Wrapper):
    """Holds something that cannot be sent to another process."""

    def __init__(self, base: otw.Wrapper, **held: Any) -> None:
        self.__dict__.update(base.__dict__)
        self.__dict__.update(held)


def test_attribute_that_does_not_pickle_is_named(wrapper: Make) -> None:
    """The attribute to blame is named, the parallel run skipped; with threads it is but a warning."""
    connection = sqlite3.connect(":memory:")
    model = Stateful(wrapper(GOOD), connection=connection)
    report = examine(model)
    assert troubles(report) == {"pickle": "problem"}
    assert "'connection': TypeError: cannot pickle" in found(report, "pickle").text
    assert found(report, "parallel").outcome == "skipped"
    assert troubles(examine(model, backend="threads")) == {"pickle": "warning"}
    connection.close()


def rebuild(pid: int) -> Homebody:
    """Make the object again, where it was made first."""
    if os.getpid() != pid:
        raise RuntimeError("the licence is bound to one process")
    return Homebody()


class Homebody:
    """Pickles, and can be loaded in its own process only."""

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, (os.getpid(),)


def test_attribute_that_does_not_load_elsewhere_is_named(wrapper: Make) -> None:
    """What pickles here is loaded by a fresh process, and what fails there is named."""
    report = examine(Stateful(wrapper(GOOD), licence=Homebody()))
    assert troubles(report) == {"pickle": "problem"}
    text = found(report, "pickle").text
    assert "attribute 'licence': RuntimeError: the licence is bound to one process" in text
    assert "'inputs'" not in text


def test_shared_file_makes_parallel_differ(wrapper: Make, tmp_path: Path) -> None:
    """Evaluations that get into each other's way are found by the comparison with serial ones."""
    lock = tmp_path / "lock"
    model = wrapper(f"mkdir '{lock}' || exit 9; {GOOD}; sleep 0.3; rmdir '{lock}'")
    report = examine(model, backend="threads")
    assert troubles(report) == {"parallel": "problem"}
    assert "exit" in found(report, "parallel").text
    shutil.rmtree(lock, ignore_errors=True)


def test_failing_neighbours_are_a_warning(wrapper: Make) -> None:
    """Points near the nominal one may fail for good reasons."""
    report = examine(wrapper(f'grep -q "^a=3.0$" in.txt || exit 7; {GOOD}'), backend="threads")
    assert troubles(report) == {"parallel": "warning"}
    assert found(report, "parallel").text.startswith("4 of 5 points fail")
    assert report.ok


class Walker(otw.Wrapper):
    """Changes the current directory and does not come back."""

    def _run_code(self, workdir: Path) -> None:
        os.chdir(workdir)
        Path("out.txt").write_text("y = 1\n")


def test_step_that_moves_the_current_directory_is_told() -> None:
    """A step that takes `workdir` and changes the directory all the same is told, and the change undone."""
    before = Path.cwd()
    parsers = [otw.parsers.Value("out.txt", "y =")]
    report = examine(Walker(["a"], ["y"], parsers=parsers, nominal=[1.0]), backend="serial")
    assert troubles(report) == {"outside": "problem"}
    assert "moved the current directory" in found(report, "outside").text
    assert Path.cwd() == before


def test_error_inside_a_check_is_a_finding(wrapper: Make) -> None:
    """Whatever a check stumbles over is a finding of that check; the others go on."""
    model = wrapper(GOOD)
    model.templates = None  # type: ignore[assignment]
    report = examine(model, backend="serial")
    assert found(report, "tokens").outcome == "problem"
    assert "AttributeError" in found(report, "tokens").text
    assert found(report, "executable").outcome == "ok"


def test_work_directories_that_cannot_be_made_are_a_finding(wrapper: Make, tmp_path: Path) -> None:
    """A base folder that is a file is told, and nothing is run."""
    (tmp_path / "file").write_text("")
    report = examine(wrapper(GOOD, base_temp_work_dir=tmp_path / "file" / "work"))
    assert troubles(report) == {"nominal": "problem"}
    assert "base_temp_work_dir" in found(report, "nominal").text


def test_estimate_counts_time_and_disk(wrapper: Make) -> None:
    """Time and disk are those of one run times the number of points."""
    big = "dd if=/dev/urandom of=big.bin bs=1000000 count=3 2> /dev/null"
    report = examine(wrapper(f"{GOOD}; {big}; sleep 0.2"), n_points=100_000, n_cpus=1, backend="serial")
    text = found(report, "estimate").text
    hours = re.search(r"100000 points, 1 at a time: about ([\d.]+) h; disk: ", text)
    assert hours, text
    # At least the 0.2 s that the code sleeps; the upper bound is for busy machines.
    assert 0.2 * 100_000 / 3600 <= float(hours[1]) + 0.05 < 50, text
    gigabytes = re.search(r"\((\d+) GB in the end with keep='all'\)", text)
    assert gigabytes, text
    assert 300 <= int(gigabytes[1]) < 330, text


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"n_points": 0}, ValueError),
        ({"n_cpus": 0}, ValueError),
        ({"backend": "no-such-backend"}, otw.BackendError),
        ({"point": [1.0]}, otw.InputError),
    ],
)
def test_wrong_arguments_are_refused(
    wrapper: Make, arguments: dict[str, Any], error: type[Exception]
) -> None:
    """What the caller did wrong is raised before anything is run."""
    with pytest.raises(error):
        examine(wrapper(GOOD), **arguments)
    with pytest.raises(TypeError, match="no model"):
        examine(sys)


def test_another_study_beside_is_not_blamed_on_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that another study writes in the current folder is no file that the code made outside."""
    from otwrap.doctor.traces import Traces

    monkeypatch.chdir(tmp_path)
    with otw.Store(tmp_path / "other.sqlite") as store, Traces([], str(tmp_path / "none")) as traces:
        store.select(["a"], ["y"], {})
        store.put(b"0" * 16, otw.Evaluation((1.0,), (2.0,)))
        (tmp_path / "by_the_code.txt").write_text("x")
    assert [change for change in traces.changes if "other.sqlite" in change] == []
    assert any("by_the_code.txt" in change for change in traces.changes)
