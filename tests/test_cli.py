"""The command line: points in, answers out, and what a script that calls it can rely on."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import openturns as ot
import pytest
from click.testing import CliRunner, Result

import otwrap as otw
from otwrap.cli.command import gather_point
from otwrap.cli.group import ModelGroup
from otwrap.cli.group import otwrap as otwrap_group
from otwrap.cli.output import aligned, json_text

ROOT = Path(__file__).resolve().parents[1]

MODEL = """
import openturns as ot
import otwrap as otw

class Code(otw.Wrapper):
    '''A code that subtracts.

    It fails where a is 13.
    '''
    def __init__(self):
        super().__init__(
            inputs=["a", "b"], outputs=["difference", "product"],
            templates={"input.txt": HERE + "/template.txt"}, tokens=["@a", "@b"],
            command=["sh", HERE + "/code.sh"],
            parsers=[
                otw.parsers.Value("output.txt", "difference ="),
                otw.parsers.Value("output.txt", "product ="),
            ],
        )

distribution = ot.JointDistribution([ot.Uniform(0.0, 1.0), ot.Uniform(10.0, 11.0)])
distribution.setDescription(["a", "b"])
turned = ot.JointDistribution([ot.Uniform(10.0, 11.0), ot.Uniform(0.0, 1.0)])
turned.setDescription(["b", "a"])

if __name__ == "__main__":
    otw.main(Code)
"""
#: awk keeps 17 digits, so that nothing is lost on the way.
CODE = """
grep -q 'a 13.0' input.txt && { echo 'a is an unlucky number' >&2; exit 4; }
awk '/^a/ {a = $2} /^b/ {b = $2} END {printf "difference = %.17g\\nproduct = %.17g\\n", a - b, a * b}' \\
    input.txt > output.txt
"""


@pytest.fixture(autouse=True)
def same_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the import system back as it was."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("code_model", None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a model in it, which runs a code of its own."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "template.txt").write_text("a @a\nb @b\n", encoding="utf-8")
    (here / "code.sh").write_text(CODE, encoding="utf-8")
    (here / "code_model.py").write_text(f"HERE = {os.fspath(here)!r}\n{MODEL}", encoding="utf-8")
    monkeypatch.chdir(here)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return here


def run(*arguments: str) -> Result:
    """Run `otwrap` in this process."""
    return CliRunner().invoke(otwrap_group, list(arguments))


def run_json(*arguments: str, status: int = 0) -> Any:
    """Run `otwrap ... --json` and return what it says; JSON of the strict kind."""
    result = run(*arguments, "--json")
    assert result.exit_code == status, result.output

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is no JSON")

    return json.loads(result.stdout, parse_constant=refuse)


def model_file(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the model's file as a program."""
    return subprocess.run(
        [sys.executable, "code_model.py", *arguments], capture_output=True, text=True, timeout=100
    )


# One point


def test_point(folder: Path) -> None:
    """The answer stands alone on the standard output, with all its digits."""
    result = run("run", "code_model.py:Code", "-X", "0.3", "0.1")
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        f"difference = {0.3 - 0.1!r}\nproduct = {0.3 * 0.1!r}\n",
        "",
    )


@pytest.mark.parametrize(
    "typed",
    [["-X", "-1e-3", "-2"], ["-X=-1e-3", "-2"], ["-X-1e-3", "-2"], ["-X", "-.001", "-2.", "--quiet"]],
)
def test_negative_numbers(folder: Path, typed: list[str]) -> None:
    """Negative numbers and exponents are values, not options."""
    assert run_json("run", "code_model.py:Code", *typed)["input"] == {"a": -1e-3, "b": -2.0}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["-X", "1"], "-X has 1 value(s); 2 are expected: a, b"),
        (["-X", "1", "2", "3"], "-X has 3 value(s); 2 are expected: a, b"),
        (["-X", "1", "two"], "value 2 (b) is 'two', not a number"),
        (["-X", "1,2"], "value 1 (a) is '1,2', not a number; separate the values by spaces"),
        (["-X", "1", "nan"], "value 2 (b) is 'nan', not a finite number"),
        (["-X"], "-X has no values"),
        (["-X", "1", "2", "-X", "3", "4"], "given twice"),
        (
            [],
            "give exactly one of -X VALUE..., --design FILE.csv, --grid NAME=VALUES and --monte-carlo N; 0 are given",
        ),
        (["-X", "1", "2", "--monte-carlo", "3"], "2 are given"),
        (["-X", "1", "2", "--seed", "3"], "--seed and --distribution go with --monte-carlo"),
        (["-X", "1", "2", "--n-cpus", "0"], "give a positive number, or -1"),
        (["-X", "1", "2", "--on-failure", "stop"], "accepted are raise, nan and a number"),
        (["-X", "1", "2", "--dump", "--no-dump"], "both given"),
    ],
)
def test_wrong_use(folder: Path, typed: list[str], words: str) -> None:
    """What is typed wrong is told with what is accepted; the exit status is 2, nothing is run or made."""
    result = run("run", "code_model.py:Code", "--store", "s.db", *typed)
    assert result.exit_code == 2 and result.stdout == ""
    assert words in result.stderr
    assert not Path("s.db").exists()


