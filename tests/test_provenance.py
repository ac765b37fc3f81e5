"""Who made the records of a store."""

import os
import shutil
import subprocess

import pytest

import otwrap as otw
from otwrap import storefile
from otwrap.provenance import git_commit, provenance, source_folder
from otwrap.store import Store


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return a repository with a commit, and its hash."""
    if not shutil.which("git"):
        pytest.skip("Git is not installed")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "a")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")
    folder = tmp_path / "repository"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "f").touch()
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def git(folder, *arguments):
    """Run Git and return what it says."""
    ended = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def test_the_commit_is_the_one_that_git_says(repository):
    """On a branch, with packed references, detached, and in a second work tree."""
    expected = git(repository, "rev-parse", "HEAD")
    assert git_commit(repository / "deep" / "er") == expected
    git(repository, "pack-refs", "--all")
    assert git_commit(repository) == expected
    git(repository, "worktree", "add", "-q", "-b", "other/name", "../tree")
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    assert git_commit(repository.parent / "tree") == expected
    assert git_commit(repository) == git(repository, "rev-parse", "HEAD") != expected
    git(repository, "checkout", "-q", expected)
    assert git_commit(repository) == expected


@pytest.mark.parametrize(
    "content", ["", "ref: refs/heads/none", "ref: ../../../etc/passwd", "\0", "not a hash"]
)
def test_whatever_git_has_there_is_no_error(tmp_path, content):
    """Without a commit, in no repository or in a broken one, there is none."""
    (tmp_path / ".git").mkdir()
    assert git_commit(tmp_path) == ""
    (tmp_path / ".git" / "HEAD").write_text(content)
    assert git_commit(tmp_path) == ""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ".git").write_text("gitdir: /nowhere")
    assert git_commit(tmp_path / "below") == ""


def test_who_it_is_says_no_path(tmp_path, monkeypatch):
    """Versions, host and user, but nothing about where on this machine."""
    monkeypatch.setenv("LOGNAME", "ada")
    made = provenance(tmp_path)
    assert {"otwrap", "openturns", "numpy", "python", "host"} <= made.keys()
    assert not any(os.sep in value for value in made.values())


def test_a_change_of_maker_is_noted_once(tmp_path, monkeypatch):
    """The store has a line for each time that somebody else, or another version, goes on; none for the same."""
    for version in ("1", "1", "2", "1"):
        monkeypatch.setattr(storefile, "note_maker", storefile.note_maker)
        monkeypatch.setattr("otwrap.store.provenance", lambda source, version=version: {"otwrap": version})
        with Store(tmp_path / "s") as store:
            store.select(["a"], ["y"], {})
    with Store(tmp_path / "s", readonly=True) as store:
        store.select_last()
        assert [maker for _, maker in store.makers()] == [{"otwrap": v} for v in "121"]


class Own(otw.Wrapper):
    """A model of this file."""

    def __init__(self):
        super().__init__(["a"], ["y"])

    def _exec(self, x):
        return list(x)


def test_the_source_of_a_model_is_its_own_file_or_its_template(tmp_path):
    """A class of the user's is where it is written; a declared wrapper where its template is."""
    assert source_folder(Own()) == os.path.dirname(os.path.abspath(__file__))
    (tmp_path / "t").write_text("@a")
    model = otw.Wrapper(
        ["a"],
        ["y"],
        templates={"in": tmp_path / "t"},
        command=["true"],
        parsers=[otw.parsers.Value("o", "y")],
    )
    assert source_folder(model) == os.fspath(tmp_path)
