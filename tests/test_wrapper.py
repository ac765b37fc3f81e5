"""A point becomes an evaluation."""

import os
import pathlib
import pickle
import sys
import threading

import dill
import openturns as ot
import pytest

import otwrap as otw

ECHO = [sys.executable, "-c", "print(open('in.txt').read())"]


def declared(tmp_path, **changed):
    """Return a wrapper that echoes its input."""
    template = tmp_path / "in.tmpl"
    template.write_text("sum @a @b\n")
    settings = {
        "templates": {"in.txt": template},
        "tokens": ["@a", "@b"],
        "command": ["sh", "-c", "cat in.txt > out.txt"],
        "parsers": [otw.parsers.LineColumn("out.txt", 1, 2)],
        "base_temp_work_dir": tmp_path / "work",
        **changed,
    }
    return otw.Wrapper(["a", "b"], ["y"], **settings)


def test_declared_wrapper_evaluates_without_a_subclass(tmp_path):
    """Templates, command and parsers are enough; no digit is lost on the way."""
    wrapper = declared(tmp_path)
    x = 0.1 + 0.2
    evaluation = wrapper.evaluate([x, 2.0])
    assert evaluation.output == (x,)
    assert (evaluation.status, evaluation.exit_code, evaluation.attempts) == ("done", 0, 1)
    assert evaluation.wall_time > 0.0
    assert evaluation.start_time > 1.7e9
    assert ot.Function(wrapper)([x, 2.0])[0] == x


def test_nothing_is_left_of_a_good_evaluation(tmp_path):
    """With the default policy a good evaluation leaves no folder once the wrapper is closed."""
    wrapper = declared(tmp_path)
    wrapper.evaluate([1.0, 2.0])
    wrapper.close()
    assert list((tmp_path / "work").iterdir()) == []


def test_the_work_directory_starts_clean(tmp_path):
    """A file that one evaluation leaves behind is not there for the next."""
    wrapper = declared(
        tmp_path, command=["sh", "-c", "test ! -e trace && mkdir trace && cat in.txt > out.txt"]
    )
    assert [wrapper.evaluate([float(i), 0.0]).status for i in range(3)] == ["done"] * 3


@pytest.mark.parametrize(("keep", "good", "bad"), [("failed", 0, 1), ("all", 1, 1), ("none", 0, 0)])
def test_what_is_kept(tmp_path, keep, good, bad):
    """The policy says which work directories stay, and the record says where they are."""
    wrapper = declared(tmp_path, keep=keep, command=["sh", "-c", "grep -v 13 in.txt > out.txt"])
    fine, failed = wrapper.evaluate([1.0, 2.0], number=3), wrapper.evaluate([13.0, 2.0], number=4)
    wrapper.close()
    assert [fine.status, failed.status] == ["done", "failed"]
    assert [fine.workdir is not None, failed.workdir is not None] == [bool(good), bool(bad)]
    assert len(list((tmp_path / "work").iterdir())) == good + bad
    if bad:
        assert failed.workdir in failed.error
        assert pathlib.Path(failed.workdir).name.startswith("run-000004-")
        assert pathlib.Path(failed.workdir, "in.txt").read_text() == "sum 13.0 2.0\n"


def test_kept_files_of_good_evaluations_move_to_a_shared_folder(tmp_path):
    """keep_files keeps what its patterns name, keep_to says where."""
    wrapper = declared(
        tmp_path,
        keep_files=["*.txt"],
        keep_to=tmp_path / "shared",
        command="sh -c 'cat in.txt > out.txt; touch big.bin'",
    )
    evaluation = wrapper.evaluate([1.0, 2.0])
    folder = pathlib.Path(evaluation.workdir)
    assert folder.parent == tmp_path / "shared"
    kept = ["in.txt", "out.txt", "reproduce.sh", "stderr.txt", "stdout.txt"]
    assert sorted(path.name for path in folder.iterdir()) == kept


def test_base_folder_is_expanded_where_the_evaluation_runs(tmp_path, monkeypatch):
    """An environment variable in base_temp_work_dir is that of the worker, not of the laptop."""
    wrapper = declared(tmp_path, base_temp_work_dir="$SCRATCH_OF_TEST/runs", keep="all")
    monkeypatch.setenv("SCRATCH_OF_TEST", str(tmp_path / "node"))
    assert wrapper.evaluate([1.0, 2.0]).workdir.startswith(str(tmp_path / "node/runs"))


def test_files_are_there_and_a_stale_output_among_them_is_no_output(tmp_path):
    """What the code reads is copied in; an output file that the code did not write is refused."""
    (tmp_path / "table.dat").write_text("4.0\n")
    (tmp_path / "out.txt").write_text("sum 99 99\n")
    files = [tmp_path / "table.dat", tmp_path / "out.txt"]
    good = declared(tmp_path, files=files, command=["sh", "-c", "echo sum $(cat table.dat) > out.txt"])
    assert good.evaluate([1.0, 2.0]).output == (4.0,)
    stale = declared(tmp_path, files=files, command=["true"]).evaluate([1.0, 2.0])
    assert (stale.status, stale.cause) == ("failed", "output stale")