def test_flags_are_flags(folder: Path) -> None:
    """A word behind a flag is not its value: `--json False` is refused."""
    result = run("run", "code_model.py:Code", "--json", "False", "-X", "1", "2")
    assert result.exit_code == 2 and "unexpected extra argument" in result.stderr


def test_model_that_is_not_there(folder: Path) -> None:
    """A model that cannot be found is a wrong use, with a hint and no traceback."""
    result = run("run", "code_model.py:Kode", "-X", "1", "2")
    assert result.exit_code == 2
    assert result.stderr == "Error: code_model.py has no name 'Kode'; did you mean 'Code'?\n"


def test_failing_point(folder: Path) -> None:
    """A failing evaluation exits with 1, says why on the standard error, and prints no answer."""
    result = run("run", "code_model.py:Code", "-X", "13", "1", "--dump")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "exit code" in result.stderr and "a is an unlucky number" in result.stderr
    assert not list(folder.glob("*.pkl"))


def test_failing_point_in_json(folder: Path) -> None:
    """A failing evaluation is a whole record in JSON too."""
    record = run_json("run", "code_model.py:Code", "-X", "13", "1", status=1)
    assert (record["status"], record["cause"], record["exit_code"], record["output"]) == (
        "failed",
        "exit code",
        4,
        None,
    )


@pytest.mark.parametrize(("choice", "answer", "in_json"), [("nan", "nan", None), ("-1", "-1.0", -1.0)])
def test_failure_by_name(folder: Path, choice: str, answer: str, in_json: float | None) -> None:
    """What stands for a failed output is printed if it was asked for, and the failure is still told."""
    result = run("run", "code_model.py:Code", "-X", "13", "1", "--on-failure", choice)
    assert (result.exit_code, result.stdout) == (0, f"difference = {answer}\nproduct = {answer}\n")
    assert "unlucky" in result.stderr


