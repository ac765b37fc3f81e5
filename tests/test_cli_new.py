"""`otwrap new`: a wrapper from one working case, by answers from a file or a terminal; and `--grid`."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from otwrap.cli.group import otwrap
from otwrap.models import find_model

ROOT = Path(__file__).resolve().parents[1]
#: A Fortran exponent, a whole number, a comment in Latin-1, lines that end as on Windows.
DECK = "* Tr\xe4ger J1 50M 01/01/2020\r\nload 1.5D+03\r\nparts 3, 7\r\nlast 2.5 2.5".encode("latin-1")
CODE = """\
tr -d '\\r' < deck.inp | tr D E | awk '
/^load/ {load = $2} /^parts/ {if ($2 !~ /^[0-9]+,$/) exit 3; parts = $2 + 0} /^last/ {last = $2 + $3}
END {if (!parts) exit 3; printf "steps 7\\nstress = %.17g MPa\\n", (load + last) / parts > "out.txt"}'
"""
ANSWERS = """\
name = "Deck"
input_files = ["deck.inp"]
command = "sh code.sh"

[inputs.load]
at = '"load"'
distribution = "normal 1500 10"

[inputs.parts]
at = "line 3 number 1"
found = "3"
whole = true

[inputs.last]
at = ["line 4 number 1", "line 4 number 2"]

[outputs.stress]
file = "out.txt"
at = '"stress ="'
valid = [0, inf]
"""
#: The same, typed; some of it wrong at first.
TYPED = [
    "*load", '"load"', "1.5D", "lambda", "load", "normal 1500", "normal 1500 10",
    "line 3", "line 3 number 1", "load", "parts", "maybe", "y", "uniform 1 9", "values 2 3 4",
    "list", "line 4 number 1", "all", "last", "",
    "",
    "a | b", "sh code.sh", "", "",
    "nothing.txt", "out.txt", "parser Vaule", "parser Value token = os.system", "2", "", "stress", "",
    "y",
]  # fmt: skip


@pytest.fixture(autouse=True)
def same_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the import system back as it was."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a case that works, and its code in the PATH of `sh`."""
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "deck.inp").write_bytes(DECK)
    (tmp_path / "code.sh").write_text(CODE, encoding="utf-8")
    (folder / "answers.toml").write_text(
        ANSWERS.replace("code.sh", str(tmp_path / "code.sh")), encoding="utf-8"
    )
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return folder


def new(*arguments: object, status: int = 0, typed: str | None = None) -> Result:
    """Run `otwrap new` in this process."""
    result = CliRunner().invoke(otwrap, ["new", *map(str, arguments)], input=typed)
    assert result.exit_code == status, (result.output, result.exception)
    return result


def changed(text: str, before: str, after: str) -> str:
    """Return a text with a part replaced, which must be there."""
    assert before in text
    return text.replace(before, after)


def with_answers(case: Path, before: str, after: str) -> None:
    """Change the answers of a case."""
    path = case / "answers.toml"
    path.write_text(changed(path.read_text(encoding="utf-8"), before, after), encoding="utf-8")


