"""What `otwrap.workdir` promises."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otwrap import workdir
from otwrap.workdir import TempWorkDir, own_current_directory

HERE = Path(__file__).parent.parent
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a directory per thread needs Linux")


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    """Start in a folder of our own, and end there."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    yield home
    assert Path.cwd() == home


@pytest.fixture
def base(tmp_path):
    """The folder for temporary work directories, not there yet."""
    return tmp_path / "base"


@pytest.fixture
def no_unshare(monkeypatch):
    """A system that gives no thread a directory of its own, as in many containers."""
    monkeypatch.setattr(workdir, "_unshare", lambda: False)


def content(folder):
    """What a folder has; nothing if it is not there."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def in_thread(function, *args):
    """Call a function in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result(timeout=30)


def test_the_slides_example(base, at_home):
    """Inside, the current directory is the temporary one; after it, the former one and nothing is left."""
    base.mkdir()
    with TempWorkDir(base_temp_work_dir=str(base), prefix="run-", cleanup=True, transfer=None):
        assert Path.cwd().parent == base
        assert Path.cwd().name.startswith("run-")
    assert Path.cwd() == at_home
    assert content(base) == []


def test_positional_parameters_are_those_of_the_slides(base):
    """Base folder, prefix, cleanup, transfer, chdir; a pathlib path is fine."""
    Path("f").write_text("")
    with TempWorkDir(base, "p-", True, ["f"], False) as path:
        assert Path(path).name.startswith("p-")
        assert content(Path(path)) == ["f"]
        assert Path.cwd().name == "home"


def test_the_call_of_otwrapy_0_13(base):
    """With `dir=`, even None, the current directory is left alone unless `chdir` is asked for."""
    home = Path.cwd()
    with TempWorkDir(dir=base, prefix="ot-", cleanup=True) as cwd:
        assert isinstance(cwd, str)
        assert Path(cwd).parent == base
        assert Path.cwd() == home
    with TempWorkDir(dir=None, cleanup=True):
        assert Path.cwd() == home
    with TempWorkDir(dir=base, chdir=True):
        assert Path.cwd().parent == base


def test_both_names_of_the_base_folder(base, tmp_path):
    """As in otwrapy 0.13, `base_temp_work_dir` counts, with a warning, and `chdir` is false."""
    with pytest.warns(DeprecationWarning, match="give one of them"):
        both = TempWorkDir(base, dir=tmp_path / "other")
    with both as path:
        assert Path(path).parent == base
        assert Path.cwd().name == "home"


def test_the_folder_is_made_on_entry(base):
    """Nothing is made before the block; the path is yielded and kept as `dirname`."""
    temporary = TempWorkDir(base)
    assert not base.exists()
    assert temporary.dirname is None
    with temporary as path:
        assert path == temporary.dirname
        assert Path(path).is_absolute()


def test_without_cleanup_the_folder_stays(base):
    """A backup of the simulation is the default."""
    with TempWorkDir(base) as path:
        Path("out").write_text("1")
    assert content(Path(path)) == ["out"]


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_always_back_whatever_was_raised(base, at_home, raised):
    """What the block raises is raised on, the former directory is back, and the folder is gone."""
    with pytest.raises(raised), TempWorkDir(base, cleanup=True):
        os.chdir("/")
        raise raised
    assert Path.cwd() == at_home
    assert content(base) == []


def test_the_former_directory_is_gone(base, tmp_path, monkeypatch):
    """If the block removed it, the nearest folder above is taken, with a warning."""
    former = tmp_path / "home" / "former"
    former.mkdir()
    monkeypatch.chdir(former)
    with pytest.warns(RuntimeWarning, match="is gone"), TempWorkDir(base):
        former.rmdir()
    assert Path.cwd() == tmp_path / "home"


@pytest.mark.parametrize("link", [False, True])
def test_transfer_takes_files_and_folders(base, link):
    """Relative paths, folders with a slash at the end, pathlib and a single path work; link on request."""
    Path("data/sub").mkdir(parents=True)
    Path("data/sub/f").write_text("1")
    Path("g").write_text("2")
    with TempWorkDir(base, transfer=["data/", Path("g")], link=link):
        assert Path("data/sub/f").read_text() + Path("g").read_text() == "12"
        assert Path("g").is_symlink() == link
    with TempWorkDir(base, transfer="g"):
        assert content(Path.cwd()) == ["g"]


