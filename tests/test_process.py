"""A run is timed, limited, recorded, and leaves nothing behind."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from otwrap import guardian
from otwrap.command import Command
from otwrap.errors import CommandError, CommandTimeout, InputError
from otwrap.process import Completed, end_all, judge, live, run, run_chain, spawn, streams, tail
from otwrap.process.registry import ours

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
ROOT = Path(__file__).resolve().parents[1]
#: A child in a session of its own that ignores TERM, in the background, as nasty as can be.
ESCAPER = """setsid sh -c 'trap "" TERM; touch escaped; while :; do sleep 0.1; done' &"""


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Check that no test leaves a process of a run or a zombie."""
    yield
    if sys.platform == "linux":
        assert guardian.find_tree(f"{ours.prefix}-".encode()) == []
        assert zombies() == []


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody wait long."""
    monkeypatch.setattr(guardian, "GRACE", 0.3)


def zombies() -> list[str]:
    """Return the children of this process that have ended and were not reaped."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in guardian.read_proc(f"{task}/children").decode().split():
            fields = guardian.read_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()
            found += [pid] if fields[:1] == [b"Z"] else []
    return found


def failure(command: Command, workdir: Path, **settings: Any) -> CommandError:
    """Run a command that fails; return the error."""
    with pytest.raises(CommandError) as caught:
        run(command, workdir, **settings)
    return caught.value


