"""What the pages on batch systems show: profiles that load, and scripts that are made of them."""

from __future__ import annotations

import re
import runpy
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import openturns as ot
import pytest

import otwrap as otw
from otwrap.batch.work import worker_work
from otwrap.schedulers import Job, create_scheduler, find_profile, scheduler_names

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = DOCS / "how-to" / "schedulers"
#: A block of TOML in a page, and its options.
BLOCK = re.compile(r"^\.\. code-block:: toml\n((?:   :.*\n)*)\n((?:(?:   .*)?\n)+)", re.MULTILINE)


def profiles() -> Iterator[object]:
    """Yield the profiles that the docs show: their places and texts."""
    for path in sorted(DOCS.rglob("*.toml")):
        yield pytest.param(path.read_text(encoding="utf-8"), id=str(path.relative_to(DOCS)))
    for path in sorted(DOCS.rglob("*.rst")):
        for number, found in enumerate(BLOCK.finditer(path.read_text(encoding="utf-8")), 1):
            yield pytest.param(textwrap.dedent(found[2]), id=f"{path.relative_to(DOCS)}-{number}")


def scripts(name: str) -> dict[str, str]:
    """Return what is made of the profile of a page, for fifty tasks."""
    profile = find_profile(PAGES / "profiles" / f"{name}.toml")
    job = Job(
        "otwrap-3f2a9c1e-001",
        "jobs/001",
        worker_work("jobs/001", "python3" if name == "local" else profile.python),
        50,
        at_a_time=profile.at_a_time,
        resources=profile.resources,
    )
    made = create_scheduler(profile).scripts(job)
    return {f"{name}{Path(file).suffix}": text for file, text in made.items()}


@pytest.mark.parametrize("text", list(profiles()))
def test_profile_loads(text: str, tmp_path: Path) -> None:
    """A profile that somebody copies from a page is one, of a batch system that there is."""
    path = tmp_path / "profile.toml"
    path.write_text(text, encoding="utf-8")
    profile = find_profile(path)
    if "commands" not in text:
        assert create_scheduler(profile).executable()
    assert profile.scheduler in scheduler_names()


@pytest.mark.parametrize("name", scheduler_names())
def test_script_is_the_one_that_is_made(name: str) -> None:
    """The script on a page is what the profile beside it gives; `python tests/schedulers/test_docs.py` writes it."""
    for file, text in scripts(name).items():
        assert (PAGES / "scripts" / file).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", [name for name in scheduler_names() if name != "torque"])
def test_every_batch_system_has_a_page(name: str) -> None:
    """It shows the profile and the script."""
    page = (PAGES / f"{name}.rst").read_text(encoding="utf-8")
    assert f"profiles/{name}.toml" in page
    assert f"scripts/{name}." in page


@pytest.mark.parametrize("script", ["thousand.py", "algorithm.py"])
def test_tutorial_prints_the_answer(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scripts of the tutorial give what its page says, here with the fin's formula and without a queue."""
    tip = "20 + 80 / cosh(sqrt(2 * exchange / (conductivity * 0.002)) * length)"
    real = runpy.run_path(str(DOCS / "tutorial" / "wrapper.py"))
    fin = ot.SymbolicFunction(list(real["fin"].inputs), [tip])
    monkeypatch.setitem(sys.modules, "wrapper", SimpleNamespace(fin=fin, distribution=real["distribution"]))
    monkeypatch.setattr(otw.backends, "Slurm", lambda profile: "serial", raising=False)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(DOCS / "tutorial" / script))
    page = (DOCS / "tutorial-cluster.rst").read_text(encoding="utf-8")
    assert capsys.readouterr().out.split(" varianceEstimate")[0].splitlines()[0] in page


if __name__ == "__main__":
    for scheduler in scheduler_names():
        for script, content in scripts(scheduler).items():
            (PAGES / "scripts" / script).write_text(content, encoding="utf-8")
