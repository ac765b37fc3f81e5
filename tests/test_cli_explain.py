"""`otwrap failures · show · replay`: why points failed, and one of them again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from otwrap.cli.group import otwrap as otwrap_group
from otwrap.folders import SCRIPT

ROOT = Path(__file__).resolve().parents[1]

MODEL = """
import openturns as ot
import otwrap as otw

class Code(otw.Wrapper):
    '''A code that fails above 412.'''
    def __init__(self):
        super().__init__(
            inputs=["T", "p"], outputs=["y", "z"],
            templates={"input.txt": HERE + "/template.txt"}, tokens=["@T", "@p"],
            command=["sh", HERE + "/code.sh", "{point}"],
            parsers=[otw.parsers.Value("output.txt", "y ="), otw.parsers.Value("output.txt", "z =")],
            nominal=[300.0, 1.0], base_temp_work_dir=HERE + "/work", keep="all",
        )

function = ot.SymbolicFunction(["T", "p"], ["T * p"])
other = ot.SymbolicFunction(["a"], ["2 * a"])

if __name__ == "__main__":
    otw.main(Code)
"""
CODE = """
echo "solving point $1"
echo "careful" >&2
[ -e ../slow ] && sleep 60
awk '/^T/ {T = $2} /^p/ {p = $2} END {
    if (T > 412) { print "no convergence at T = " T > "/dev/stderr"; exit 4 }
    printf "y = %.17g\\nz = %.17g\\n", T / 3, p > "output.txt" }' input.txt
"""


@pytest.fixture(autouse=True)
def same_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the import system back as it was."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("explained_model", None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a model in it, which runs a code of its own."""
    here = tmp_path / "here"
    (here / "work").mkdir(parents=True)
    (here / "template.txt").write_text("some words\nT @T\np @p\n", encoding="utf-8")
    (here / "code.sh").write_text(CODE, encoding="utf-8")
    (here / "explained_model.py").write_text(f"HERE = {os.fspath(here)!r}\n{MODEL}", encoding="utf-8")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return here


@pytest.fixture
def store(folder: Path) -> str:
    """Return a store of 40 points, the six last of which failed."""
    lines = [f"{300 + i * 3.3!r},{i % 7 + 0.1!r}" for i in range(40)]
    Path("d.csv").write_text("\n".join(["T,p", *lines, ""]), encoding="utf-8")
    run("run", "explained_model.py:Code", "--design", "d.csv", "--store", "s.db", "--backend", "serial")
    return "s.db"


def run(*arguments: str) -> Result:
    """Run `otwrap` in this process."""
    return CliRunner().invoke(otwrap_group, list(arguments))


def run_json(*arguments: str, status: int = 0) -> Any:
    """Run `otwrap ... --json` and return what it says."""
    result = run(*arguments, "--json")
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def test_failures_say_where_they_lie(store: str) -> None:
    """The group has one message for all its points, and the input that tells them from good points."""
    told = run_json("failures", store)
    (group,) = told["groups"]
    assert group["count"] == 6 and group["message"].endswith("no convergence at T = <n>")
    (region,) = group["regions"]
    assert (region["input"], region["high"], region["good_inside"]) == ("T", None, 0)
    assert 412.0 > region["low"] > 408.0 and region["p_value"] < 1e-3
    assert "100 % of the failures have T > 41" in run("failures", store).stdout


def test_no_failures(folder: Path) -> None:
    """A store without failures says so."""
    run("run", "explained_model.py:Code", "-X", "300", "1", "--store", "s.db")
    assert run("failures", "s.db").stdout == "no failures among 1 points\n"
    assert run_json("failures", "s.db")["groups"] == []


def test_show_beside_the_nominal_point(store: str) -> None:
    """With the model, the nominal values stand beside, and the input files are compared."""
    text = run("show", store, "40", "--model", "explained_model.py:Code").stdout
    assert "T = 428.7  (nominal 300.0)\np = 4.1    (nominal 1.0)\n" in text
    assert "-T 300.0\n-p 1.0\n+T 428.7\n+p 4.1\n" in text and " some words\n" in text
    assert "--- input.txt (nominal)\n+++ input.txt (evaluation 40)\n" in text
    told = run_json("show", store, "40", "--model", "explained_model.py:Code")
    assert told["nominal"] == {"T": 300.0, "p": 1.0}
    assert told["input_files"][0]["name"] == "input.txt"