def test_names_in_a_command_are_the_inputs(tmp_path):
    """{a} in a command is the value, with all its digits, and {point} the number of the point."""
    wrapper = otw.Wrapper(
        ["a"],
        ["y", "n"],
        command=["echo", "{a} {point}"],
        parsers=[otw.parsers.LineColumn("stdout.txt", 1, 1), otw.parsers.LineColumn("stdout.txt", 1, 2)],
    )
    assert wrapper.evaluate([0.1 + 0.2], number=7).output == (0.1 + 0.2, 7.0)


def test_wrapper_of_the_slides_works_with_its_signatures(tmp_path):
    """Steps without `workdir` run in the work directory, and the former one comes back."""

    class Slides(otw.Wrapper):
        def __init__(self):
            super().__init__(4, 1)

        def _prepare_input(self, X):
            with open("input.txt", "w") as file:
                file.write(" ".join(map(repr, X)))

        def _run_code(self):
            os.system("cat input.txt > output.txt")
            return 12.5

        def _parse_output(self):
            with open("output.txt") as file:
                return [sum(map(float, file.read().split()))]

    here = os.getcwd()
    evaluation = Slides().evaluate([1.0, 2.0, 3.0, 4.0])
    assert (evaluation.output, evaluation.wall_time) == ((10.0,), 12.5)
    assert os.getcwd() == here


def test_threads_of_the_slides_wrapper_do_not_meet(tmp_path):
    """Eight threads of a wrapper that relies on the current directory each get their own answer."""

    class Slides(otw.Wrapper):
        def _prepare_input(self, X):
            pathlib.Path("input.txt").write_text(repr(X[0]))

        def _run_code(self):
            os.system("sleep 0.05; cat input.txt > output.txt")

        def _parse_output(self):
            return float(pathlib.Path("output.txt").read_text())

    with otw.Campaign(Slides(1, 1), "threads", 8) as campaign:
        assert campaign.outputs([[float(i)] for i in range(24)]) == [(float(i),) for i in range(24)]


def test_steps_with_a_work_directory_leave_the_current_one_alone(tmp_path):
    """A wrapper that takes `workdir` never moves the process, whatever the thread does."""
    seen = []

    class Modern(otw.Wrapper):
        def _run_code(self, workdir):
            seen.append(os.getcwd())
            return self.run(["sh", "-c", "echo 5 > out.txt"], workdir)

        def _parse_output(self, workdir):
            return float((workdir / "out.txt").read_text())

    evaluation = Modern(["a"], ["y"]).evaluate([1.0])
    assert (evaluation.output, evaluation.exit_code) == ((5.0,), 0)
    assert seen == [os.getcwd()]


@pytest.mark.parametrize(
    ("returned", "cause", "words"),
    [
        ([1.0, 2.0], "output", "expected one for each of"),
        (float("nan"), "not a number", "allow_nan"),
        ("many", "not a number", "'many'"),
        (None, "not a number", "None"),
    ],
)
def test_a_step_that_returns_nonsense_is_told(returned, cause, words):
    """A wrong number of values, a nan or a text never becomes an output."""

    class Model(otw.Wrapper):
        def _run_code(self, workdir):
            pass

        def _parse_output(self, workdir):
            return returned

    evaluation = Model(["a"], ["y"]).evaluate([1.0])
    assert (evaluation.output, evaluation.cause) == (None, cause)
    assert words in evaluation.error


def test_exec_raises_the_typed_error_with_its_whole_text(tmp_path):
    """evaluate tells a failure in the record, _exec raises it."""
    wrapper = declared(tmp_path, command=["sh", "-c", "echo licence missing >&2; exit 4"])
    with pytest.raises(otw.CommandError, match="licence missing") as caught:
        wrapper._exec([1.0, 2.0])
    assert caught.value.exit_code == 4
    assert wrapper.evaluate([1.0, 2.0]).exit_code == 4


def test_an_exception_in_a_step_is_a_value(tmp_path):
    """Any exception of a step is recorded with its name and text."""

    class Model(otw.Wrapper):
        def _run_code(self, workdir):
            raise KeyError("missing")

        def _parse_output(self, workdir):
            return 1.0

    evaluation = Model(["a"], ["y"]).evaluate([1.0])
    assert (evaluation.status, evaluation.cause) == ("failed", "exception")
    assert "KeyError: 'missing'" in evaluation.error


def test_overridden_exec_is_honoured():
    """A subclass that writes _exec, or only _exec_sample, is evaluated by it."""

    class Point(otw.Wrapper):
        def _exec(self, x):
            return [x[0] + 1.0]

    class Sample(otw.Wrapper):
        def _exec_sample(self, X):
            return [[2.0 * x[0]] for x in X]

    assert Point(1, 1).evaluate([1.0]).output == (2.0,)
    assert Sample(1, 1).evaluate([4.0]).output == (8.0,)
    assert ot.Function(Sample(1, 1))([[4.0], [5.0]])[1, 0] == 10.0