def there(folder: Path) -> dict[str, bytes]:
    """Return all files in a folder with their content."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# A wrapper from an answers file


def test_a_wrapper_from_answers(case: Path) -> None:
    """The wrapper passes the doctor, gives the nominal output, and varies what it was told to."""
    said = new("--answers", "answers.toml").stdout
    assert "Ready to run" in said and "stress = 501.6666666666667, as in the nominal case" in said
    model = find_model("wrapper.py").model
    assert (model.inputs, model.outputs) == (("load", "parts", "last"), ("stress",))
    assert model.nominal == (1500.0, 3.0, 2.5)
    assert model.evaluate([1000.0, 2.0, 10.0]).output == (510.0,)
    assert model.distribution.getDimension() == 3
    assert list(model.distribution.getDescription()) == ["load", "parts", "last"]


def test_bytes_are_kept(case: Path) -> None:
    """All that is no input stays byte for byte; numbers keep the style that the code needs."""
    new("--answers", "answers.toml", "--no-check")
    template = (case / "deck.inp.tmpl").read_bytes()
    for token, text in ((b"@load@", b"1.5D+03"), (b"@parts@", b"3"), (b"@last@", b"2.5")):
        assert token in template
        template = template.replace(token, text)
    assert template == DECK
    model = find_model("wrapper.py").model
    model.prepare(model.nominal, case.parent)
    assert (case.parent / "deck.inp").read_bytes() == DECK


def test_the_file_is_clean(case: Path) -> None:
    """The wrapper's file passes the linter and the formatter as it is written."""
    pytest.importorskip("ruff")
    new("--answers", "answers.toml", "--no-check")
    for command in (["check", "--select", "E,F,W,I,B,UP,SIM"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length", "110", "wrapper.py"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_the_file_runs_by_itself(case: Path) -> None:
    """The wrapper's file has the command line of every wrapper."""
    new("--answers", "answers.toml", "--no-check")
    command = [sys.executable, "wrapper.py", "-X", "1000", "2", "10", "--no-dump"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "stress = 510.0\n"


def test_dry_run(case: Path) -> None:
    """A dry run shows the changed lines and the wrapper, and writes nothing."""
    before = there(case)
    said = new("--answers", "answers.toml", "--dry-run").stdout
    assert "   2  load @load@" in said and "class Deck(otw.Wrapper):" in said
    assert there(case) == before


def test_nothing_is_overwritten(case: Path) -> None:
    """A file that is there is kept, unless it is to be replaced."""
    (case / "deck.inp.tmpl").write_text("mine")
    before = there(case)
    assert "deck.inp.tmpl: there already" in new("--answers", "answers.toml", status=2).output
    assert there(case) == before
    new("--answers", "answers.toml", "--force", "--no-check")
    assert b"@load@" in (case / "deck.inp.tmpl").read_bytes()


def test_a_folder_of_its_own(case: Path) -> None:
    """With --into, what the wrapper needs goes along, and the folder can be moved."""
    (case / "table.dat").write_text("1 2 3")
    shutil.copy(case.parent / "code.sh", case / "run.sh")
    (case / "run.sh").write_text(f"#!/bin/sh\ntest -f table.dat || exit 9\n{CODE}")
    (case / "run.sh").chmod(0o755)
    with_answers(case, f"sh {case.parent / 'code.sh'}", "./run.sh")
    with_answers(case, '["deck.inp"]', '["deck.inp", "table.dat"]')
    with_answers(case, '"line 3', '"deck.inp: line 3')
    with_answers(case, '["line 4 number 1", "line 4', '["deck.inp: line 4 number 1", "deck.inp: line 4')
    new("--answers", "answers.toml", "--into", "../made", "--no-check")
    moved = case.parent / "moved"
    (case.parent / "made").rename(moved)
    shutil.rmtree(case)
    os.chdir(moved)
    assert sorted(there(moved)) == ["deck.inp.tmpl", "run.sh", "table.dat", "wrapper.py"]
    assert find_model("wrapper.py").model.evaluate([1000.0, 2.0, 10.0]).output == (510.0,)
    os.chdir(case.parent)


def test_a_tree_of_files(case: Path) -> None:
    """Files in folders become one folder of templates, and a command may be a chain."""
    (case / "system").mkdir()
    (case / "system" / "control").write_text("deltaT 0.5;\n")
    (case / "0").mkdir()
    (case / "0" / "T").write_text("uniform 3;\n")
    (case / "tree.toml").write_text(
        """
        input_files = ["0", "system"]
        command = []
        [inputs.dt]
        at = '"deltaT"'
        [outputs.y]
        file = "log"
        at = "line 1"
        """.replace("command = []\n", "")
    )
    command = ["--command", "cp system/control middle", "--command", "sed -n 's/[^0-9.]//gw log' middle"]
    new("--answers", "tree.toml", *command, "--name", "Flow", "--into", "made")
    assert sorted(there(case / "made")) == ["case.tmpl/0/T", "case.tmpl/system/control", "wrapper.py"]
    assert find_model("made/wrapper.py").model.evaluate([0.25]).output == (0.25,)


def test_output_that_is_there_already(case: Path) -> None:
    """With --output the code need not run here."""
    (case / "out.txt").write_text("stress = 12.5 MPa\n")
    with_answers(case, f"sh {case.parent / 'code.sh'}", "only-on-the-cluster")
    new("--answers", "answers.toml", "--output", "out.txt", "--no-check")
    assert '"only-on-the-cluster"' in (case / "wrapper.py").read_text(encoding="utf-8")


def test_a_code_that_fails(case: Path) -> None:
    """If the nominal case fails, the code's message is told and nothing is written."""
    before = there(case)
    result = new("--answers", "answers.toml", "--command", "sh -c 'echo no mesh >&2; exit 4'", status=1)
    assert "no mesh" in result.output and "nothing but deck.inp" in result.output
    assert there(case) == before


def test_list(case: Path) -> None:
    """--list shows the numbers of inputs and outputs, and asks nothing."""
    (case / "out.txt").write_text("y = 2\n")
    said = new("deck.inp", "--list", "--output", "out.txt").stdout
    assert "   1    2:6    load >1.5D+03<\n" in said and "   1    1:5    y = >2<\n" in said
    assert "50M" not in said.replace("J1 50M", "")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("at = '\"load\"'", "at = 'line 99'", "inputs.load: 'line 99': deck.inp has the lines 1 to 4"),
        ('found = "3"', 'found = "4"', "inputs.parts: deck.inp, line 3 has 3 where 4 was found"),
        (
            "normal 1500 10",
            "norml 1500 10",
            "inputs.load: 'norml' is no distribution (did you mean 'normal'?)",
        ),
        ("[outputs.stress]", "[outputs.1]", "the name '1' is none"),
        ('file = "out.txt"', 'file = "aut.txt"', "outputs.stress: file is 'aut.txt'; give an output file"),
        ("at = '\"stress =\"'", "parser = 'Json'\npath = 'a'", "outputs.stress: Json("),
        ("valid = [0, inf]", "valdi = [0, inf]", "has no argument 'valdi' (did you mean 'valid'?)"),
        ("valid = [0, inf]", "valid = [0, 1]", "out of range"),
        ('"deck.inp"', '"dekc.inp"', "there is no file 'dekc.inp'"),
        ('"Deck"', '"otw"', "the name 'otw' means something else"),
    ],
)
def test_wrong_answers(case: Path, before: str, after: str, told: str) -> None:
    """A wrong answer is told with its place, the status is 2, and nothing is written."""
    with_answers(case, before, after)
    files = there(case)
    assert told in new("--answers", "answers.toml", status=2).output
    assert there(case) == files


# Nothing is evaluated

PAYLOADS = [
    "__import__('os').system('touch x')",
    '"); __import__("os").system("touch x"); ("',
    "$(touch x)",
    "`touch x`",
]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("slot", range(9))
def test_no_answer_is_evaluated(case: Path, payload: str, slot: int) -> None:
    """Code in any answer is a text that means nothing: refused, or a literal, and never run."""
    quoted = "'''" + payload + "'''"
    before, after = [
        ('"Deck"', quoted),
        ('["deck.inp"]', f"[{quoted}]"),
        ("at = '\"load\"'", f"at = {quoted}"),
        ('"normal 1500 10"', quoted),
        ('found = "3"', f"nominal = {quoted}"),
        ('"out.txt"', quoted),
        ("at = '\"stress =\"'", f"parser = {quoted}"),
        ("at = '\"stress =\"'", f"parser = 'Value'\ntoken = {quoted}"),
        ("[outputs.stress]", f"[outputs.{payload}]"),
    ][slot]
    with_answers(case, before, after)
    files = there(case)
    new("--answers", "answers.toml", status=2)
    assert there(case) == files


def test_texts_do_not_leave_their_literals(case: Path) -> None:
    """A file and a token with quotes, backslashes and line ends make a wrapper that works and nothing else."""
    odd = 'a"b\'c\\n"""d\n#{load}.inp'
    (case / odd).write_bytes(DECK)
    script = case.parent / "odd.sh"
    script.write_text(f"cp a*b*.inp deck.inp\n{CODE}\nprintf 'it\\047s \"\\\\x\" 4.5\\n' >> out.txt\n")
    answers = changed(ANSWERS, '"deck.inp"', '"""a\\"b\'c\\\\n\\"\\"\\"d\n#{load}.inp"""')
    answers = changed(answers, "sh code.sh", f"sh {script}")
    answers = changed(answers, "at = '\"stress =\"'", "parser = 'Value'\ntoken = '''it's \"\\x\"'''")
    (case / "answers.toml").write_text(answers, encoding="utf-8")
    new("--answers", "answers.toml", "--into", "made", "--no-check")
    assert find_model("made/wrapper.py").model.evaluate([1.0, 2.0, 3.0]).output == (4.5,)


# Asked


def test_asked_through_a_pipe(case: Path) -> None:
    """Wrong answers are asked again, with the reason; the saved ones make the same wrapper again."""
    typed = (
        "\n".join(changed("\n".join(TYPED), "sh code.sh", f"sh {case.parent / 'code.sh'}").split("\n")) + "\n"
    )
    result = new("deck.inp", "--save-answers", "saved.toml", "--into", "made", typed=typed)
    for told in (
        "accepted are an index",
        "the name '1.5D' is none",
        "a word of Python",
        "give normal mean std",
        "the name 'load' is taken",
        "'maybe' is none of",
        "only whole numbers are written",
        "is for a shell",
        "'nothing.txt' is none of",
        "did you mean 'Value'?",
        "is no TOML",
    ):
        assert told in result.stderr, told
    assert "Ready to run" in result.stdout
    new("--answers", "saved.toml", "--into", "again", "--no-check")
    made = there(case / "made")
    saved = (case / "saved.toml").read_bytes()
    assert there(case / "again") == made and b"[inputs.last]" in saved
    assert find_model("made/wrapper.py").model.evaluate([1000.0, 2.0, 10.0]).output == (510.0,)


def test_code_that_is_typed_is_not_evaluated(case: Path) -> None:
    """Code typed at any question is asked again, or is a text."""
    files = there(case)
    for n in range(1, 30):
        # The n-th answer is code; the following ones may then be asked for something else.
        typed = [*TYPED[: n - 1], PAYLOADS[0], *TYPED[n - 1 : 23], "", ""]
        CliRunner().invoke(otwrap, ["new", "deck.inp"], input="\n".join(typed) + "\n")
        assert there(case) == files


def test_the_input_ends(case: Path) -> None:
    """Where the input ends, it ends cleanly, having written nothing."""
    files = there(case)
    for n in range(len(TYPED) - 1):
        typed = changed("\n".join(TYPED), "sh code.sh", f"sh {case.parent / 'code.sh'}").split("\n")[:n]
        result = new(
            "deck.inp", "--save-answers", "s.toml", status=1, typed="".join(f"{line}\n" for line in typed)
        )
        assert "nothing has been written" in result.stderr and "Traceback" not in result.output
        assert there(case) == files


def test_no_at_the_last_question(case: Path) -> None:
    """Who does not want it written has nothing written."""
    files = there(case)
    typed = changed("\n".join([*TYPED[:-1], "n"]), "sh code.sh", f"sh {case.parent / 'code.sh'}") + "\n"
    assert "nothing has been written" in new("deck.inp", status=130, typed=typed).stderr
    assert there(case) == files


class Terminal:
    """`otwrap new` at a terminal."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "otwrap", "new", *arguments])
        self.seen = ""

    def read(self, seconds: float) -> bool:
        """Read what is shown next, if anything is; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 4096)
        except OSError:  # how the end of a terminal is told
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def wait_for(self, text: str) -> None:
        """Read until a text is shown."""
        end = time.monotonic() + 60
        while text not in self.seen:
            assert self.read(1.0) and time.monotonic() < end, self.seen
        self.seen = self.seen.partition(text)[2]

    def answer(self, question: str, line: str) -> None:
        """Answer a question."""
        self.wait_for(question)
        os.write(self.fd, f"{line}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C; again where the first one came before anything listened."""
        for _ in range(10):
            os.write(self.fd, b"\x03")
            end = time.monotonic() + 3
            while time.monotonic() < end:
                if not self.read(0.1) or "interrupted" in self.seen:
                    return

    def status(self) -> int:
        """Wait for its end, and make it end where it does not."""
        end = time.monotonic() + 60
        while self.read(1.0):
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_asked_at_a_terminal(case: Path) -> None:
    """At a real terminal, a wrapper is made."""
    terminal = Terminal("deck.inp", "--no-check", "--command", f"sh {case.parent / 'code.sh'}")
    for question, line in (
        ("Input 1 is the number", '"load"'),
        ("Its name", "load"),
        ("Its distribution", ""),
        ("Input 2 is the number", ""),
        ("Name of the wrapper [Deck]", ""),
        ("Output 1 stands in the file", "out.txt"),
        ("The output is the number", '"stress ="'),
        ("Which one [1]", ""),
        ("Its name", "stress"),
        ("Output 2 stands in the file", ""),
        ("Write deck.inp.tmpl, wrapper.py", ""),
    ):
        terminal.answer(question, line)
    assert terminal.status() == 0
    assert find_model("wrapper.py").model.evaluate([1000.0]).output == (335.0,)


@pytest.mark.parametrize("at", ["Its name", "Input 2 is the number"])
def test_ctrl_c_at_a_question(case: Path, at: str) -> None:
    """Ctrl-C at any question ends it at once, after OpenTURNS was used too, and nothing is written."""
    files = there(case)
    terminal = Terminal("deck.inp")
    terminal.answer("Input 1 is the number", '"load"')
    if at != "Its name":
        terminal.answer("Its name", "load")
        terminal.answer("Its distribution", "")
    terminal.wait_for(at)
    terminal.interrupt()
    assert terminal.status() == 130
    assert there(case) == files


def test_ctrl_c_while_the_code_runs(case: Path, tmp_path: Path) -> None:
    """Ctrl-C while the nominal case runs ends the code too, and nothing is written."""
    mark = tmp_path / "pid"
    files = there(case)
    command = [sys.executable, "-m", "otwrap", "new", "--answers", "answers.toml"]
    process = subprocess.Popen([*command, "--command", f"sh -c 'echo $$ > {mark}; exec sleep 100'"])
    end = time.monotonic() + 60
    while not (mark.exists() and mark.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    assert there(case) == files


# --grid


def grid(*arguments: str, status: int = 0) -> Result:
    """Run the wrapper of the case on a grid."""
    result = CliRunner().invoke(otwrap, ["run", "wrapper.py", *arguments, "--json"])
    assert result.exit_code == status, result.output
    return result


def test_grid(case: Path) -> None:
    """All combinations are run, the last input fastest, the others at the nominal point."""
    import json

    new("--answers", "answers.toml", "--no-check")
    said = grid("--grid", "last=linspace(1,2,3)", "--grid", "load=[10, 20]")
    points = [tuple(record["input"].values()) for record in json.loads(said.stdout)["evaluations"]]
    assert points == [(load, 3.0, last) for load in (10.0, 20.0) for last in (1.0, 1.5, 2.0)]
    assert "6 points: 2 x 1 x 3" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lad=1"], "is 'load' meant?"),
        (["load"], "NAME=VALUES is expected"),
        (["load=1", "load=2"], "load is given twice"),
        (["load=[1"], "'[1' ends where ']' is expected"),
        (["load=linspace(0,1,2000)", "last=linspace(0,1,2000)"], "these are 4000000 points"),
        (["load=__import__('os').system('touch x')"], "'__import__' stands at character 1"),
    ],
)
def test_wrong_grids(case: Path, arguments: list[str], told: str) -> None:
    """A grid that cannot be read, or is too large, is told, and nothing is run."""
    new("--answers", "answers.toml", "--no-check")
    texts = [part for argument in arguments for part in ("--grid", argument)]
    assert told in grid(*texts, status=2).output
    assert not (case / "x").exists()


def test_a_grid_without_a_nominal_point(case: Path) -> None:
    """A model without a nominal point needs values for all of its inputs."""
    (case / "wrapper.py").write_text("import openturns as ot\nf = ot.SymbolicFunction(['a', 'b'], ['a-b'])\n")
    assert "has no nominal point: give --grid for b too" in grid("--grid", "a=1:3", status=2).output
    grid("--grid", "a=1:3", "--grid", "b=0")
