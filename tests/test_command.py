"""A command is a checked value."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import pytest

from otwrap.command import Command, script
from otwrap.errors import CommandError


def program(path: Path, text: str = "#!/bin/sh\nexit 0\n", mode: int = 0o755) -> Path:
    """Write a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_text_is_split_as_a_shell_would() -> None:
    """One text becomes a list of arguments, with its quotes understood."""
    command = Command("""beam -x 'my file' --name="a b" \\$x""")
    assert command.argv == ("beam", "-x", "my file", "--name=a b", "$x")


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"argv": []}, "no program"),
        ({"argv": ""}, "no program"),
        ({"argv": ["beam", 3]}, r"argv\[1\] is 3"),
        ({"argv": {"beam": 1}}, "give a list"),
        ({"argv": ["beam\0"]}, "NUL"),
        ({"argv": "beam 'x"}, "No closing quotation"),
        ({"argv": "beam < in.txt"}, "shell=True"),
        ({"argv": "beam 2>&1"}, "shell=True"),
        ({"argv": ["beam"], "shell": True}, "one text"),
        ({"env": {"A=B": "1"}}, "A=B"),
        ({"env": {"A": None}}, "env\\['A'\\] is None"),
        ({"env": {"A": "1"}, "env_remove": ["A"]}, "both"),
        ({"stdin": "/etc/passwd"}, "work directory"),
        ({"stdin": "../x"}, "work directory"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"timeout": "60"}, "timeout='60'"),
        ({"memory": "2 GX"}, "2 GX"),
        ({"memory": -1}, "memory=-1"),
        ({"cpus": 0}, "cpus=0"),
        ({"cpus": 1.5}, "cpus=1.5"),
        ({"ok_codes": []}, "no run could succeed"),
        ({"ok_codes": ["0"]}, "'0'"),
        ({"success": ["(", "x"]}, r"success\[0\]"),
        ({"failure": [("a", "b", "c")]}, "pair"),
    ],
)
def test_wrong_setting_is_told(settings: dict[str, Any], wrong: str) -> None:
    """A setting that cannot be is refused at construction, with its value."""
    with pytest.raises((TypeError, ValueError), match=wrong):
        Command(**{"argv": "beam", **settings})


@pytest.mark.parametrize(
    ("memory", "expected"), [("2 GB", 2 * 10**9), ("512MiB", 2**29), ("2g", 2**31), ("100", 100), (7, 7)]
)
def test_memory_units(memory: Any, expected: int) -> None:
    """Decimal and binary units are told apart."""
    assert Command("beam", memory=memory).memory == expected


def test_names_are_replaced_once() -> None:
    """Known names become values, which are not looked at again; all other braces stay."""
    command = Command(["beam", "{F}", "{{F}}", '{"a":{"b":1}}', "${F}", "{cpus}", "{E (Pa)}"], cpus=3)
    found = command.format({"F": "{cpus}", "E (Pa)": "1e9"})
    assert found == ["beam", "{cpus}", "{F}", '{"a":{"b":1}}', "${F}", "3", "1e9"]


def test_values_are_quoted_for_a_shell() -> None:
    """A value cannot become a command of the shell."""
    assert Command("echo {F}", shell=True).format({"F": "1; rm x"}) == ["echo '1; rm x'"]


def test_unknown_name_is_told() -> None:
    """A name that stands for nothing is an error with a hint."""
    command = Command("beam {Forse} {cpus} {point} {{x}}")
    with pytest.raises(ValueError, match=r"argv\[1\].*\{Forse\}.*did you mean \{Force\}"):
        command.check_names(["Force", "E"])
    command.check_names(["Forse"])