def test_a_chain_of_commands_runs_in_order_and_stops_at_a_failure(tmp_path):
    """A list of commands is a chain."""
    chain = [["sh", "-c", "cat in.txt > mesh"], ["sh", "-c", "cat mesh > out.txt"]]
    assert declared(tmp_path, command=chain).evaluate([5.0, 2.0]).output == (5.0,)
    broken = declared(tmp_path, command=[["false"], ["touch", str(tmp_path / "reached")]])
    assert broken.evaluate([5.0, 2.0]).exit_code == 1
    assert not (tmp_path / "reached").exists()


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"tokens": ["@a", "@c"]}, otw.InputError, "@c"),
        ({"command": None}, TypeError, "what is to be run"),
        ({"parsers": []}, TypeError, "how is the output read"),
        ({"keep": "some"}, ValueError, "'failed', 'all', 'none'"),
        ({"retries": -1}, ValueError, "retries"),
        ({"files": ["/nowhere/mesh"]}, otw.InputError, "/nowhere/mesh"),
        ({"command": ["solver", "{c}"]}, Exception, "c"),
        ({"nominal": [1.0]}, otw.InputError, "2 are expected"),
    ],
)
def test_mistakes_are_told_at_construction(tmp_path, changed, error, words):
    """What is wrong with a declaration is said before the first point runs."""
    with pytest.raises(error, match=words.replace("(", "\\(")):
        declared(tmp_path, **changed)


def test_wrong_point_is_a_failure_with_the_numbers(tmp_path):
    """A point of the wrong length is told with what is expected."""
    assert "2 are expected" in declared(tmp_path).evaluate([1.0]).error


def test_fingerprints_follow_contents_and_not_places(tmp_path):
    """The same wrapper made elsewhere has the same fingerprints; a changed template, command or parser has not."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = declared(tmp_path / "one"), declared(tmp_path / "two")
    assert one.fingerprints() == two.fingerprints()
    assert declared(tmp_path, timeout=5).fingerprints() == one.fingerprints()
    assert declared(tmp_path, version="2").fingerprints()["run"] != one.fingerprints()["run"]
    other = declared(tmp_path, parsers=[otw.parsers.LineColumn("out.txt", 1, 3)]).fingerprints()
    assert other["parsers"] != one.fingerprints()["parsers"]
    assert other["input"] == one.fingerprints()["input"]


def test_wrapper_travels(tmp_path):
    """A wrapper can be shipped by pickle and by dill, and needs its template no more."""
    wrapper = declared(tmp_path)
    (tmp_path / "in.tmpl").unlink()
    for copy in (pickle.loads(pickle.dumps(wrapper)), dill.loads(dill.dumps(wrapper, recurse=True))):
        assert copy.evaluate([1.0, 2.0]).output == (1.0,)


def test_prepare_and_parse_are_the_two_ends_of_an_evaluation(tmp_path):
    """Inputs written here, outputs of a run made elsewhere: nothing is run."""
    wrapper = declared(tmp_path, command=["no-such-solver"])
    folder = tmp_path / "point"
    folder.mkdir()
    wrapper.prepare([1.5, 2.0], folder)
    assert (folder / "in.txt").read_text() == "sum 1.5 2.0\n"
    (folder / "out.txt").write_text("sum 7 8\n")
    assert wrapper.parse(folder) == (7.0,)


def test_one_wrapper_serves_threads(tmp_path):
    """Evaluations of one wrapper in several threads do not share a folder."""
    wrapper = declared(tmp_path)
    answers = {}

    def work(n):
        answers[n] = [wrapper.evaluate([float(100 * n + i), 0.0]).output[0] for i in range(20)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: [float(100 * n + i) for i in range(20)] for n in range(4)}


def test_a_template_is_never_written_through_a_linked_folder(tmp_path):
    """A folder that is only linked keeps its content: a template in it is refused when the wrapper is made."""
    case = tmp_path / "case"
    case.mkdir()
    (case / "in.txt").write_text("original")
    (tmp_path / "in.tmpl").write_text("@a")
    settings = {
        "templates": {"case/in.txt": tmp_path / "in.tmpl"},
        "files": [case],
        "command": "cat case/in.txt",
    }
    parsers = [otw.parsers.Stdout()]
    with pytest.raises(otw.InputError, match="only links, and so into the original"):
        otw.Wrapper(["a"], ["y"], parsers=parsers, link_files=True, **settings)
    assert otw.Wrapper(["a"], ["y"], parsers=parsers, **settings).evaluate([2.0]).output == (2.0,)
    assert (case / "in.txt").read_text() == "original"


def test_ctrl_c_leaves_no_work_directory(tmp_path):
    """An interrupted evaluation in this process leaves nothing, even where the process goes on as a notebook's does."""

    class Interrupted(otw.Wrapper):
        def _run_code(self, workdir):
            raise KeyboardInterrupt

    wrapper = Interrupted(["a"], ["y"], parsers=[otw.parsers.Stdout()], base_temp_work_dir=tmp_path / "work")
    with pytest.raises(KeyboardInterrupt):
        wrapper.evaluate([1.0])
    wrapper.close()
    assert not (tmp_path / "work").exists() or not list((tmp_path / "work").iterdir())