def test_show_tells_the_kept_folder(store: str) -> None:
    """Files, what the code said last, and how to run it by hand; once only what the error has already."""
    good, bad = run("show", store, "1").stdout, run("show", store, "40").stdout
    assert "last lines of stderr.txt:\n  | careful" in good and "  output.txt (" in good
    assert bad.count("no convergence at T = ") == 1
    line = next(line for line in bad.splitlines() if line.startswith("again by hand: "))
    command = line.removeprefix("again by hand: ")
    assert command.endswith(SCRIPT)
    assert subprocess.run(command, shell=True, capture_output=True, timeout=60).returncode == 4


def test_show_compares_what_was_there(store: str) -> None:
    """The file in the kept folder counts, and it is said if the model writes another one today."""
    Path("template.txt").write_text("other words\nT @T\np @p\n", encoding="utf-8")
    text = run("show", store, "40", "--model", "explained_model.py:Code").stdout
    assert "input.txt is not what the model writes today" in text
    assert "-other words\n" in text and "+some words\n" in text


def test_show_without_its_folder(store: str) -> None:
    """A folder that is gone is said to be, and the input is written anew to be compared."""
    Path("work").rename("gone")
    text = run("show", store, "40", "--model", "explained_model.py:Code").stdout
    assert "The work directory is not here; it was on " in text and "+T 428.7\n" in text


def test_show_a_point_whose_input_cannot_be_written(folder: Path) -> None:
    """A number that does not fit its format is told with the record, as it was in the run."""
    Path("narrow.py").write_text(
        "import otwrap as otw\n"
        f"text = otw.Template({os.fspath(folder / 'template.txt')!r}, ['@T', '@p'], formats={{'p': '6.3f'}})\n"
        "model = otw.Wrapper(['T', 'p'], ['y'], templates={'i.txt': text}, command='true', nominal=[1, 1],\n"
        "                    parsers=[otw.parsers.Value('o.txt', 'y =')])\n",
        encoding="utf-8",
    )
    run("run", "narrow.py:model", "-X", "1", "123456789", "--store", "n.db")
    result = run("show", "n.db", "1", "--model", "narrow.py:model")
    assert result.exit_code == 0 and "cause        input" in result.stdout, result.output
    assert "the input files cannot be written: " in result.stdout


def test_model_of_other_inputs(store: str) -> None:
    """A model that cannot be that of the store is refused."""
    for command in (["show", store, "1", "--model"], ["replay"]):
        rest = [store, "1"] if command == ["replay"] else []
        result = run(*command, "explained_model.py:other", *rest)
        assert result.exit_code == 1 and "other has the inputs a; the store has T, p" in result.stderr


def test_replay_is_the_same(store: str) -> None:
    """A point again: the same bits, its folder kept, what it prints shown, the store untouched."""
    before = Path(store).read_bytes()
    result = run("replay", "explained_model.py:Code", store, "7", "--into", "again")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("the same, bit by bit\nfolder   ")
    assert "solving point 6\n" in result.stderr and "careful\n" in result.stderr
    assert {"input.txt", "output.txt", "stdout.txt", SCRIPT} <= set(os.listdir("again"))
    assert Path(store).read_bytes() == before


def test_replay_of_a_failure(store: str) -> None:
    """A point that fails again in the same way is the same; the folder is made where the others are."""
    told = run_json("replay", "explained_model.py:Code", store, "40", "--quiet")
    assert told["same"] and told["now"]["exit_code"] == told["recorded"]["exit_code"] == 4
    assert Path(told["folder"]).parent == Path("work").absolute()
    assert told["now"]["workdir"] == told["folder"]
    text = run("replay", "explained_model.py:Code", store, "40")
    assert text.exit_code == 0 and "it failed again in the same way" in text.stdout
    assert "no convergence at T = 428.7" in text.stderr


