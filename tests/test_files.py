"""What `otwrap.files` promises."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from otwrap.files import copy_or_link, empty_tree, remove_tree, safemakedirs, write_atomic

NOBODY = 65534


def names(folder):
    """What a folder has."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def as_ordinary_user():
    """Permissions count only for who is not root: become somebody else for the test."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def locked_tree(as_ordinary_user):
    """A folder with read-only files and folders at two depths."""
    top = Path(tempfile.mkdtemp())
    deep = top / "a" / "b"
    deep.mkdir(parents=True)
    for file in (top / "f", deep / "g"):
        file.write_text("x")
        file.chmod(0o400)
    (deep / "unreadable").mkdir()
    (deep / "unreadable" / "h").write_text("x")
    for folder in (deep / "unreadable", deep, top / "a", top):
        folder.chmod(0o000 if folder.name == "unreadable" else 0o500)
    yield top
    subprocess.run(["chmod", "-R", "u+rwx", str(top)], check=False, stderr=subprocess.DEVNULL)
    remove_tree(top)


def test_safemakedirs_makes_parents_and_is_content_with_what_is_there(tmp_path):
    """Parents are made; a second call does nothing; a trailing slash is fine."""
    safemakedirs(tmp_path / "a" / "b")
    safemakedirs(f"{tmp_path}/a/b/")
    assert (tmp_path / "a" / "b").is_dir()


def test_safemakedirs_tells_of_a_file_in_the_way(tmp_path):
    """A file where the folder should be is named."""
    (tmp_path / "a").write_text("")
    with pytest.raises(FileExistsError, match="a file of that name is in the way"):
        safemakedirs(tmp_path / "a")


@pytest.mark.parametrize("data", [b"\x00\r\n\xff", "é\r\n"])
def test_write_atomic_writes_the_bytes_given(tmp_path, data):
    """Bytes and line ends arrive as given, text as UTF-8, and nothing else is left in the folder."""
    write_atomic(tmp_path / "f", data)
    assert (tmp_path / "f").read_bytes() == (data if isinstance(data, bytes) else data.encode())
    assert names(tmp_path) == ["f"]


def test_write_atomic_keeps_the_mode(tmp_path):
    """A file that is there keeps its mode; a new one has what the umask gives."""
    old, plain, new = tmp_path / "old", tmp_path / "plain", tmp_path / "new"
    old.write_text("1")
    old.chmod(0o751)
    plain.write_text("")
    write_atomic(old, "2")
    write_atomic(new, "2")
    assert (old.read_text(), stat.S_IMODE(old.stat().st_mode)) == ("2", 0o751)
    assert new.stat().st_mode == plain.stat().st_mode


def test_write_atomic_follows_a_link(tmp_path):
    """A symbolic link stays one, and the file that it points to gets the content."""
    (tmp_path / "real").write_text("1")
    (tmp_path / "link").symlink_to("real")
    write_atomic(tmp_path / "link", "2")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "2"


def test_write_atomic_writes_into_a_pipe_and_does_not_replace_it(tmp_path):
    """What is no regular file is written to, as a device must never be replaced."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_atomic(pipe, b"abc")
    reader.join()
    assert got == [b"abc"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_write_atomic_failing_leaves_the_old_file_and_nothing_else(tmp_path):
    """A disk that is full leaves the old content, and no temporary file."""
    script = (
        "import resource, signal, sys; from otwrap.files import write_atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_atomic(sys.argv[1], b'x' * 100_000)\n"
    )
    (tmp_path / "f").write_text("old")
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path / "f")], capture_output=True, text=True)
    assert "File too large" in ran.stderr
    assert (tmp_path / "f").read_text() == "old"
    assert names(tmp_path) == ["f"]


def test_write_atomic_refuses_other_data(tmp_path):
    """What is neither bytes nor str is refused before a file is touched."""
    with pytest.raises(TypeError, match="bytes or str, not int"):
        write_atomic(tmp_path / "f", 3)
    assert names(tmp_path) == []