def test_a_failed_entry_leaves_nothing(base, at_home):
    """A missing file to transfer is told, and neither folder nor current directory has changed."""
    Path("mesh.dat").write_text("")
    temporary = TempWorkDir(base, transfer=["mesh.dat", "mehs.dat"])
    with pytest.raises(FileNotFoundError, match=r"did you mean 'mesh.dat'\?"), temporary:
        pytest.fail("entered")
    assert content(base) == []
    assert Path.cwd() == at_home
    Path("mehs.dat").write_text("")
    with temporary:
        assert content(Path.cwd()) == ["mehs.dat", "mesh.dat"]


def test_variables_and_home_are_expanded_on_entry(tmp_path, monkeypatch):
    """The environment that counts is that of the moment of entry."""
    here, there = TempWorkDir("$SCRATCH_OF_TEST/x"), TempWorkDir("~/y")
    monkeypatch.setenv("SCRATCH_OF_TEST", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with here as first, there as second:
        assert Path(first).parent == tmp_path / "x"
        assert Path(second).parent == tmp_path / "y"


def test_an_unknown_variable_is_told(at_home):
    """No folder named `$NOT_SET` is made."""
    with pytest.raises(ValueError, match=r"environment variable \$NOT_SET_OF_TEST is not set"):
        TempWorkDir("$NOT_SET_OF_TEST/x").__enter__()
    assert content(at_home) == []


def test_a_relative_base_is_made_where_we_are(at_home):
    """It is made if missing, and its path is absolute."""
    with TempWorkDir("a/b") as path:
        assert Path(path).parent == at_home / "a" / "b"


def test_a_base_that_is_a_file_is_told(at_home):
    """The file is named."""
    Path("a").write_text("")
    for base in ("a", "a/b"):
        with pytest.raises(OSError, match="home/a"):
            TempWorkDir(base).__enter__()


def test_a_prefix_with_a_slash_is_refused():
    """It would be another folder."""
    with pytest.raises(ValueError, match="without slashes"):
        TempWorkDir(prefix="a/b")


def test_nested_blocks(base, at_home):
    """Blocks of two objects nest; one object inside its own block is a clear error, and stays usable."""
    with TempWorkDir(base) as outer:
        with TempWorkDir(base) as inner:
            assert Path.cwd() == Path(inner)
        assert Path.cwd() == Path(outer)
    temporary = TempWorkDir(base, cleanup=True)
    with temporary as first:
        with pytest.raises(RuntimeError, match="in use already"):
            temporary.__enter__()
        assert Path.cwd() == Path(first)
    with temporary as second:
        assert second != first
    assert Path.cwd() == at_home


def test_cleanup_removes_what_is_read_only(base):
    """Codes that write-protect their results do not fill the disk."""
    with TempWorkDir(base, cleanup=True) as path:
        Path("sub").mkdir()
        Path("sub/f").write_text("")
        for name in ("sub/f", "sub", "."):
            Path(name).chmod(0o500)
    assert not Path(path).exists()


def test_a_folder_that_cannot_be_removed_is_no_failure(base, monkeypatch):
    """What was computed is not lost; a warning tells."""

    def fail(folder):
        raise PermissionError(13, "no", folder)

    monkeypatch.setattr(workdir, "remove_tree", fail)
    with pytest.warns(RuntimeWarning, match="could not be removed"), TempWorkDir(base, cleanup=True):
        pass


def test_it_pickles(base):
    """A wrapper may carry one to another process."""
    with pickle.loads(pickle.dumps(TempWorkDir(base, "p-"))) as path:
        assert Path(path).name.startswith("p-")


def where(barrier):
    """The directory of this thread, and of a process that it starts, while all threads are in theirs."""
    with TempWorkDir(cleanup=True, prefix="thread-") as path:
        barrier.wait(20)
        Path("mark").write_text(path)
        barrier.wait(20)
        seen = subprocess.run(["pwd", "-P"], capture_output=True, text=True, check=True).stdout.strip()
        assert Path("mark").read_text() == path
        barrier.wait(20)
        return os.path.realpath(path), os.path.realpath(Path.cwd()), seen


@linux
def test_eight_threads_have_eight_directories(at_home):
    """Threads in work directories at once, and their processes, are each in their own."""
    if not in_thread(own_current_directory):
        pytest.skip("this system does not give a thread a directory of its own")
    barrier = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(where, [barrier] * 8))
        assert Path.cwd() == at_home
    assert len({path for path, _, _ in answers}) == 8
    for path, cwd, seen in answers:
        assert path == cwd == seen


