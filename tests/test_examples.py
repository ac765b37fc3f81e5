"""The beam and the tutorial run, and give the known answers."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otwrap.examples.beam import Beam, Wrapper
from otwrap.examples.beam.executable import executable

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "docs" / "tutorial"

compiled = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")


def run_script(script: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder, with this checkout's otwrap."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache folder, which nothing was built in yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.delenv("CC", raising=False)
    return folder / "otwrap"


def run_beam(command: list[str], text: str, folder: Path, *arguments: str) -> tuple[int, str, str | None]:
    """Return exit code, messages and output file of the beam's code."""
    (folder / "beam.xml").write_text(text)
    output = folder / "_beam_outputs_.xml"
    output.unlink(missing_ok=True)
    done = subprocess.run(
        [*command, *(arguments or ("-x", "beam.xml"))], cwd=folder, capture_output=True, text=True
    )
    return done.returncode, done.stderr, output.read_text() if output.exists() else None


def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the command of the stand-in."""
    monkeypatch.setenv("CC", "")
    return executable()


def test_beam_known_value() -> None:
    """The slides' wrapper gives the published deviation of the published point."""
    assert Wrapper is Beam
    assert Beam()([3e4, 3e7, 255.0, 400.0])[0] == pytest.approx(13.8178125, rel=1e-15)


BEAM = '<beam F="3e4" E="3e7" L="255" I="400"/>'


@compiled
@pytest.mark.parametrize(
    ("text", "arguments", "exit_code"),
    [
        (BEAM, (), 0),
        (BEAM, ("-x",), 2),
        (BEAM, ("-y", "beam.xml"), 2),
        (BEAM, ("-x", "missing.xml"), 3),
        ("no beam", (), 4),
        (BEAM.replace("400", "nan"), (), 4),
        (BEAM.replace("400", "1e999"), (), 4),
        (BEAM.replace("400", "0x10"), (), 4),
        (BEAM.replace("400", "4_0"), (), 4),
        (BEAM.replace("400", ""), (), 4),
        (BEAM.replace("400", "-400"), (), 4),
        (BEAM.replace(' I="400"', ""), (), 4),
        (BEAM.replace("3e7", "1e-300").replace("400", "1e-200"), (), 4),
    ],
)
def test_stand_in_fails_as_the_code(
    text: str, arguments: tuple[str, ...], exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled code and stand-in have the same exit codes, messages and output."""
    built = executable()
    in_c = run_beam(built, text, tmp_path, *arguments)
    in_python = run_beam(stand_in(monkeypatch), text, tmp_path, *arguments)
    assert in_c == in_python
    assert in_c[0] == exit_code


@compiled
def test_stand_in_has_the_same_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code and stand-in write the same 17 digits."""
    built, portable = executable(), stand_in(monkeypatch)
    assert built != portable
    draw = random.Random(0)
    for _ in range(10):
        F, E, L, I = (draw.lognormvariate(mean, 1) for mean in (10, 17, 5, 6))  # noqa: E741
        text = f'<beam F="{F!r}" E="{E!r}" L="{L!r}" I="{I!r}"/>'
        assert run_beam(built, text, tmp_path) == run_beam(portable, text, tmp_path)


@compiled
def test_build_is_safe_among_processes(cache: Path, tmp_path: Path) -> None:
    """Several processes that build at once all get a code that runs, and leave one file."""
    script = (
        "from otwrap.examples.beam.executable import executable as e; import subprocess as s; print(e()[0])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda _: subprocess.check_output([sys.executable, "-c", script], env=environment, text=True),
                range(4),
            )
        )
    assert len(set(answers)) == 1
    assert [str(path) for path in cache.rglob("*") if path.is_file()] == [answers[0].strip()]
    assert run_beam([answers[0].strip()], BEAM, tmp_path)[0] == 0


def test_build_that_fails_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that fails is told in a warning, and the stand-in runs."""
    monkeypatch.setenv("CC", f'"{sys.executable}" -c "import sys; sys.exit(\'no licence\')"')
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        command = executable()
    assert "no licence" in str(told[0].message)
    assert command[-1].endswith("beam.py")
    assert not list(cache.iterdir())


@pytest.mark.parametrize("model", ["guide", pytest.param("usecase", marks=pytest.mark.slow)])
def test_study_meets_its_references(model: str, tmp_path: Path) -> None:
    """The study ends well, which it does within three standard errors only, and saves its picture."""
    pytest.importorskip("matplotlib")
    done = run_script(ROOT / "examples" / "beam" / "study.py", "--model", model, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Monte Carlo" in done.stdout
    assert (tmp_path / "beam_study.png").stat().st_size > 1000


def test_wrapper_is_a_script(tmp_path: Path) -> None:
    """The slides' command line of a wrapper's file prints the answer with all its digits."""
    done = run_script(
        ROOT / "examples" / "beam" / "wrapper.py", "-X", "3e4", "3e7", "255", "400", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "13.8178125" in done.stdout


def test_tutorial_runs_twice(tmp_path: Path) -> None:
    """The tutorial's study gives the same answer again, from its store."""
    first = run_script(TUTORIAL / "study.py", cwd=tmp_path)
    second = run_script(TUTORIAL / "study.py", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert first.stdout.splitlines() == [
        "mean 68.71 degC, standard deviation 7.48 degC",
        "100 evaluations on record",
    ]


def test_tutorial_code_writes_what_the_page_says(tmp_path: Path) -> None:
    """The log on the tutorial's page is the code's."""
    shutil.copy(TUTORIAL / "fin.in", tmp_path)
    subprocess.run([sys.executable, str(TUTORIAL / "fin.py"), "fin.in"], cwd=tmp_path, check=True)
    page = (ROOT / "docs" / "tutorial.rst").read_text(encoding="utf-8")
    for line in (tmp_path / "fin.log").read_text().splitlines():
        assert line in page
