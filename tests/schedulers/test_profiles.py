"""Settings of a site, in files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from otwrap.errors import SchedulerError
from otwrap.schedulers import Profile, Resources, create_scheduler, find_profile, profile_files

FILE = """
scheduler = "slurm"
partition = "short"
time = "2h"
cpus = 4
memory = "4 GB"
setup = '''
module load python
source ~/venv/bin/activate
'''
python = "python3"
at_a_time = 50
array_limit = 500
chunk = 20
template = "my_slurm.sh"
host = "me@cluster"
commands = { submit = "/opt/slurm/bin/sbatch", cancel = ["sudo", "scancel"] }
"""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the folders in which profiles are looked for, the first one that counts first."""
    found = [
        tmp_path / "here" / "profiles",
        tmp_path / "a",
        tmp_path / "b",
        tmp_path / "config/otwrap/profiles",
    ]
    for folder in found:
        folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("OTWRAP_PROFILES", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return found


def test_all_words(tmp_path: Path) -> None:
    """A file says all there is to say; a template is looked for beside it."""
    path = tmp_path / "lab.toml"
    path.write_text(FILE)
    profile = find_profile(path)
    assert profile == Profile(
        scheduler="slurm",
        resources=Resources(
            partition="short",
            time="2h",
            cpus=4,
            memory="4 GB",
            setup=["module load python", "source ~/venv/bin/activate"],
        ),
        python="python3",
        at_a_time=50,
        array_limit=500,
        chunk=20,
        template=str(tmp_path / "my_slurm.sh"),
        host="me@cluster",
        directory="otwrap",
        commands={"submit": ("/opt/slurm/bin/sbatch",), "cancel": ("sudo", "scancel")},
        name="lab",
    )
    assert Profile.from_dict(json.loads(json.dumps(profile.as_dict()))) == profile


def test_defaults() -> None:
    """Without a profile, a batch system's name is enough."""
    profile = find_profile(scheduler="sge")
    assert profile == Profile(scheduler="sge")
    assert (profile.python, profile.parallel_environment) == (sys.executable, "smp")
    assert find_profile(profile, scheduler="sge") is profile


def test_where_files_are_looked_for(folders: list[Path]) -> None:
    """A name is looked for in ./profiles, OTWRAP_PROFILES and the user's configuration; the first file counts."""
    for number, folder in reversed(list(enumerate(folders, 1))):
        (folder / "lab.toml").write_text(f"scheduler = 'slurm'\nchunk = {number}\n")
        (folder / f"only{number}.toml").write_text("scheduler = 'lsf'\n")
        assert find_profile("lab").chunk == number
    assert {name: find_profile(path).chunk for name, path in profile_files().items()} == {
        "lab": 1,
        **{f"only{number}": None for number in (1, 2, 3, 4)},
    }


def test_file_that_is_not_there(folders: list[Path]) -> None:
    """A name that leads nowhere is told with the nearest one, all that are there, and where it was looked for."""
    (folders[1] / "cluster.toml").write_text("scheduler = 'slurm'\n")
    with pytest.raises(
        SchedulerError, match=r"no profile 'clustr'; did you mean 'cluster'\?.*profiles.*config"
    ):
        find_profile("clustr")
    with pytest.raises(SchedulerError, match=r"no profile 'x'\. Known: cluster"):
        find_profile("x")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("scheduler = 'slurm'\ntme = '1h'\n", r"no 'tme'; did you mean 'time'\?"),
        ("scheduler = 'slurm'\nqueue = 'x'\n", r"no 'queue'.*partition"),
        ("time = '1h'\n", "which batch system"),
        ("scheduler = 'slurm'\ntime = '90'\n", "say the unit"),
        ("scheduler = 'slurm'\nchunk = 0\n", "chunk=0"),
        ("scheduler = 'slurm'\nat_a_time = true\n", "at_a_time=True"),
        ("scheduler = 'slurm'\npython = ''\n", "python=''"),
        ("scheduler = 3\n", "scheduler=3"),
        ("scheduler = 'slurm'\ncommands = 'sbatch'\n", "commands='sbatch'"),
        ("scheduler = 'slurm'\ncommands = { submit = [] }\n", r"commands\.submit"),
        ("scheduler = slurm\n", "line 1"),
        ("\xff\xfe", "lab.toml"),
    ],
)
def test_what_is_wrong_in_a_file(text: str, complaint: str, tmp_path: Path) -> None:
    """What is wrong in a file is told with the file's name, the value and what is accepted."""
    path = tmp_path / "lab.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SchedulerError, match=complaint) as caught:
        find_profile(path)
    assert "lab.toml" in str(caught.value)


def test_profile_of_another_scheduler() -> None:
    """A profile is not taken for another batch system, except to rehearse it here, without what is the site's own."""
    words = {
        "cpus": 2,
        "host": "cluster",
        "template": "x",
        "chunk": 5,
        "at_a_time": 50,
        "commands": {"submit": "s"},
    }
    profile = Profile.from_dict({"scheduler": "slurm", **words})
    with pytest.raises(SchedulerError, match=r"'slurm', not for 'lsf'"):
        find_profile(profile, scheduler="lsf")
    here = find_profile(profile, scheduler="local")
    assert here == Profile(scheduler="local", resources=Resources(cpus=2), chunk=5)


def test_file_that_has_the_name_of_a_profile(folders: list[Path]) -> None:
    """A file or folder of the current folder does not hide the profile of its name; a path is always one."""
    (folders[1] / "lab.toml").write_text("scheduler = 'slurm'\n")
    Path("lab").write_text("scheduler = 'lsf'\n")
    assert find_profile("lab").scheduler == "slurm"
    assert find_profile("./lab").scheduler == find_profile(Path("lab")).scheduler == "lsf"


def test_template_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that was named from one folder is the same one from another."""
    monkeypatch.chdir(tmp_path)
    assert Profile(scheduler="slurm", template="my.sh").template == str(tmp_path / "my.sh")


def test_torque_is_a_kind_of_pbs() -> None:
    """Who asks for PBS with a profile for Torque gets Torque."""
    assert find_profile(Profile(scheduler="torque"), scheduler="pbs").scheduler == "torque"


def test_nothing_was_named() -> None:
    """Without a scheduler and a profile, it says what to give."""
    with pytest.raises(SchedulerError, match="profile="):
        find_profile()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"resources": {"time": "1h"}}, {"resources": Resources(time="1h", cpus=2)}),
        ({"resources": Resources(cpus=8)}, {"resources": Resources(cpus=8)}),
        ({"chunk": 7, "at_a_time": None}, {"chunk": 7, "at_a_time": 3}),
    ],
)
def test_other_values(changes: dict[str, Any], found: dict[str, Any]) -> None:
    """What a call says goes before the profile, word by word."""
    profile = Profile(scheduler="slurm", resources=Resources(cpus=2), at_a_time=3).replaced(**changes)
    assert {name: getattr(profile, name) for name in found} == found
    with pytest.raises(ValueError, match="'hst'; did you mean 'host'"):
        profile.replaced(hst="x")


def test_limits_of_a_site() -> None:
    """The limit of a profile goes before the default one."""
    assert create_scheduler("slurm").array_limit == 1000
    assert create_scheduler(Profile(scheduler="slurm", array_limit=20000)).array_limit == 20000


def test_unknown_scheduler() -> None:
    """A batch system that there is not is told with the nearest one and all others."""
    with pytest.raises(SchedulerError, match=r"'slrm'; did you mean 'slurm'\? Known: slurm, sge"):
        create_scheduler(Profile(scheduler="slrm"))