def test_is_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are compared by their settings, frozen, and the same after a pickle, elsewhere too."""
    command = Command("./beam -x", env={"A": 1}, success=["x", ("f", "y")], timeout=3)
    monkeypatch.chdir(tmp_path)
    copy = pickle.loads(pickle.dumps(command))
    assert copy == command == Command("./beam -x", env={"A": 1}, success=["x", ("f", "y")], timeout=3)
    assert hash(copy) == hash(command)
    assert copy.origin == command.origin != str(tmp_path)
    assert command.replace(timeout=5).origin == command.origin
    assert command.replace(timeout=5) != command
    with pytest.raises(AttributeError):
        command.timeout = 5  # type: ignore[misc]


def test_fingerprint_is_what_changes_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits, CPUs and the place where it was made are not in the fingerprint; the rest is."""
    command = Command("./beam")
    monkeypatch.chdir(tmp_path)
    same = Command(["./beam"], timeout=3, memory="1 GB", cpus=4)
    assert json.loads(json.dumps(command.fingerprint())) == same.fingerprint()
    others: list[dict[str, Any]] = [
        {"argv": "./beam2"}, {"setup": "x"}, {"env": {"A": "1"}}, {"env_remove": "A"}, {"stdin": "f"},
        {"shell": True}, {"ok_codes": 3}, {"success": "x"}, {"failure": "x"}, {"failure": [("x", "y")]},
    ]  # fmt: skip
    prints = [json.dumps(Command(**{"argv": "./beam", **other}).fingerprint()) for other in others]
    assert len({json.dumps(command.fingerprint()), *prints}) == len(others) + 1


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment follows that of the process, with threads, additions and removals."""
    monkeypatch.setenv("OTWRAP_TEST", "1")
    command = Command("beam", cpus=4, env={"MKL_NUM_THREADS": 2, "A": "b"}, env_remove=["HOME"])
    found = command.environment()
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"], found["A"]) == ("4", "2", "b")
    assert "HOME" not in found
    assert found["OTWRAP_TEST"] == "1"
    monkeypatch.setenv("OTWRAP_TEST", "2")
    assert command.environment()["OTWRAP_TEST"] == "2"


def test_program_with_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found in the work directory first, then from where the command was made."""
    origin, workdir = tmp_path / "origin", tmp_path / "work dir"
    there = program(origin / "bin" / "beam")
    workdir.mkdir()
    monkeypatch.chdir(origin)
    command = Command("bin/beam")
    monkeypatch.chdir(tmp_path)
    assert command.find_executable() == command.find_executable(workdir) == str(there)
    here = program(workdir / "bin" / "beam")
    assert command.find_executable(workdir) == str(here)
    assert command.find_executable() == str(there)


def test_program_in_the_path(tmp_path: Path) -> None:
    """A plain name is looked for in the PATH that the run will have."""
    there = program(tmp_path / "beam")
    assert Command("beam", env={"PATH": f"/nowhere:{tmp_path}"}).find_executable() == str(there)


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["beem"], "did you mean beam"),
        (["./beem"], "did you mean beam"),
        (["./plain"], "exists but is not executable: chmod"),
        (["./folder"], "is a folder"),
        (["only_here"], "write './only_here'"),
        (["$HOME/beam"], "only with shell=True"),
        (["beam -x"], "items of their own"),
    ],
)
def test_missing_program_is_told(tmp_path: Path, argv: list[str], hint: str) -> None:
    """A program that is not found says where it was looked for, and what may be meant."""
    program(tmp_path / "path" / "beam")
    work = tmp_path / "work"
    program(work / "beam")
    program(work / "plain", mode=0o644)
    program(work / "only_here")
    (work / "folder").mkdir()
    with pytest.raises(CommandError, match=hint) as caught:
        Command(argv, env={"PATH": str(tmp_path / "path")}).find_executable(work)
    assert caught.value.cause == "command not found"


def test_what_must_be_found() -> None:
    """Only a program that no shell and no value decides can be named beforehand."""
    assert Command("beam -x").executable() == "beam"
    assert Command("beam", setup="module load beam").executable() is None
    assert Command("beam", shell=True).executable() is None
    assert Command("beam{F}").executable() is None