def test_prints_of_a_model_do_not_mix(folder: Path) -> None:
    """What a model or its processes print is not taken for the answer."""
    Path("noisy_model.py").write_text(
        "import os\nimport openturns as ot\n"
        "def f(x):\n    print('from Python')\n    os.system('echo from a process')\n    return [2 * x[0]]\n"
        "noisy = ot.PythonFunction(1, 1, f)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "otwrap", "run", "noisy_model.py", "-X", "4"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert result.stdout == "y0 = 8.0\n"
    assert "from Python" in result.stderr and "from a process" in result.stderr


def test_traceback_on_request(folder: Path) -> None:
    """Errors are messages, and tracebacks on request."""
    arguments = ["run", "code_model.py:Code", "-X", "1", "2", "--backend", "multiprocesing"]
    result = run(*arguments)
    assert result.exit_code == 1 and result.stderr.startswith("Error: ")
    assert "'multiprocessing'" in result.stderr and "Traceback" not in result.stderr
    assert isinstance(run(*arguments, "--traceback").exception, otw.BackendError)


# Samples


def test_design_by_name(folder: Path) -> None:
    """The columns of a design are matched by name; what is left out is said."""
    Path("d.csv").write_text("b;note;a\n1;x;3\n2;y;5\n", encoding="utf-8")
    result = run("run", "code_model.py:Code", "--design", "d.csv", "--backend", "threads")
    assert result.exit_code == 0 and "'note'" in result.stderr
    told = run_json("run", "code_model.py:Code", "--design", "d.csv", "--backend", "serial")
    assert [record["output"]["difference"] for record in told["evaluations"]] == [2.0, 3.0]
    assert told["statistics"]["difference"] == {"mean": 2.5, "std": float(np.std([2.0, 3.0], ddof=1))}


def test_design_by_position(folder: Path) -> None:
    """A design without names is taken by position, and that is said."""
    Path("d.csv").write_text("3,1\n", encoding="utf-8")
    result = run("run", "code_model.py:Code", "--design", "d.csv", "--backend", "serial", "--json")
    assert "its columns are taken as a, b" in result.stderr
    assert json.loads(result.stdout)["statistics"]["difference"] == {"mean": 2.0, "std": None}


def test_wrong_design(folder: Path) -> None:
    """A design that does not fit is a wrong use."""
    Path("d.csv").write_text("a,c\n3,1\n", encoding="utf-8")
    result = run("run", "code_model.py:Code", "--design", "d.csv")
    assert result.exit_code == 2 and "no column 'b'" in result.stderr


def test_monte_carlo(folder: Path) -> None:
    """Random points are those of the distribution and the seed, and 0 is the seed by default."""
    arguments = ["run", "code_model.py:Code", "--backend", "threads", "--monte-carlo", "4"]
    told = run_json(*arguments, "--seed", "7")
    ot.RandomGenerator.SetSeed(7)
    distribution = ot.JointDistribution([ot.Uniform(0.0, 1.0), ot.Uniform(10.0, 11.0)])
    sample = [tuple(point) for point in distribution.getSample(4)]
    assert [tuple(record["input"].values()) for record in told["evaluations"]] == sample
    assert "drawn with seed 0" in run(*arguments).stderr


def test_distribution_by_name(folder: Path) -> None:
    """The components of a distribution are matched with the inputs by name."""
    arguments = ["--monte-carlo", "2", "--distribution", "turned", "--backend", "serial"]
    told = run_json("run", "code_model.py:Code", *arguments)
    for record in told["evaluations"]:
        assert 0.0 <= record["input"]["a"] <= 1.0 and 10.0 <= record["input"]["b"] <= 11.0


def test_failures_of_a_sample(folder: Path) -> None:
    """All other points are finished and told; the failed ones are listed, and the status is 1."""
    Path("d.csv").write_text("a,b\n1,2\n13,2\n3,2\n", encoding="utf-8")
    arguments = ["run", "code_model.py:Code", "--design", "d.csv", "--store", "s.db"]
    result = run(*arguments, "--backend", "threads")
    assert result.exit_code == 1
    assert "points   3\ndone     2\nfailed   1\n" in result.stdout
    assert f"records  {folder / 's.db'}" in result.stdout
    assert "point 1: a=13.0, b=2.0: failed (exit code)" in result.stderr and "unlucky" in result.stderr
    assert run(*arguments, "--backend", "threads", "--on-failure", "nan").exit_code == 0


def test_store_serves_what_it_knows(folder: Path) -> None:
    """The same command again runs nothing again."""
    arguments = ["run", "code_model.py:Code", "--monte-carlo", "3", "--store", "s.db"]
    first = run_json(*arguments, "--backend", "threads")
    Path("code.sh").write_text("exit 9\n", encoding="utf-8")
    again = run_json(*arguments, "--backend", "serial")
    assert first["evaluations"] == again["evaluations"] and again["failed"] == 0


def test_changed_model_is_refused(folder: Path) -> None:
    """A store of another model is refused, and taken on request."""
    arguments = ["run", "code_model.py:Code", "-X", "1", "2", "--store", "s.db"]
    assert run(*arguments).exit_code == 0
    Path("template.txt").write_text("a @a\nb @b\nmore\n", encoding="utf-8")
    result = run(*arguments)
    assert result.exit_code == 1 and "--on-change rerun" in result.stderr
    assert run(*arguments, "--on-change", "rerun").exit_code == 0


def test_workers_know_the_model_of_a_file(folder: Path) -> None:
    """The default backend evaluates a model that was loaded from a file."""
    told = run_json("run", "code_model.py:Code", "--monte-carlo", "2", "--n-cpus", "2")
    assert told["done"] == 2


def test_interruption_says_what_was_kept(folder: Path) -> None:
    """Ctrl-C ends with 130 and one line that says what was kept; the same command goes on from there."""
    Path("code.sh").write_text(f"{CODE}\ngrep -q 'a 2.0' input.txt && sleep 60\ntrue\n", encoding="utf-8")
    Path("d.csv").write_text("a,b\n1,1\n2,2\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "otwrap",
        "run",
        "code_model.py:Code",
        "--design",
        "d.csv",
        "--store",
        "s.db",
    ]
    process = subprocess.Popen(
        [*command, "--backend", "serial"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while run("show", "s.db", "1").exit_code != 0:  # until the first point is recorded
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told.count("\n") == 1 and "1 evaluation(s) of this call are kept in" in told


# A model's own command line


def test_own_command_line(folder: Path) -> None:
    """`python wrapper.py -X ...` answers, and leaves input and output as load_array reads them."""
    result = model_file("-X", "170", "-0.05")
    assert (result.returncode, result.stdout) == (
        0,
        f"difference = {170 + 0.05!r}\nproduct = {170 * -0.05!r}\n",
    )
    (X,), (Y,) = folder.glob("InputSample-*.pkl"), folder.glob("OutputSample-*.pkl")
    assert otw.load_array(X).tolist() == [170.0, -0.05]
    assert otw.load_array(Y).tolist() == [170 + 0.05, 170 * -0.05]
    assert X.name in result.stderr and Y.name in result.stderr
    assert X.name.removeprefix("Input") == Y.name.removeprefix("Output")


def test_own_command_line_fails(folder: Path) -> None:
    """A failing evaluation exits with 1, and leaves no file behind that looks like an answer."""
    result = model_file("-X", "13", "1")
    assert (result.returncode, result.stdout) == (1, "")
    assert "unlucky" in result.stderr and "Traceback" not in result.stderr
    assert not list(folder.glob("*.pkl"))


def test_side_by_side(folder: Path) -> None:
    """Eight tasks at a time in one folder leave eight pairs of files."""
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "5"}  # the same for all: the worst case
    command = [sys.executable, "code_model.py", "-X"]
    tasks = [
        subprocess.Popen([*command, str(i), "1"], env=environment, stdout=subprocess.DEVNULL)
        for i in range(8)
    ]
    assert [task.wait(timeout=100) for task in tasks] == [0] * 8
    inputs = sorted(folder.glob("InputSample-*-5-*.pkl"))
    pairs = [(x, x.with_name(x.name.replace("Input", "Output", 1))) for x in inputs]
    assert sorted(otw.load_array(x)[0] for x, _ in pairs) == list(range(8))
    for x, y in pairs:
        assert otw.load_array(y)[0] == otw.load_array(x)[0] - 1


def test_own_help(folder: Path) -> None:
    """`--help` tells the name, the inputs and the outputs."""
    result = model_file("--help")
    assert result.returncode == 0
    assert "Code: A code that subtracts." in result.stdout
    assert "a, b" in result.stdout and "difference, product" in result.stdout
    assert "code_model.py -X A B" in result.stdout


def test_own_commands(folder: Path) -> None:
    """The other commands of the model's own command line need no MODEL; samples run in workers."""
    result = model_file("run", "--monte-carlo", "2", "--n-cpus", "2", "--json", "--no-dump")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["done"] == 2 and not list(folder.glob("*.pkl"))


def test_main_takes_instance_and_factory(capsys: pytest.CaptureFixture[str]) -> None:
    """`main` takes a class, an instance, or a function that returns one."""
    function = ot.SymbolicFunction(["a", "b"], ["a - b"])
    for thing in (function, lambda: function):
        with pytest.raises(SystemExit) as ended:
            otw.main(thing, ["-X", "1", "-2", "--no-dump"])
        assert ended.value.code == 0
        assert capsys.readouterr().out == "y0 = 3.0\n"


def test_dump_folder(folder: Path) -> None:
    """`otwrap run` dumps where it is asked to, the good pairs of a sample, and nothing unasked."""
    Path("d.csv").write_text("a,b\n1,2\n13,2\n3,2\n", encoding="utf-8")
    arguments = ["run", "code_model.py:Code", "--design", "d.csv", "--backend", "threads"]
    run(*arguments)
    assert not list(folder.rglob("*.pkl"))
    result = run(*arguments, "--dump", "new/place")
    assert "dumped (2 of 3 points)" in result.stderr
    (X,), (Y,) = folder.glob("new/place/Input*"), folder.glob("new/place/Output*")
    assert otw.load_array(X).tolist() == [[1.0, 2.0], [3.0, 2.0]]
    assert otw.load_array(Y).tolist() == [[-1.0, 2.0], [1.0, 6.0]]


def test_gathering_a_point() -> None:
    """What follows -X are values up to the next option."""
    assert gather_point(["m", "-X=-1", "2", "--json"]) == ["m", "-X", "-1", "-X", "2", "--json"]
    assert gather_point(["--store", "f", "--", "-X"]) == ["--store", "f", "--", "-X"]
    with pytest.raises(click.UsageError):
        gather_point(["-X", "--json"])


# Runs elsewhere


DESIGN = "a,b\n0.3,0.1\n13,2\n-1e-300,3\n"


def run_all(folder: str = "runs") -> None:
    """Do what README.txt says."""
    subprocess.run(["sh", f"{folder}/run-all.sh", "2"], check=True, timeout=100)


def test_prepared_runs_are_those_of_run(folder: Path) -> None:
    """Prepared, run by `sh` in another place, brought back and collected: the same as `run`."""
    Path("d.csv").write_text(DESIGN, encoding="utf-8")
    arguments = ["code_model.py:Code", "--design", "d.csv"]
    assert run_json("prepare", *arguments, "--folder", "runs") == {"folder": "runs", "points": 3}
    assert not list(folder.rglob("output.txt")), "something was run"
    assert Path("runs/design.csv").read_text(encoding="utf-8") == "a,b\n0.3,0.1\n13.0,2.0\n-1e-300,3.0\n"
    Path("else where").mkdir()
    Path("runs").rename("else where/runs")
    run_all("else where/runs")
    Path("else where/runs").rename("runs")
    told = run_json("collect", "runs", "--model", "code_model.py:Code", "--store", "s.db")
    assert (told["done"], told["failed"], told["missing"]) == (2, 1, 0)
    direct = run_json("run", *arguments, "--backend", "serial", status=1)
    run("export", "s.db", "--to", "t.json")
    table = json.loads(Path("t.json").read_text(encoding="utf-8"))
    for row, record in zip(table, direct["evaluations"], strict=True):
        output = record["output"] or {"difference": None, "product": None}
        expected = {**record["input"], **output, "status": record["status"], "cause": record["cause"]}
        assert {name: row[name] for name in expected} == expected
        assert row["exit_code"] == record["exit_code"] and row["wall_time"] > 0
    assert "unlucky" in table[1]["error"]
    again = run_json("run", *arguments, "--backend", "serial", "--store", "s.db", status=1)
    assert again["evaluations"][0]["workdir"].endswith("runs/point-000000"), "it was run again"


def test_collect_as_often_as_one_likes(folder: Path) -> None:
    """What has not run yet is left out and counted; what is known as done is not read again."""
    run("prepare", "code_model.py:Code", "--monte-carlo", "3", "--folder", "runs")
    collect = ["collect", "runs", "--model", "code_model.py:Code"]
    assert run_json(*collect)["missing"] == 3
    subprocess.run(["sh", "runs/point-000001/run.sh"], check=True, timeout=60)
    told = run_json(*collect)
    assert (told["done"], told["known"], told["missing"]) == (1, 0, 2)
    run_all()
    told = run_json(*collect)
    assert (told["done"], told["known"], told["missing"], told["store"]) == (
        2,
        1,
        0,
        str(folder / "runs/evaluations.db"),
    )
    assert run_json("status", "runs/evaluations.db")["points"] == 3


def test_collected_failures_are_counted_once(folder: Path) -> None:
    """A failure that is collected again is no second attempt; one that was run again is taken anew."""
    run("prepare", "code_model.py:Code", "-X", "13", "1", "--folder", "runs")
    run_all()
    collect = ["collect", "runs", "--model", "code_model.py:Code", "--store", "s.db"]
    for _ in range(3):
        assert run_json(*collect)["failed"] == 1
    with otw.Store("s.db", readonly=True) as store:
        store.select_last()
        assert list(map(store.known, store.keys())) == [("failed", 1)]
    Path("code.sh").write_text(CODE.replace("13.0", "14.0"), encoding="utf-8")
    subprocess.run(["sh", "runs/point-000000/run.sh"], check=True, timeout=60)
    assert run_json(*collect)["done"] == 1


def test_output_that_is_missing(folder: Path) -> None:
    """A run that ended well without its output is a failure that names the file."""
    run("prepare", "code_model.py:Code", "-X", "1", "2", "--folder", "runs")
    run_all()
    Path("runs/point-000000/output.txt").unlink()
    run("collect", "runs", "--model", "code_model.py:Code", "--store", "s.db")
    (group,) = run_json("failures", "s.db")["groups"]
    assert group["cause"] == "output missing" and "output.txt" in group["example"]["error"]


def test_limits_are_kept(folder: Path) -> None:
    """A prepared run keeps the time limit and the accepted exit codes, and the chain stops where it fails."""
    Path("limited.py").write_text(
        "import otwrap as otw\n"
        "def model(*commands, **settings):\n"
        "    return otw.Wrapper(inputs=['a'], outputs=['y'], command=list(commands),\n"
        "                       parsers=[otw.parsers.Value('stdout.txt', 'y =')])\n"
        "slow = model(otw.Command('sleep 30', timeout=0.5))\n"
        "allowed = model(otw.Command(['sh', '-c', 'echo y = {a}; exit 3'], ok_codes=(0, 3)))\n"
        "chain = model(otw.Command('sh -c \"exit 7\"'), otw.Command(['echo', 'y = 1'], ok_codes=(0, 7)))\n"
        "killed = model(otw.Command(['sh', '-c', 'kill -9 $$']))\n"
        "pattern = model(otw.Command(['echo', 'y = {a} DIVERGED'], failure='DIVERGED'))\n",
        encoding="utf-8",
    )
    causes = {}
    for name in ("slow", "allowed", "chain", "killed", "pattern"):
        run("prepare", f"limited.py:{name}", "-X", "1", "--folder", name)
        run_all(name)
        run("collect", name, "--model", f"limited.py:{name}")
        record = run_json("show", f"{name}/evaluations.db", "1")
        causes[name] = (record["status"], record["cause"], record["exit_code"])
    direct = {}
    for name in causes:
        record = run_json("run", f"limited.py:{name}", "-X", "1", "--on-failure", "nan")
        direct[name] = (record["status"], record["cause"], record["exit_code"])
    assert causes["slow"][:2] == direct["slow"][:2] == ("timeout", "time limit")
    for name in ("allowed", "chain", "killed", "pattern"):
        assert causes[name] == direct[name]


def test_own_run_step_cannot_be_prepared(folder: Path) -> None:
    """What only Python can run is refused for a shell, and nothing is written."""
    Path("own.py").write_text(
        "import otwrap as otw\nimport openturns as ot\n"
        "class Own(otw.Wrapper):\n"
        "    def __init__(self):\n        super().__init__(inputs=['a'], outputs=['y'])\n"
        "    def _run_code(self, workdir):\n        pass\n"
        "    def _parse_output(self, workdir):\n        return [1.0]\n"
        "function = ot.SymbolicFunction(['a'], ['a'])\n",
        encoding="utf-8",
    )
    for name, words in (("Own", "has its own _run_code"), ("function", "is no otwrap.Wrapper")):
        result = run("prepare", f"own.py:{name}", "-X", "1", "--folder", "runs")
        assert result.exit_code == 1 and words in result.stderr
    assert not Path("runs").exists()


def test_folder_that_is_not_empty(folder: Path) -> None:
    """A folder with something in it is not written to; an empty one is."""
    Path("runs").mkdir()
    Path("runs/mine.txt").write_text("mine", encoding="utf-8")
    arguments = ["prepare", "code_model.py:Code", "-X", "1", "2", "--folder", "runs"]
    result = run(*arguments)
    assert result.exit_code == 2 and "not empty" in result.stderr
    assert [path.name for path in Path("runs").iterdir()] == ["mine.txt"]
    Path("runs/mine.txt").unlink()
    assert run(*arguments).exit_code == 0


def test_collect_with_another_model(folder: Path) -> None:
    """A model that would have written another input is not the one whose runs these are."""
    run("prepare", "code_model.py:Code", "-X", "1", "2", "--folder", "runs")
    Path("template.txt").write_text("a @a\nb @b\nmore\n", encoding="utf-8")
    result = run("collect", "runs", "--model", "code_model.py:Code")
    assert result.exit_code == 1 and "what changed is the templates or input files" in result.stderr
    result = run("collect", ".", "--model", "code_model.py:Code")
    assert result.exit_code == 1 and "is no folder of a submission" in result.stderr


def test_readme_says_what_to_type(folder: Path) -> None:
    """The last line of README.txt collects what was run, also for a model's own command line."""
    assert model_file("prepare", "-X", "1", "2", "--folder", "my runs").returncode == 0
    run_all("my runs")
    line = Path("my runs/README.txt").read_text(encoding="utf-8").strip().splitlines()[-1].strip()
    assert line == "python code_model.py collect 'my runs'"
    result = model_file("collect", "my runs")
    assert result.returncode == 0 and "done     1" in result.stdout


# Records


@pytest.fixture
def store(folder: Path) -> str:
    """Return a store with two good points and a failed one."""
    Path("d.csv").write_text("a,b\n0.3,0.1\n13,2\n3,2\n", encoding="utf-8")
    run("run", "code_model.py:Code", "--design", "d.csv", "--store", "s.db", "--backend", "serial")
    return "s.db"


def test_status(store: str) -> None:
    """`status` counts by status and cause, and tells times and origin."""
    told = run_json("status", store)
    assert told["points"] == 3 and told["inputs"] == ["a", "b"]
    assert told["counts"] == [
        {"status": "done", "cause": "", "count": 2},
        {"status": "failed", "cause": "exit code", "count": 1},
    ]
    assert 0 < told["wall_time"]["median"] <= told["wall_time"]["max"]
    assert told["made_by"].startswith("otwrap ")
    text = run("status", store).stdout
    assert "failed  exit code       1" in text and "store made by otwrap" in text


def test_show(store: str) -> None:
    """`show` tells one evaluation whole, with all its digits."""
    assert f"difference = {0.3 - 0.1!r}\n" in run("show", store, "1").stdout
    assert "unlucky" in run("show", store, "2").stdout
    assert run_json("show", store, "2")["exit_code"] == 4
    result = run("show", store, "99")
    assert result.exit_code == 1 and "no evaluation 99" in result.stderr


def test_failures(store: str) -> None:
    """`failures` groups by what the errors say, with an example of each."""
    told = run_json("failures", store)
    assert (told["points"], told["failed"]) == (3, 1)
    (group,) = told["groups"]
    assert (group["cause"], group["count"], group["ids"]) == ("exit code", 1, [2])
    assert group["message"] == "the command ended with exit code 4 (allowed: 0): a is an unlucky number"
    assert group["example"]["input"] == {"a": 13.0, "b": 2.0}
    text = run("failures", store).stdout
    assert "1 x failed (exit code): the command" in text and "for example 2: a=13.0, b=2.0" in text


def test_export_csv(store: str) -> None:
    """CSV has all digits, and an empty cell for the output of a failed point."""
    assert run("export", store, "--to", "t.csv").exit_code == 0
    with open("t.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["difference"] for line in lines] == [repr(0.3 - 0.1), "", "1.0"]
    assert run("export", store, "--to", "-", "--format", "csv").stdout == Path("t.csv").read_text(
        encoding="utf-8"
    )
    design = run_json("run", "code_model.py:Code", "--design", "t.csv", "--store", store, status=1)
    assert design["done"] == 2


def test_export_json(store: str) -> None:
    """JSON has null for what is not there."""
    assert run_json("export", store, "--to", "t.json", "--done") == {
        "file": "t.json",
        "format": "json",
        "rows": 2,
    }
    run("export", store, "--to", "t.json")
    table = json.loads(Path("t.json").read_text(encoding="utf-8"))
    assert [row["difference"] for row in table] == [0.3 - 0.1, None, 1.0]


def test_export_parquet(store: str) -> None:
    """Parquet reads back as the same doubles."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    assert run("export", store, "--to", "t.parquet").exit_code == 0
    table = pandas.read_parquet("t.parquet")
    assert table["difference"][0] == 0.3 - 0.1 and np.isnan(table["difference"][1])


def test_export_hdf5(store: str) -> None:
    """HDF5 has one data set a column."""
    h5py = pytest.importorskip("h5py")
    assert run("export", store, "--to", "t.h5").exit_code == 0
    with h5py.File("t.h5") as file:
        assert file["difference"][0] == 0.3 - 0.1 and np.isnan(file["difference"][1])
        assert file["status"].asstr()[1] == "failed"


@pytest.mark.parametrize(
    ("target", "words"),
    [("t.txt", "give --format"), ("s.db", "give --format"), ("-", "give --format")],
)
def test_export_to_nowhere(store: str, target: str, words: str) -> None:
    """A target of an unknown kind is refused."""
    result = run("export", store, "--to", target)
    assert result.exit_code == 2 and words in result.stderr


def test_export_never_eats_the_store(store: str) -> None:
    """The store itself is no target."""
    result = run("export", store, "--to", store, "--format", "csv")
    assert result.exit_code == 2 and "is the store itself" in result.stderr
    assert run_json("status", store)["points"] == 3


@pytest.mark.parametrize("command", [["status"], ["show", "1"], ["failures"], ["export", "--to", "t.csv"]])
def test_store_that_is_not_there(folder: Path, command: list[str]) -> None:
    """A store that is not there is told, and not made."""
    result = run(command[0], "nothing.db", *command[1:])
    assert result.exit_code == 1 and "there is no store" in result.stderr
    assert not list(folder.glob("nothing.db*"))


def test_backends() -> None:
    """`backends` says of each whether it is installed, whether it can be reached, and where it runs."""
    told = {line["name"]: line for line in run_json("backends")}
    where = "here, one after the other"
    assert told["serial"] == {
        "name": "serial",
        "installed": True,
        "available": True,
        "where": where,
        "needs": "",
    }
    assert {
        "threads",
        "multiprocessing",
        "joblib",
        "ipyparallel",
        "dask",
        "dispy",
        "mpi",
        "executor",
    } <= told.keys()
    assert not told["mpi"]["available"]
    for line in told.values():
        assert bool(line["where"]) == line["available"] != bool(line["needs"]), line
        assert ("pip install 'otwrap[" in line["needs"]) != line["installed"], line
    assert "mpiexec -n 8" in told["mpi"]["needs"] or not told["mpi"]["installed"]


def test_backend_without_its_package() -> None:
    """A backend whose package is missing says what to install."""
    code = "import sys; sys.modules['joblib'] = None; from otwrap.cli import cli; cli(['backends', '--json'])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    (line,) = [line for line in json.loads(result.stdout) if line["name"] == "joblib"]
    assert not line["available"] and "pip install 'otwrap[joblib]'" in line["needs"]


def test_output_forms() -> None:
    """JSON is strict; columns of numbers stand to the right."""
    assert json.loads(json_text({"a": [float("inf"), float("nan"), 1.5]})) == {"a": [None, None, 1.5]}
    assert aligned([["n", "x"], ["a", 1], ["b", None]]) == "n  x\na  1\nb  -"


def test_import_is_light() -> None:
    """`import otwrap` imports neither click nor any command."""
    code = (
        "import sys, otwrap; print([m for m in sys.modules if m == 'click' or m.startswith('otwrap.cli.')])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert result.stdout == "[]\n"


def test_every_command_has_help() -> None:
    """Every command says what it does, also in a model's own command line."""
    for group in (otwrap_group, ModelGroup(ot.SymbolicFunction(["a"], ["a"]))):
        context = click.Context(group)
        names = group.list_commands(context)
        assert {"run", "prepare", "collect", "status", "show", "failures", "export", "backends"} <= set(names)
        for name in names:
            command = group.get_command(context, name)
            assert command is not None and command.help
            assert all(option.help for option in command.params if isinstance(option, click.Option))
