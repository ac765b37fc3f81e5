"""What `otwrap.logs` promises."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from otwrap.logs import Debug, create_logger

HERE = Path(__file__).parent.parent


@pytest.fixture
def log(tmp_path):
    """The path of a log file that is not there yet."""
    return tmp_path / "wrapper.log"


def failing(log, **settings):
    """A decorated function that always fails."""

    @Debug(log, **settings)
    def divide(x, y=0):
        """Divide."""
        return x / y

    return divide


def call(function, *args, **kwargs):
    """Call what raises ZeroDivisionError."""
    with pytest.raises(ZeroDivisionError):
        function(*args, **kwargs)


def test_decorating_opens_nothing(log):
    """Neither the decorator nor a call that works makes the file, nor its folder."""

    @Debug(log.parent / "sub" / "wrapper.log")
    def good(x):
        return x

    assert good(3) == 3
    create_logger(log)
    assert list(log.parent.iterdir()) == []


def test_the_error_is_logged_with_function_and_point(log):
    """The log names the function, its arguments with all digits, the process and the traceback."""
    call(failing(log), 0.1 + 0.2, y=0)
    text = log.read_text()
    for part in ("ZeroDivisionError in", "divide(0.30000000000000004, y=0)", "return x / y", "process "):
        assert part in text


def test_points_samples_and_arrays_are_logged_with_all_digits(log):
    """OpenTURNS and numpy round in their repr; the log does not."""
    import numpy as np
    import openturns as ot

    for point in (ot.Point([1 / 3, 2]), np.array([1 / 3, 2]), ot.Sample([[1 / 3, 2]])):
        with pytest.raises(TypeError):
            failing(log)(object(), point)
    assert log.read_text().count(f"[{1 / 3!r}, 2.0]") == 3


def test_a_long_argument_is_cut(log):
    """A huge argument does not fill the disk."""
    with pytest.raises(TypeError):
        failing(log)("x" * 100_000)
    assert log.stat().st_size < 10_000
    assert "(100002 characters)" in log.read_text()


def test_an_argument_without_repr_does_not_hide_the_error(log):
    """Whatever an argument's repr raises, the log has the function's error."""

    class Odd:
        def __repr__(self):
            raise RuntimeError("no repr")

        def __truediv__(self, other):
            raise ZeroDivisionError("the real one")

    call(failing(log), Odd())
    assert "<Odd, which has no repr>" in log.read_text()
    assert "the real one" in log.read_text()


def test_the_same_exception_is_raised_once_with_its_traceback(log):
    """The caller gets the very exception, with no other chained to it, from the line that raised it."""
    error = ZeroDivisionError("mine")

    @Debug(log)
    def fail():
        raise error

    with pytest.raises(ZeroDivisionError) as caught:
        fail()
    assert caught.value is error
    assert error.__cause__ is None and error.__context__ is None
    assert traceback.extract_tb(error.__traceback__)[-1].name == "fail"


def test_the_log_is_appended_to(log):
    """What the file has stays, and one failing call is one record."""
    log.write_text("old\n")
    call(failing(log), 1)
    call(failing(log), 2)
    text = log.read_text()
    assert text.startswith("old\n")
    assert text.count("Traceback") == 2


def test_one_logger_a_file(log, monkeypatch):
    """The same file by any of its names has one logger with one handler: no line twice."""
    monkeypatch.chdir(log.parent)
    loggers = [create_logger(name) for name in (log, str(log), "wrapper.log", "./x/../wrapper.log")]
    assert len(set(map(id, loggers))) == 1
    assert len(loggers[0].handlers) == 1
    loggers[0].error("once")
    assert log.read_text().count("once") == 1


@pytest.mark.parametrize("other", ["other.log", "wrapper.log.2", "wrapper"])
def test_two_files_do_not_share_errors(log, other):
    """Each file gets its own errors only, even where one name starts with the other."""
    call(failing(log), 1)
    call(failing(log.parent / other), 2)
    assert "divide(1)" in log.read_text() and "divide(2)" not in log.read_text()
    assert "divide(1)" not in (log.parent / other).read_text()


def test_the_root_logger_is_left_alone(log, caplog):
    """Nothing is passed on to the handlers of the application."""
    call(failing(log), 1)
    assert caplog.records == []


def test_the_path_is_resolved_when_it_decorates(tmp_path, monkeypatch):
    """A later change of the current directory does not move the log."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    function = failing("wrapper.log")
    monkeypatch.chdir(tmp_path / "elsewhere")
    call(function, 1)
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == []
    assert (tmp_path / "wrapper.log").exists()


def test_the_name_and_the_documentation_stay(log):
    """The decorated function looks like the function."""
    function = failing(log)
    assert (function.__name__, function.__doc__) == ("divide", "Divide.")