@linux
def test_a_thread_does_not_move_the_main_thread(at_home):
    """While a worker is in its folder, the main thread may be in another, and stays there."""
    if not in_thread(own_current_directory):
        pytest.skip("this system does not give a thread a directory of its own")
    with TempWorkDir(cleanup=True) as mine:
        path = in_thread(lambda: TempWorkDir(cleanup=True).__enter__())
        assert Path.cwd() == Path(mine)
        Path(path).rmdir()


def test_the_main_thread_never_unshares(monkeypatch):
    """It keeps the directory of the process."""
    monkeypatch.setattr(workdir, "_unshare", lambda: pytest.fail("asked"))
    assert own_current_directory() is False


def test_it_is_tried_once_a_thread(monkeypatch):
    """The answer is remembered."""
    calls = []
    monkeypatch.setattr(workdir, "_unshare", lambda: calls.append(1) or True)
    assert in_thread(lambda: [own_current_directory(), own_current_directory()]) == [True, True]
    assert calls == [1]


def test_without_a_directory_per_thread_the_second_thread_gets_an_error(no_unshare, base, at_home):
    """It is told what to do, makes nothing, and the first thread stays where it is."""
    with TempWorkDir(base, cleanup=True) as mine:
        with pytest.raises(RuntimeError, match=r"chdir=False.*multiprocessing"):
            in_thread(lambda: TempWorkDir(base).__enter__())
        assert Path.cwd() == Path(mine)
        assert content(base) == [Path(mine).name]
        in_thread(lambda: TempWorkDir(base, chdir=False, cleanup=True).__enter__())
    in_thread(enter_and_leave, base)
    assert Path.cwd() == at_home


def enter_and_leave(base):
    """Be in a work directory for a moment, twice nested."""
    with TempWorkDir(base, cleanup=True), TempWorkDir(base, cleanup=True) as path:
        assert Path.cwd() == Path(path)


def test_without_a_directory_per_thread_no_thread_gets_anothers(no_unshare, base):
    """Of eight threads at once, each is in its own folder or has the error."""
    barrier = threading.Barrier(8)

    def try_it():
        barrier.wait(20)
        try:
            with TempWorkDir(base, cleanup=True) as path:
                for _ in range(20):
                    assert Path.cwd() == Path(path)
        except RuntimeError as error:
            assert "asks for a current directory" in str(error)
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: try_it(), range(8))) >= 1
    assert content(base) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_not_held_by_threads_it_does_not_have():
    """A process forked while a thread is in a work directory may go into its own."""
    script = """
import os, threading
from otwrap import workdir
workdir._unshare = lambda: False
inside, done = threading.Event(), threading.Event()
def hold():
    with workdir.TempWorkDir(cleanup=True):
        inside.set()
        done.wait(20)
thread = threading.Thread(target=hold)
thread.start()
inside.wait(20)
child = os.fork()
if not child:
    with workdir.TempWorkDir(cleanup=True):
        os._exit(7)
print(os.waitpid(child, 0)[1] >> 8)
done.set()
thread.join()
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=HERE, timeout=60)
    assert ran.stdout == "7\n", ran.stderr


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_say_no(monkeypatch, platform):
    """Nothing is asked of a system that cannot."""
    monkeypatch.setattr(sys, "platform", platform)
    assert in_thread(own_current_directory) is False