def test_replay_of_a_changed_attempt(folder: Path) -> None:
    """What was done only with the changed settings of a later attempt is replayed with these."""
    Path("ladder.py").write_text(
        "import otwrap as otw\n"
        "model = otw.Wrapper(['T'], ['y'], command=otw.Command(['sh', '-c', 'test $K = 2 && echo y = {T}'], env={'K': '1'}),\n"
        "                    parsers=[otw.parsers.Value('stdout.txt', 'y =')], keep='none',\n"
        "                    retries=otw.Retries(1, retry_with=[{'env': {'K': '2'}}]))\n",
        encoding="utf-8",
    )
    run("run", "ladder.py:model", "-X", "3", "--store", "l.db")
    assert run_json("show", "l.db", "1")["settings"] == {"env": {"K": "2"}}
    told = run_json("replay", "ladder.py:model", "l.db", "1")
    assert told["same"] and told["now"]["attempts"] == 2
    assert "K=2" in Path(told["folder"], SCRIPT).read_text(encoding="utf-8")


def test_replay_tells_the_last_bit(store: str) -> None:
    """A difference in the last bit is told, with both values, and is the exit status."""
    Path("code.sh").write_text(CODE.replace("T / 3, p", "T * (1 / 3), p"), encoding="utf-8")
    numbers = [number for number in range(1, 20) if differs(300 + (number - 1) * 3.3)]
    result = run("replay", "explained_model.py:Code", store, str(numbers[0]))
    assert result.exit_code == 1 and result.stdout.startswith("1 of 2 outputs differ\noutput  recorded")
    T = 300 + (numbers[0] - 1) * 3.3
    assert f"{T / 3!r}" in result.stdout and f"{T * (1 / 3)!r}" in result.stdout


def differs(T: float) -> bool:
    """Whether two ways to divide by three give different doubles."""
    return T / 3 != T * (1 / 3)


def test_replay_after_a_change(store: str) -> None:
    """A model that has changed since is told, and a failure that is none any more is a difference."""
    Path("template.txt").write_text("T 300\np @p\n# @T\n", encoding="utf-8")
    result = run("replay", "explained_model.py:Code", store, "40")
    assert "the templates or input files changed" in result.stderr
    assert result.exit_code == 1
    assert "recorded failed (exit code), exit code 4\nnow      done, exit code 0" in result.stdout


def test_replay_into_a_folder_that_is_not_empty(store: str) -> None:
    """Nothing is written into a folder that has something."""
    Path("mine").mkdir()
    Path("mine/file").touch()
    result = run("replay", "explained_model.py:Code", store, "1", "--into", "mine")
    assert result.exit_code == 2 and "not empty" in result.stderr
    assert os.listdir("mine") == ["file"]
    result = run("replay", "explained_model.py:Code", store, "99")
    assert result.exit_code == 1 and "no evaluation 99" in result.stderr


def test_replay_of_a_function(folder: Path) -> None:
    """A function of OpenTURNS is evaluated again too, and has no folder."""
    run("run", "explained_model.py:function", "-X", "0.1", "3", "--store", "f.db")
    assert run_json("replay", "explained_model.py:function", "f.db", "1")["folder"] is None
    result = run("replay", "explained_model.py:function", "f.db", "1", "--into", "x")
    assert result.exit_code == 2 and "runs in no folder" in result.stderr


def test_own_command_line(store: str) -> None:
    """A model's own file needs no MODEL: it shows and replays with itself."""
    show = [sys.executable, "explained_model.py", "show", store, "40"]
    assert "(nominal 300.0)" in subprocess.run(show, capture_output=True, text=True, timeout=100).stdout
    again = [sys.executable, "explained_model.py", "replay", store, "40", "--quiet"]
    ended = subprocess.run(again, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0 and "failed again in the same way" in ended.stdout


def test_streams_are_live_and_ctrl_c_ends_it(store: str) -> None:
    """What the code prints is seen while it runs; Ctrl-C ends it, and its folder stays."""
    Path("work/slow").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "otwrap", "replay", "explained_model.py:Code", store, "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    seen = [process.stderr.readline(), process.stderr.readline()]
    began = time.monotonic()
    assert sorted(seen) == ["careful\n", "solving point 0\n"] and process.poll() is None
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 130 and time.monotonic() - began < 20.0
    assert "interrupted; what it wrote until then is in " in rest
    assert Path(rest.strip().rpartition(" is in ")[2], "stdout.txt").exists()