def test_it_works_on_methods(log):
    """A method of a wrapper is decorated as on the slides; OpenTURNS still calls it."""
    import openturns as ot

    class Wrapper(ot.OpenTURNSPythonFunction):
        def __init__(self):
            super().__init__(2, 1)

        @Debug(log)
        def _exec(self, X):
            return [X[0] / X[1]]

    function = ot.Function(Wrapper())
    assert function([1.0, 2.0]) == ot.Point([0.5])
    with pytest.raises(RuntimeError):
        function([0.1 + 0.2, 0.0])
    assert "Wrapper._exec(" in log.read_text()
    assert "(0.30000000000000004, 0.0))" in log.read_text()


def test_loglevel(log):
    """INFO is the default; a level given later, by number or by name, counts."""
    logger = create_logger(log)
    logger.debug("no")
    logger.info("yes")
    create_logger(log, loglevel="DEBUG").debug("now")
    create_logger(log).debug("still")
    Debug(log, loglevel=logging.CRITICAL)
    logger.error("no")
    assert [line.rpartition(" ")[2] for line in log.read_text().splitlines()] == ["yes", "now", "still"]


def test_a_logger_of_ones_own(caplog):
    """Debug takes any logger, and sets its level if asked."""
    logger = logging.getLogger("tests.own")
    call(failing(logger, loglevel=logging.WARNING), 7)
    assert logger.level == logging.WARNING
    assert "divide(7)" in caplog.text


@pytest.mark.parametrize("wrong", [3, None, ["a.log"], b"a.log"])
def test_a_wrong_logger_is_refused(wrong):
    """What is neither a path nor a logger is refused with what is accepted."""
    with pytest.raises(TypeError, match=r"str or pathlib.Path"):
        Debug(wrong)
    with pytest.raises(TypeError, match=r"str or pathlib.Path"):
        create_logger(wrong)


def test_debug_without_parentheses_is_told():
    """`@Debug` on a function says how to write it."""
    with pytest.raises(TypeError, match=r"write @Debug\('wrapper.log'\), not @Debug"):

        @Debug
        def function():
            """Never called."""


def test_what_cannot_be_called_is_refused(log):
    """A classmethod object, or a number, is no function."""
    with pytest.raises(TypeError, match="below @classmethod"):
        Debug(log)(classmethod(len))
    with pytest.raises(TypeError, match="not int"):
        Debug(log)(3)


def test_a_log_that_cannot_be_written_does_not_hide_the_error(tmp_path, capsys):
    """The error of the function is raised; stderr says that the log could not be written."""
    call(failing(tmp_path), 1)
    assert "IsADirectoryError" in capsys.readouterr().err


@Debug("never-written.log")
def module_level(x):
    """Return x."""
    return x


def test_decorated_functions_pickle():
    """A function of a module is pickled by its name, a Debug by its file."""
    assert pickle.loads(pickle.dumps(module_level)) is module_level
    assert pickle.loads(pickle.dumps(Debug("a.log"))).logger is create_logger("a.log")


@pytest.mark.parametrize("recurse", [True, False])
@pytest.mark.parametrize("logger", ["sys.argv[1]", "otw_logs.create_logger(sys.argv[1])"])
def test_a_decorated_method_of_a_script_goes_to_another_process(log, tmp_path, logger, recurse):
    """dill carries it with its log file, though the other process knows nothing of the script."""
    dump = f"""
import sys, dill
import otwrap.logs as otw_logs
class Model:
    @otw_logs.Debug({logger})
    def run(self, x):
        return 1 / x
open(sys.argv[2], "wb").write(dill.dumps(Model(), recurse={recurse}))
"""
    load = """
import sys, dill
model = dill.load(open(sys.argv[1], "rb"))
try:
    model.run(0)
except ZeroDivisionError:
    print("raised")
"""
    script = tmp_path / "script.py"
    script.write_text(dump)
    subprocess.run(
        [sys.executable, script, log, tmp_path / "pkl"], check=True, env={"PYTHONPATH": str(HERE)}, timeout=60
    )
    assert not log.exists()
    command = [sys.executable, "-c", load, tmp_path / "pkl"]
    ran = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "raised\n", ran.stderr
    assert "ZeroDivisionError in Model.run(" in log.read_text()


def test_records_of_several_processes_stay_whole(log):
    """Records longer than any buffer are not mixed, and none is lost."""
    script = """
import sys
from otwrap.logs import create_logger
logger = create_logger(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    logger.error("<" + sys.argv[2] * 30_000 + ">")
"""
    command = [sys.executable, "-c", script, str(log)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    writers = [subprocess.Popen([*command, letter], cwd=HERE, **pipes) for letter in "abcd"]
    for writer in writers:
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    records = [line.partition("<")[2] for line in log.read_text().splitlines()]
    assert sorted(records) == sorted(letter * 30_000 + ">" for letter in "abcd" for _ in range(100))