def run_script(folder: Path, text: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Save a script in a folder and run it from elsewhere."""
    path = folder / "run.sh"
    path.write_text(text, encoding="utf-8")
    return subprocess.run(["sh", str(path)], cwd="/", capture_output=True, text=True, timeout=30, **settings)


def exit_code_of(folder: Path) -> int:
    """Return what a script left."""
    return int((folder / "exit_code.txt").read_text())


def test_script_does_the_same(odd_folder: Path) -> None:
    """A script keeps set-up, environment, input and values, and leaves streams and times."""
    (odd_folder / "in.txt").write_text("from a file\n")
    code = 'cat; echo "$A|$1|$2|$OMP_NUM_THREADS|${HOME-none}|$B"; echo oops >&2; exit 3'
    command = Command(
        ["sh", "-c", code, "sh", "{F}", "it's"],
        setup=["B='two words'; export B", "true # a comment"],
        env={"A": "a 'b' $c"},
        env_remove="HOME",
        stdin="in.txt",
        cpus=2,
        timeout=20,
    )
    run_script(odd_folder, script(command, {"F": "1e-3"}))
    assert (odd_folder / "stdout.txt").read_text() == "from a file\na 'b' $c|1e-3|it's|2|none|two words\n"
    assert (odd_folder / "stderr.txt").read_text() == "oops\n"
    assert exit_code_of(odd_folder) == 3
    times = dict(line.split() for line in (odd_folder / "times.txt").read_text().splitlines())
    assert float(times["elapsed"]) == pytest.approx(float(times["end"]) - float(times["start"]), abs=0.01)


def test_script_keeps_the_time_limit(tmp_path: Path) -> None:
    """A script ends a command that takes too long, with its children."""
    run_script(tmp_path, script(Command("sleep 4.2 & sleep 4.1", shell=True, timeout=0.3)))
    assert exit_code_of(tmp_path) == 124
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert "sleep 4.2" not in found


def test_script_of_a_chain_stops_at_a_failure(tmp_path: Path) -> None:
    """The commands of a chain have streams of their own, and none runs after one that failed."""
    chain = [
        Command("sh -c 'echo 1; exit 2'", ok_codes=[0, 2]),
        Command("sh -c 'echo 2; exit 5'"),
        Command("echo 3"),
    ]
    run_script(tmp_path, script(chain))
    assert (tmp_path / "stdout.txt").read_text() == "1\n"
    assert (tmp_path / "stdout.2.txt").read_text() == "2\n"
    assert not (tmp_path / "stdout.3.txt").exists()
    assert exit_code_of(tmp_path) == 5


def test_script_finds_a_relative_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a script too, the work directory comes first, then the place where the command was made."""
    work = tmp_path / "work"
    work.mkdir()
    program(tmp_path / "beam", "#!/bin/sh\necho origin $1\n")
    monkeypatch.chdir(tmp_path)
    text = script(Command("./beam 'a  b'"))
    run_script(work, text)
    assert (work / "stdout.txt").read_text() == "origin a b\n"
    program(work / "beam", "#!/bin/sh\necho work $1\n")
    run_script(work, text)
    assert (work / "stdout.txt").read_text() == "origin a b\nwork a b\n"


def test_failed_setup_stops(tmp_path: Path) -> None:
    """A set-up command that fails is the failure, not what would have come after it."""
    run_script(tmp_path, script(Command("echo hello", setup=["true", "false"])))
    assert exit_code_of(tmp_path) == 1
    assert (tmp_path / "stdout.txt").read_text() == ""
    assert "set-up command 2 failed: false" in (tmp_path / "stderr.txt").read_text()


def test_scripts_are_plain_sh(tmp_path: Path) -> None:
    """The strictest shell at hand reads what is written."""
    path = tmp_path / "run.sh"
    path.write_text(script(Command("beam {F}", setup="if true; then\n  true\nfi"), {"F": "a'b"}))
    strict = "/bin/dash" if os.access("/bin/dash", os.X_OK) else "/bin/sh"
    subprocess.run([strict, "-n", str(path)], check=True)


def test_fingerprint_knows_no_host_path() -> None:
    """The same program in another place of another machine is the same command."""
    assert Command("/opt/solver/bin/beam -x").fingerprint() == Command("/usr/local/bin/beam -x").fingerprint()
    assert Command("/opt/bin/beam -x").fingerprint() != Command("/opt/bin/plate -x").fingerprint()
