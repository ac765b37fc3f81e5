"""`reproduce.sh`: a kept evaluation runs again by hand, elsewhere, and without otwrap."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import otwrap as otw
from otwrap.command.script import reproduction
from otwrap.folders import SCRIPT, WorkFolders

VALUE = otw.parsers.Value("out.txt", "y =")


def model(tmp_path: Path, command: Any, **settings: Any) -> otw.Wrapper:
    """Return a wrapper whose work directories are all kept."""
    template = tmp_path / "template.txt"
    template.write_text("a = @a\n", encoding="utf-8")
    return otw.Wrapper(
        ["a"],
        ["y"],
        templates={"in put.txt": template},
        tokens=["@a"],
        command=command,
        parsers=[VALUE],
        **{"keep": "all", "base_temp_work_dir": tmp_path, **settings},
    )


def by_hand(folder: str | Path, *, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the script in an environment that has nothing."""
    ended = subprocess.run(
        ["env", "-i", f"PATH={os.defpath}", "sh", f"{folder}/{SCRIPT}"],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == status, ended.stderr
    return ended


def outputs_of(folder: str | Path) -> dict[str, bytes]:
    """Return the content of what the code wrote."""
    return {path.name: path.read_bytes() for path in Path(folder).glob("*.txt") if path.name != "in put.txt"}


def test_same_bytes_elsewhere_and_by_hand(tmp_path: Path, odd_folder: Path) -> None:
    """Copied to a folder with an odd name, without its output, the evaluation gives the same bytes again."""
    code = 'cat "in put.txt"; cat; echo "y = $OMP_NUM_THREADS$1|$B|$C|${HOME-none}" >out.txt; echo oops >&2'
    command = otw.Command(
        ["sh", "-c", code, "sh", "{a} {point} $x 'q'"],
        setup=["B='two words'; export B"],
        env={"C": "it's $c"},
        env_remove="HOME",
        stdin="in put.txt",
        cpus=3,
        timeout=50,
    )
    chain = [command, otw.Command("sh -c 'echo second; cp out.txt out.2.txt; exit 3'", ok_codes=[3])]
    evaluation = model(tmp_path, chain).evaluate([0.1 + 0.2], number=17)
    assert evaluation.status == "done", evaluation.error
    first = outputs_of(evaluation.workdir)
    assert first["out.txt"] == b"y = 30.30000000000000004 17 $x 'q'|two words|it's $c|none\n"
    assert set(first) == {"out.txt", "out.2.txt", "stdout.txt", "stderr.txt", "stdout.2.txt", "stderr.2.txt"}
    copy = odd_folder / "moved here"
    shutil.copytree(evaluation.workdir, copy)
    for name in ("out.txt", "out.2.txt"):
        (copy / name).unlink()
    by_hand(copy, status=3)
    assert outputs_of(copy) == first
    by_hand(copy, status=3)
    assert outputs_of(copy) == first, "a second run was added to the first"


def test_what_failed_fails_again(tmp_path: Path) -> None:
    """The chain stops where it failed, with the exit code of the code."""
    chain = [["sh", "-c", "echo broken >&2; exit 7"], ["touch", "never"]]
    evaluation = model(tmp_path, chain, keep="failed").evaluate([1.0])
    assert evaluation.exit_code == 7
    assert (
        "exit code 7; what was printed is in stderr.txt stdout.txt"
        in by_hand(evaluation.workdir, status=7).stderr
    )
    assert not Path(evaluation.workdir, "never").exists()
    assert Path(evaluation.workdir, "stderr.txt").read_text(encoding="utf-8") == "broken\n"


def test_says_what_it_is(tmp_path: Path) -> None:
    """The script names the inputs, the point and the limits of what it does; a strange name cannot run."""
    inputs = ["a", "b\ntouch broken"]
    wrapper = otw.Wrapper(
        inputs,
        ["y"],
        command=otw.Command("false", memory="1 GB"),
        parsers=[VALUE],
        base_temp_work_dir=tmp_path,
    )
    folder = Path(wrapper.evaluate([0.25, 2.0], number=3, attempt=2).workdir)
    text = (folder / SCRIPT).read_text(encoding="utf-8")
    assert "# a = 0.25\n" in text and "# point 3, attempt 2, until " in text
    assert "The memory limit of 1000000000 bytes is not kept here" in text
    by_hand(folder, status=1)
    assert not (folder / "broken").exists()


def test_no_secret_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which variables there were is told, and the value only of those by which programs are found."""
    monkeypatch.setenv("SOME_TOKEN", "5ecret")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib\ntouch broken")
    folder = Path(model(tmp_path, "false").evaluate([1.0]).workdir)
    text = (folder / SCRIPT).read_text(encoding="utf-8")
    assert "SOME_TOKEN" in text and "5ecret" not in text
    assert f"#     PATH={os.environ['PATH']}\n" in text and "#     LD_LIBRARY_PATH=/opt/lib\n# touch" in text


def test_changed_settings_of_an_attempt(tmp_path: Path) -> None:
    """What is run again is the attempt that was kept, with the settings that were changed for it."""
    wrapper = model(tmp_path, otw.Command(["sh", "-c", 'echo "y = $K" >out.txt'], env={"K": "1"}))
    evaluation = wrapper.evaluate([1.0], attempt=2, settings={"env": {"K": "2"}})
    assert evaluation.output == (2.0,), evaluation.error
    Path(evaluation.workdir, "out.txt").unlink()
    by_hand(evaluation.workdir)
    assert Path(evaluation.workdir, "out.txt").read_text(encoding="utf-8") == "y = 2\n"


class Own(otw.Wrapper):
    """Runs two commands by itself, or none."""

    def __init__(self, base: Path, *, commands: int) -> None:
        super().__init__(["a"], ["y"], parsers=[VALUE], keep="all", base_temp_work_dir=base)
        self.number = commands

    def _prepare_input(self, x: Any, workdir: Path) -> None:
        (workdir / "in.txt").write_text(f"y = {x[0]!r}\n", encoding="utf-8")

    def _run_code(self, workdir: Path) -> None:
        if self.number:
            self.run(["sh", "-c", "echo {a}; cp in.txt middle.txt"], workdir)
            self.run(["mv", "middle.txt", "out.txt"], workdir)
        else:
            shutil.copy(workdir / "in.txt", workdir / "out.txt")


def test_own_run_step(tmp_path: Path) -> None:
    """Commands that a model's own step ran are run again, and it is said that there may have been more."""
    evaluation = Own(tmp_path, commands=2).evaluate([0.1])
    first = outputs_of(evaluation.workdir)
    assert first["stdout.txt"] == b"0.1\n"
    Path(evaluation.workdir, "out.txt").unlink()
    by_hand(evaluation.workdir)
    assert outputs_of(evaluation.workdir) == first
    assert "own _run_code ran these commands" in Path(evaluation.workdir, SCRIPT).read_text(encoding="utf-8")


def test_own_run_step_without_commands(tmp_path: Path) -> None:
    """What only Python can run again says so, and what to do, and fails."""
    evaluation = Own(tmp_path, commands=0).evaluate([0.1])
    said = by_hand(evaluation.workdir, status=1).stderr
    assert "cannot be run again without Python" in said and "model.evaluate([0.1])" in said


def test_input_that_is_gone(tmp_path: Path) -> None:
    """Where only some files were kept, the input that is missing is named, and nothing runs."""
    wrapper = model(tmp_path, ["sh", "-c", "echo y = 1 >out.txt"], keep="none", keep_files=["out.txt"])
    evaluation = wrapper.evaluate([1.0])
    assert sorted(os.listdir(evaluation.workdir)) == ["out.txt", SCRIPT]
    assert "in put.txt is missing here" in by_hand(evaluation.workdir, status=1).stderr


def test_moved_by_keep_to(tmp_path: Path) -> None:
    """The script goes with the folder, and can be executed."""
    wrapper = model(tmp_path, ["sh", "-c", "echo y = 1 >out.txt"], keep_to=tmp_path / "kept ones")
    evaluation = wrapper.evaluate([1.0], number=0)
    assert Path(evaluation.workdir).parent == tmp_path / "kept ones"
    subprocess.run([f"{evaluation.workdir}/{SCRIPT}"], check=True, capture_output=True)


def test_costs_nothing_where_nothing_is_kept(tmp_path: Path) -> None:
    """No script is made for a folder that is not kept."""
    folders = WorkFolders(str(tmp_path))

    def never() -> str:
        raise AssertionError("the script was asked for")

    for status in ("done", "cancelled"):
        assert folders.settle(folders.take(), 1, status, never) is None
    with pytest.raises(AssertionError, match="asked for"):
        folders.settle(folders.take(), 1, "failed", never)
    folders.close()


def test_the_code_has_such_a_file_itself(tmp_path: Path) -> None:
    """A file of that name is the code's and stays."""
    evaluation = model(tmp_path, ["sh", "-c", f"echo mine >{SCRIPT}; echo y = 1 >out.txt"]).evaluate([1.0])
    assert Path(evaluation.workdir, SCRIPT).read_text(encoding="utf-8") == "mine\n"


def test_a_folder_that_takes_no_file(tmp_path: Path) -> None:
    """A script that cannot be written costs neither the folder nor the record."""
    folders = WorkFolders(str(tmp_path))
    folder = folders.take()
    os.symlink("nowhere/at all", f"{folder}/{SCRIPT}")
    assert folders.settle(folder, None, "failed", lambda: "text") == folder


def test_a_limited_run_ends_with_the_terminal(tmp_path: Path) -> None:
    """Ctrl-C ends a code that has a time limit too, and its children."""
    command = otw.Command("sh -c 'sleep 77.31; true'", timeout=60)
    (tmp_path / SCRIPT).write_text(reproduction([[command]]), encoding="utf-8")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("sh", ["sh", f"{tmp_path}/{SCRIPT}"])
    try:
        wait_for(lambda: "sleep 77.31" in processes())
        os.write(terminal, b"\x03")
        wait_for(lambda: "sleep 77.31" not in processes())
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    finally:
        os.close(terminal)


def processes() -> str:
    """Return the command lines of all processes."""
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def wait_for(condition: Any) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