@pytest.mark.parametrize("slash", ["", "/", "//"])
@pytest.mark.parametrize("link", [False, True])
def test_copy_or_link_takes_files_and_folders(tmp_path, slash, link):
    """A file and a folder, with a slash at its end or not, arrive under their own names."""
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "sub" / "mesh").write_text("1")
    (tmp_path / "file").write_text("2")
    (tmp_path / "to").mkdir()
    copied = copy_or_link(f"{tmp_path}/data{slash}", tmp_path / "to", link=link)
    copy_or_link(tmp_path / "file", tmp_path / "to", link=link)
    assert copied == str(tmp_path / "to" / "data")
    assert (tmp_path / "to" / "data" / "sub" / "mesh").read_text() == "1"
    assert (tmp_path / "to" / "file").read_text() == "2"
    assert Path(copied).is_symlink() == link


def test_a_link_from_a_relative_source_works_from_anywhere(tmp_path, monkeypatch):
    """A relative source is linked by its absolute path."""
    (tmp_path / "to").mkdir()
    (tmp_path / "file").write_text("2")
    monkeypatch.chdir(tmp_path)
    copy_or_link("file", "to", link=True)
    monkeypatch.chdir("/")
    assert (tmp_path / "to" / "file").read_text() == "2"


def test_copy_or_link_says_what_is_there(tmp_path):
    """A missing source is told with the folder, what it has, and the nearest name."""
    (tmp_path / "mesh.dat").write_text("")
    with pytest.raises(FileNotFoundError, match=r"no 'mehs.dat' in .*mesh.dat.*did you mean 'mesh.dat'\?"):
        copy_or_link(tmp_path / "mehs.dat", tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        copy_or_link(tmp_path / "no" / "mehs.dat", tmp_path)


def test_copy_or_link_never_overwrites(tmp_path):
    """Two sources of one name are told, not silently made one."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_text("1")
    (tmp_path / "f").write_text("2")
    with pytest.raises(FileExistsError, match="has a 'f' already"):
        copy_or_link(tmp_path / "a" / "f", tmp_path)
    assert (tmp_path / "f").read_text() == "2"


def test_copy_or_link_does_not_copy_a_folder_into_itself(tmp_path):
    """A folder that would be copied into itself for ever is refused."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(ValueError, match="lies inside it"):
        copy_or_link(tmp_path / "a", tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []


def test_remove_tree_removes_all(tmp_path):
    """Files, sub-folders and links go; what links point to stays; missing is fine."""
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "f").write_text("")
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "f").write_text("")
    (tree / "link").symlink_to(keep)
    (tree / "dangling").symlink_to("nowhere")
    remove_tree(tree)
    remove_tree(tree)
    assert names(tmp_path) == ["keep"]
    assert (keep / "f").exists()


def test_remove_tree_of_a_link_keeps_its_folder(tmp_path):
    """A link given by name is removed, not followed."""
    (tmp_path / "keep").mkdir()
    (tmp_path / "link").symlink_to("keep")
    remove_tree(tmp_path / "link")
    assert names(tmp_path) == ["keep"]


def test_remove_tree_removes_what_is_read_only(locked_tree):
    """Read-only files and folders, and unreadable ones, go too."""
    remove_tree(locked_tree)
    assert not locked_tree.exists()


def test_remove_tree_while_a_process_still_writes(tmp_path):
    """A file that appears between the scan and the rmdir does not make it fail."""
    folder = tmp_path / "tree"
    folder.mkdir()

    def write():
        for number in range(20):
            time.sleep(0.002)
            try:
                (folder / str(number)).write_text("x")
            except OSError:
                return

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.01)
    remove_tree(folder)
    writer.join()
    assert not folder.exists()


@pytest.fixture
def somebody_elses():
    """A folder of root's, with a file, seen by an ordinary user."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs root, to make what belongs to somebody else")
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    (top / "f").write_text("")
    os.seteuid(NOBODY)
    yield top
    os.seteuid(0)
    remove_tree(top)


def test_remove_tree_says_what_it_cannot_remove(somebody_elses):
    """What belongs to somebody else stays, and is told by its name."""
    with pytest.raises(PermissionError, match=somebody_elses.name):
        remove_tree(somebody_elses)
    assert names(somebody_elses) == ["f"]


def test_empty_tree_keeps_the_folder(locked_tree):
    """The contents go, read-only or not, the folder stays, and the answer is true."""
    assert empty_tree(locked_tree) is True
    assert names(locked_tree) == []


def test_empty_tree_says_when_it_could_not(somebody_elses):
    """False for a folder that is not there or cannot be emptied; nothing is raised."""
    assert empty_tree(somebody_elses) is False
    assert empty_tree(somebody_elses / "nowhere") is False