def wait_for(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    """Wait until a condition is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def test_a_good_run(odd_folder: Path) -> None:
    """Streams are files, exit code and times are in the answer; text on standard error is no failure."""
    done = run(
        Command(["sh", "-c", 'pwd; echo "$1"; echo warning >&2', "sh", "{F}"]),
        odd_folder,
        values={"F": "3e4"},
    )
    assert (odd_folder / "stdout.txt").read_text() == f"{odd_folder}\n3e4\n"
    assert (odd_folder / "stderr.txt").read_text() == "warning\n"
    assert (done.exit_code, done.cpu_time is not None) == (0, os.name != "nt")
    assert 0 < done.wall_time < 5


def test_exit_code(tmp_path: Path) -> None:
    """An exit code that is not allowed fails with its number, the command, the folder and the last lines."""
    error = failure(Command("sh -c 'echo output; echo the reason >&2; exit 4'"), tmp_path)
    assert (error.status, error.cause, error.exit_code) == ("failed", "exit code", 4)
    for part in ("exit code 4", "exit 4'", str(tmp_path), "| the reason", "| output", "ok_codes="):
        assert part in str(error)
    assert run(Command("sh -c 'exit 4'", ok_codes=[0, 4]), tmp_path).exit_code == 4
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.exit_code) == (str(error), 4)


@pytest.mark.parametrize(("name", "status"), [("SEGV", "failed"), ("KILL", "killed"), ("TERM", "failed")])
def test_signal(tmp_path: Path, name: str, status: str) -> None:
    """A signal is told by its name; a kill from outside is `killed`."""
    error = failure(Command(f"sh -c 'echo last words; kill -{name} $$'"), tmp_path)
    assert (error.status, error.cause) == (status, "signal")
    assert error.exit_code == -signal.Signals[f"SIG{name}"]
    assert f"SIG{name}" in str(error)
    assert "| last words" in str(error)


def test_not_found(tmp_path: Path) -> None:
    """A program that is not there, or cannot be started, is told before anything else."""
    error = failure(Command("no-such-code -x"), tmp_path)
    assert (error.status, error.cause) == ("failed", "command not found")
    for text, reason in (("#!/no/such/shell\n", "asks for '/no/such/shell'"), ("exit 0\n", "#!/bin/sh")):
        path = tmp_path / "code.sh"
        path.write_text(text)
        path.chmod(0o755)
        error = failure(Command("./code.sh"), tmp_path)
        assert error.cause == "command not found"
        assert reason in str(error)


def test_program_that_vanishes(tmp_path: Path) -> None:
    """A program that was found once and is gone later is told as any other, and found again elsewhere."""
    places = [tmp_path / "a", tmp_path / "b"]
    for place in places:
        place.mkdir()
        (place / "beam").write_text("#!/bin/sh\n")
        (place / "beam").chmod(0o755)
    command = Command("beam", env={"PATH": os.pathsep.join([*map(str, places), os.environ["PATH"]])})
    run(command, tmp_path)
    (places[0] / "beam").unlink()
    (places[1] / "beam").unlink()
    assert "not in the PATH" in str(failure(command, tmp_path))
    shutil.copy("/bin/true", places[1] / "beam")
    assert run(command, tmp_path).exit_code == 0


def test_missing_work_directory(tmp_path: Path) -> None:
    """A work directory that is not there is what the error says."""
    error = failure(Command("true"), tmp_path / "gone")
    assert str(tmp_path / "gone") in str(error)
    assert error.cause != "command not found"


def old_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have neither what tells of the end of a process nor what starts one fast."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(spawn, "fast_spawn", lambda: None)


@pytest.mark.parametrize("fallback", [False, True])
def test_both_ways_to_start_do_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallback: bool
) -> None:
    """A code starts with default signals, no files but three, and a session and a folder of its own."""
    if fallback:
        old_system(monkeypatch)
    extra = os.dup2(1, 250, inheritable=True)
    try:
        done = run(
            Command(["sh", "-c", 'kill -PIPE $$; echo "not ended by SIGPIPE"'], ok_codes=[-signal.SIGPIPE]),
            tmp_path,
        )
        assert done.exit_code == -signal.SIGPIPE
        code = "import os; print(os.getsid(0) == os.getpid(), os.path.exists('/dev/fd/250'))"
        code += "; print(os.read(0, 9), os.getcwd())"
        run(Command([sys.executable, "-c", code]), tmp_path)
    finally:
        os.close(extra)
    assert (tmp_path / "stdout.txt").read_text() == f"True False\nb'' {tmp_path}\n"
    for command, cause in (
        (Command("no-such-code"), "command not found"),
        (Command("./x"), "command not found"),
    ):
        assert failure(command, tmp_path).cause == cause
    with pytest.raises(ValueError, match="NUL|null"):
        run(Command(["echo", "{F}"]), tmp_path, values={"F": "a\0b"})
    with pytest.raises(CommandError, match="Argument list too long"):
        run(Command(["echo", "{F}"]), tmp_path, values={"F": "x" * 3_000_000})


@linux
@pytest.mark.parametrize("fallback", [False, True])
def test_time_limit_ends_the_tree(
    tmp_path: Path, short_grace: None, monkeypatch: pytest.MonkeyPatch, fallback: bool
) -> None:
    """At the time limit all ends: children that ignore TERM, and those that have left the session."""
    if fallback:
        old_system(monkeypatch)
    child = """sh -c 'trap "" TERM; sleep 30; sleep 30' &"""
    code = f"""trap "" TERM; {ESCAPER} {child} echo started; wait; wait; sleep 30"""
    start = time.monotonic()
    error = failure(Command(code, shell=True, timeout=0.6), tmp_path)
    assert isinstance(error, CommandTimeout)
    assert isinstance(error, TimeoutError)
    assert (error.status, error.cause, error.exit_code) == ("timeout", "time limit", -signal.SIGKILL)
    assert "0.6 s" in str(error)
    assert "| started" in str(error)
    assert time.monotonic() - start < 3
    assert (tmp_path / "escaped").exists()


def test_term_comes_first(tmp_path: Path) -> None:
    """A code that ends well when asked can: its last words are in the error."""
    code = "trap 'echo saved; exit 0' TERM; echo go; while :; do sleep 0.05; done"
    error = failure(Command(["sh", "-c", code], timeout=0.3), tmp_path)
    assert isinstance(error, CommandTimeout)
    assert "| saved" in str(error)


def test_shorter_time_limit_counts(tmp_path: Path) -> None:
    """The limit of the call and that of the command both hold."""
    for of_command, of_call in ((0.2, 20), (20, 0.2), (None, 0.2)):
        error = failure(Command("sleep 9", timeout=of_command), tmp_path, timeout=of_call)
        assert "limit of 0.2 s" in str(error)


@linux
def test_normal_end_leaves_nothing(tmp_path: Path, short_grace: None) -> None:
    """What a code leaves running in its group ends with it, also if it ignores TERM or has no environment."""
    code = """sh -c 'trap "" TERM; echo $$ >pid1; while :; do sleep 0.05; done' &
    env -i sleep 30 & echo $! >pid2; while [ ! -s pid1 ]; do sleep 0.02; done"""
    assert run(Command(code, shell=True), tmp_path).exit_code == 0
    for name in ("pid1", "pid2"):
        assert not is_alive(int((tmp_path / name).read_text()))


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    return guardian.read_proc(f"/proc/{pid}/cmdline") != b""


def in_python(code: str, workdir: Path, **settings: Any) -> subprocess.Popen[str]:
    """Start a Python program that has otwrap."""
    head = f"import os, sys, time, signal, threading; sys.path.insert(0, {str(ROOT)!r})\n"
    head += "from otwrap.command import Command\nfrom otwrap import guardian, process\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code], cwd=workdir, text=True, stdout=subprocess.PIPE, **settings
    )


@linux
def test_adopted_orphans_end(tmp_path: Path) -> None:
    """A worker that adopts orphans ends after a run what has left the session, and keeps no zombie."""
    code = f"""
guardian.GRACE = 0.2
print(process.adopt_orphans())
process.run(Command({ESCAPER + " while [ ! -e escaped ]; do sleep 0.02; done"!r}, shell=True), ".")
print(len(guardian.find_tree(process.ours.prefix.encode())))
for _ in range(3):
    process.run(Command("setsid true & setsid true & wait; sleep 0.1; setsid true &", shell=True), ".")
    time.sleep(0.1)
for _ in range(3):
    process.run(Command("true"), ".")
children = open(f"/proc/self/task/{{os.getpid()}}/children").read().split()
print(sum(") Z" in open(f"/proc/{{pid}}/stat").read() for pid in children))
own = os.spawnlp(os.P_NOWAIT, "true", "true")
time.sleep(0.1)
for _ in range(3):
    process.run(Command("true"), ".")
print(os.waitpid(own, 0)[1])
"""
    with in_python(code, tmp_path) as driver:
        answer, _ = driver.communicate(timeout=30)
    assert answer.split() == ["True", "0", "0", "0"]


@linux
def test_no_orphan_after_a_kill(tmp_path: Path) -> None:
    """After ``kill -9`` of the driver all codes end within 5 s, and its folders go."""
    folder = tmp_path / "spare {x}"
    folder.mkdir()
    (folder / "file").touch()
    kept = tmp_path / "kept"
    kept.mkdir()
    code = f"""
process.watch_folder({str(folder)!r}); process.watch_folder({str(kept)!r})
process.release_folder({str(kept)!r})
threading.Thread(target=process.run, args=(Command({ESCAPER + " sleep 60"!r}, shell=True), ".")).start()
threading.Thread(target=process.run, args=(Command("sleep 61"), ".")).start()
while not os.path.exists("escaped") or len(process.ours.live) < 2: time.sleep(0.02)
print(process.ours.prefix, flush=True)
time.sleep(60)
"""
    with in_python(code, tmp_path) as driver:
        assert driver.stdout is not None
        token = driver.stdout.readline().strip().encode()
        assert len(guardian.find_tree(token)) >= 4
        driver.kill()
        driver.wait()
        assert wait_for(lambda: not guardian.find_tree(token))
        assert wait_for(lambda: not folder.exists())
    assert kept.exists()


@linux
@pytest.mark.parametrize("setting", ["1", "0"])
def test_guardian_ends_with_its_process(tmp_path: Path, setting: str) -> None:
    """One guardian, in a session of its own, ends as soon as its process does; none on request."""
    code = """
process.run(Command("true"), "."); process.run(Command("true"), ".")
print(process.ours._guardian, os.getsid(0), flush=True)
sys.stdin.read()
"""
    environment = {**os.environ, "OTWRAP_GUARDIAN": setting}
    with in_python(code, tmp_path, stdin=subprocess.PIPE, env=environment) as driver:
        assert driver.stdout is not None
        pid, session = map(int, driver.stdout.readline().split())
        assert (pid > 0) == (setting == "1")
        if pid:
            assert is_alive(pid)
            assert os.getsid(pid) not in (session, 0)
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        driver.communicate("", timeout=10)
    assert pid == 0 or wait_for(lambda: not is_alive(pid), 2)


@linux
def test_forked_child_is_another_process(tmp_path: Path) -> None:
    """A child made by fork has its own guardian and its own tokens."""
    code = """
process.run(Command("true"), ".")
before = process.ours.prefix, process.ours._guardian
pid = os.fork()
if pid: os.waitpid(pid, 0)
process.run(Command("true"), ".")
after = process.ours.prefix, process.ours._guardian
print((after == before) == bool(pid), flush=True)
if not pid: os._exit(0)
"""
    with in_python(code, tmp_path) as driver:
        answer, _ = driver.communicate(timeout=30)
    assert answer.split() == ["True", "True"]


@linux
def test_outer_run_ends_inner_runs(tmp_path: Path) -> None:
    """A code that uses otwrap itself belongs, with its codes, to the run that started it."""
    inner = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from otwrap.command import Command
from otwrap.process import run
run(Command(["sh", "-c", "touch inside; sleep 47"]), ".")
"""
    error = failure(Command([sys.executable, "-c", inner], timeout=3), tmp_path)
    assert isinstance(error, CommandTimeout)
    assert (tmp_path / "inside").exists()


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_the_tree(tmp_path: Path, number: int) -> None:
    """Ctrl-C, or any exception in the thread that waits, ends the tree and goes on."""
    code = f"""
class Stop(Exception): pass
def stop(*_): raise Stop
signal.signal(signal.SIGTERM, stop)
guardian.GRACE = 0.2
try:
    process.run(Command({ESCAPER + " sleep 60"!r}, shell=True), ".")
except (KeyboardInterrupt, Stop) as error:
    left = guardian.find_tree(process.ours.prefix.encode())
    print(type(error).__name__, len(left), len(process.ours.live))
"""
    with in_python(code, tmp_path) as driver:
        assert wait_for((tmp_path / "escaped").exists)
        driver.send_signal(number)
        answer, _ = driver.communicate(timeout=20)
    assert answer.split() == ["KeyboardInterrupt" if number == signal.SIGINT else "Stop", "0", "0"]


@linux
def test_interrupt_during_the_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when the program has started and its number is not yet known: it ends all the same."""
    start = spawn.fast_spawn()
    if start is None:
        pytest.skip("the C library cannot do it")

    def interrupted(*arguments: Any) -> None:
        start(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(spawn, "fast_spawn", lambda: interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(Command("sleep 60"), tmp_path)


@linux
def test_end_all(tmp_path: Path, short_grace: None) -> None:
    """Another thread can end all runs; they are `cancelled`, and a chain goes no further."""
    code = f"{ESCAPER} trap '' TERM; touch started; sleep 30; sleep 30"

    def one(number: int) -> CommandError:
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(CommandError) as caught:
            run_chain([Command(code, shell=True), Command("touch second")], folder)
        return caught.value

    with ThreadPoolExecutor(3) as pool:
        errors = pool.map(one, range(3))
        assert wait_for(lambda: len(list(tmp_path.glob("*/escaped"))) == 3)
        # A code may be at work before its own thread has noted that it runs.
        assert wait_for(lambda: len(ours.live) == 3)
        assert end_all() == 3
        assert [(error.status, error.cause) for error in errors] == 3 * [("cancelled", "cancelled")]
    assert not list(tmp_path.glob("*/second"))
    assert run(Command("true"), tmp_path).exit_code == 0


def test_endless_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code that prints hundreds of megabytes leaves a small file with head and tail."""
    monkeypatch.setattr(streams, "STREAM_LIMIT", 2**20)
    largest = 0
    stop = threading.Event()

    def watch() -> None:
        nonlocal largest
        while not stop.wait(0.002):
            if (tmp_path / "stdout.txt").exists():
                largest = max(largest, (tmp_path / "stdout.txt").stat().st_size)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        run(
            Command(
                "echo begin; yes 'the same line again and again' | head -c 300000000; echo end", shell=True
            ),
            tmp_path,
        )
    finally:
        stop.set()
        thread.join()
    text = (tmp_path / "stdout.txt").read_text()
    assert len(text) <= 2**20
    assert text.startswith("begin\n")
    assert text.endswith("end\n")
    assert "cut out here" in text
    assert largest < 150e6


@linux
def test_memory_limit(tmp_path: Path) -> None:
    """A tree that takes more memory than allowed ends and says so."""
    code = "import time; a = bytearray(300_000_000); time.sleep(20)"
    command = Command(["sh", "-c", '"$@"; true', "sh", sys.executable, "-c", code], memory="150 MB")
    start = time.monotonic()
    error = failure(command, tmp_path)
    assert (error.status, error.cause) == ("killed", "memory limit")
    assert "150000000" in str(error)
    assert time.monotonic() - start < 10


@linux
def test_shared_memory_counts_once(tmp_path: Path) -> None:
    """Forked children that share their parent's memory do not reach a limit that one of them keeps."""
    code = """
import os, time
data = b"x" * 60_000_000
pids = [os.fork() for _ in range(2)]
time.sleep(0.6)
if all(pids): [os.waitpid(pid, 0) for pid in pids]
"""
    assert run(Command([sys.executable, "-c", code], memory="150 MB"), tmp_path).exit_code == 0


@linux
def test_peak_memory_is_the_code_s(tmp_path: Path) -> None:
    """The peak memory is that of the code, never that of this process."""
    ballast = bytearray(b"x") * 200_000_000
    code = "import time; a = bytearray(50_000_000); time.sleep(0.3)"
    peak = run(Command([sys.executable, "-c", code]), tmp_path).peak_memory
    assert peak is not None
    assert 50e6 < peak < 120e6
    quick = run(Command("true"), tmp_path).peak_memory
    assert quick is None or quick < 50e6
    assert len(ballast) == 200_000_000


@linux
def test_large_peak_is_seen_at_the_end(tmp_path: Path) -> None:
    """A peak above our own is known without looking, also if it is short."""
    code = "a = bytearray(900_000_000)"
    if live.resource.getrusage(live.resource.RUSAGE_SELF).ru_maxrss > 800_000:
        pytest.skip("this process is too large itself")
    peak = run(Command([sys.executable, "-c", code]), tmp_path).peak_memory
    assert peak is not None
    assert 900e6 < peak < 1000e6


def test_cpu_time(tmp_path: Path) -> None:
    """CPU time is that of the code and its children, and waiting is none."""
    busy = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    done = run(Command(["sh", "-c", '"$@"; sleep 0.3', "sh", sys.executable, "-c", busy]), tmp_path)
    assert done.cpu_time is not None
    assert 0.3 <= done.cpu_time < done.wall_time - 0.2


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code sees the environment that was asked for, and its folder as PWD."""
    monkeypatch.setenv("OTWRAP_GONE", "here")
    monkeypatch.setenv("PWD", "/elsewhere")
    command = Command(["env"], env={"A": "b c"}, env_remove="OTWRAP_GONE", cpus=3)
    run(command, tmp_path)
    lines = (tmp_path / "stdout.txt").read_text().splitlines()
    assert {"A=b c", "OMP_NUM_THREADS=3", f"PWD={tmp_path}"} <= set(lines)
    assert not any(line.startswith("OTWRAP_GONE") for line in lines)


def test_standard_input(tmp_path: Path) -> None:
    """Standard input is a file of the work directory, or empty; never ours."""
    (tmp_path / "in.txt").write_text("hello\n")
    run(Command("cat", stdin="in.txt"), tmp_path)
    run(Command("cat"), tmp_path)
    assert (tmp_path / "stdout.txt").read_text() == "hello\n"
    with pytest.raises(InputError, match="gone.txt"):
        run(Command("cat", stdin="gone.txt"), tmp_path)


def test_setup(odd_folder: Path) -> None:
    """Set-up commands act on the command in the same shell; one that fails is the failure."""
    (odd_folder / "environment.sh").write_text("B='two  words'; export B\n")
    command = Command(
        ["sh", "-c", 'echo "$B|$1"', "sh", "a 'b' $HOME {F}"], setup=[". ./environment.sh", "true #"]
    )
    run(command, odd_folder, values={"F": "1"})
    assert (odd_folder / "stdout.txt").read_text() == "two  words|a 'b' $HOME 1\n"
    error = failure(Command("echo never", setup=["true", "sh -c 'exit 7'"]), odd_folder, stem=".2")
    assert error.exit_code == 7
    assert "set-up command 2 failed" in str(error)
    assert (odd_folder / "stdout.2.txt").read_text() == ""


def test_shell(odd_folder: Path) -> None:
    """A shell runs only on request; then it can do all that a shell does."""
    run(Command("echo '$HOME' '*'"), odd_folder)
    run(Command("echo {F} | tr 1 2 && echo $((1+1))", shell=True), odd_folder, values={"F": "1 1"})
    assert (odd_folder / "stdout.txt").read_text() == "$HOME *\n2 2\n2\n"


def test_odd_program(odd_folder: Path) -> None:
    """A program of any name in the work directory is run, with arguments as they are."""
    path = odd_folder / "my $code' (1).sh"
    path.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    path.chmod(0o755)
    run(Command([f"./{path.name}", "a b", "", "$HOME", "*", "é"]), odd_folder)
    assert (odd_folder / "stdout.txt").read_text().splitlines() == ["a b", "", "$HOME", "*", "é"]


@pytest.mark.parametrize(
    ("patterns", "cause"),
    [
        ({"success": ["^converged$"]}, ""),
        ({"success": [("run.log", r"END \d+")], "failure": [("gone.log", "."), "NaN"]}, ""),
        ({"success": ["converged", "finished"]}, "success pattern missing"),
        ({"success": [("gone.log", "END")]}, "success pattern missing"),
        ({"failure": ["not .* digits"]}, "failure pattern"),
        ({"failure": [("run.log", "^END")]}, "failure pattern"),
    ],
)
def test_patterns(tmp_path: Path, patterns: dict[str, Any], cause: str) -> None:
    """Patterns in streams and files decide what the exit code does not tell."""
    code = "echo step 1; echo converged; echo END 12 >run.log; echo not enough digits >&2"
    command = Command(code, shell=True, **patterns)
    if not cause:
        assert run(command, tmp_path).exit_code == 0
        return
    error = failure(command, tmp_path)
    assert (error.status, error.cause, error.exit_code) == ("failed", cause, 0)
    with pytest.raises(CommandError):
        judge(command, tmp_path, 0)


def test_chain(tmp_path: Path) -> None:
    """Commands run one after the other with streams of their own until one fails; times add up."""
    done = run_chain([Command("sh -c 'sleep 0.1; echo 1'"), Command("sh -c 'sleep 0.1; echo 2'")], tmp_path)
    assert done.exit_code == 0
    assert done.wall_time >= 0.2
    assert (tmp_path / "stdout.txt").read_text() == "1\n"
    assert (tmp_path / "stdout.2.txt").read_text() == "2\n"
    with pytest.raises(CommandError, match="second reason"):
        run_chain(
            [Command("true"), Command("sh -c 'echo second reason; exit 1'"), Command("touch third")], tmp_path
        )
    assert not (tmp_path / "third").exists()
    with pytest.raises(ValueError, match="no command"):
        run_chain([], tmp_path)


def test_tail(tmp_path: Path) -> None:
    """The tail is short, whole lines first, printable, and of the last command that said something."""
    assert tail(tmp_path) == ""
    assert tail(tmp_path / "gone") == ""
    (tmp_path / "stdout.txt").write_text("only this\n")
    assert tail(tmp_path) == "last lines of stdout.txt:\n  | only this"
    (tmp_path / "stderr.txt").write_bytes(
        b"\n".join(b"line %d" % i for i in range(100_000)) + b"\n\xff\x1b[0m\n"
    )
    lines = tail(tmp_path).splitlines()
    assert lines[0] == "last lines of stderr.txt:"
    assert lines[-2:] == ["  | line 99999", "  | \ufffd?[0m"]
    assert len(lines) == 21
    (tmp_path / "stdout.10.txt").write_text("x" * 100_000)
    (tmp_path / "stdout.2.txt").write_text("not this\n")
    assert tail(tmp_path, 300) == f"last lines of stdout.10.txt:\n  | {'x' * 300}"


def descriptors() -> set[int]:
    """Return the files that are open."""
    return {number for number in range(3, 300) if is_open(number)}


def is_open(number: int) -> bool:
    """Whether a descriptor is in use."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_threads_and_descriptors(tmp_path: Path) -> None:
    """Eight threads run at once, each in its folder, and no file stays open."""
    folders = [tmp_path / str(number) for number in range(8)]
    for folder in folders:
        folder.mkdir()
    run(Command("true"), tmp_path)
    before = descriptors()
    command = Command(["sh", "-c", "pwd; echo $0", "{F}"])

    def several(folder: Path) -> list[Completed]:
        return [run(command, folder, values={"F": str(number)}) for number in range(25)]

    with ThreadPoolExecutor(8) as pool:
        assert sum(len(done) for done in pool.map(several, folders)) == 200
    assert descriptors() == before
    for folder in folders:
        assert (folder / "stdout.txt").read_text() == "".join(f"{folder}\n{number}\n" for number in range(25))


def test_transferred_program_in_threads(tmp_path: Path) -> None:
    """A program that was just written can be run while other threads start theirs."""

    def one(number: int) -> int:
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy("/bin/true", folder / "code")
        return run(Command("./code"), folder).exit_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(60))) == {0}


def test_lost_exit_code_is_no_success(tmp_path: Path) -> None:
    """Where the system does not tell the exit code, the run has not succeeded."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        error = failure(Command("sh -c 'exit 3'"), tmp_path)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "SIGCHLD" in str(error)
