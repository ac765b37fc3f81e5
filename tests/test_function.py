"""What `otwrap.function` promises."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import dill
import openturns as ot
import pytest

from otwrap.function import FunctionDecorator

HERE = Path(__file__).parent.parent


@FunctionDecorator()
class Sum(ot.OpenTURNSPythonFunction):
    """The sum of the inputs."""

    def __init__(self, dimension, factor=1.0):
        super().__init__(dimension, 1)
        self.factor = factor
        self.calls = 0

    def _exec(self, x):
        self.calls += 1
        return [self.factor * sum(x)]


@FunctionDecorator(enableCache=False, doc="Not remembered.")
class Forgetful(ot.OpenTURNSPythonFunction):
    """Written as on the slides."""

    def __init__(self):
        super(Forgetful, self).__init__(2, 1)  # noqa: UP008 - the slides' way
        self.setInputDescription(["a", "b"])
        self.calls = 0

    def _exec(self, X):
        self.calls += 1
        return [X[0] - X[1]]


class SubSum(Sum):
    """A subclass of a decorated class."""

    def __init__(self):
        super().__init__(3, factor=10.0)

    def _exec(self, x):
        return [super()._exec(x)[0] + 1]


class Plain(ot.OpenTURNSPythonFunction):
    """Decorated under another name below."""

    def __init__(self):
        super().__init__(1, 1)

    def _exec(self, x):
        return [2 * x[0]]


Doubled = FunctionDecorator()(Plain)


def test_an_instance_is_a_function_of_openturns():
    """`isinstance` says so, and it has all of an ot.Function's ways."""
    f = Sum(2)
    assert isinstance(f, ot.Function)
    assert f([1, 2]) == ot.Point([3])
    assert f([[1, 2], [3, 4]]) == ot.Sample([[3], [7]])
    assert ot.ComposedFunction(ot.SymbolicFunction("y", "2*y"), f)([1, 2]) == ot.Point([6])
    vector = ot.CompositeRandomVector(f, ot.RandomVector(ot.Normal(2)))
    assert vector.getSample(5).getSize() == 5


def test_the_slides_way_to_call_the_parent():
    """`super(Name, self).__init__` works, though Name is the decorated class now."""
    f = Forgetful()
    assert f([3, 1]) == ot.Point([2])
    assert list(f.getInputDescription()) == ["a", "b"]


def test_the_cache():
    """With it a point is run once, without history; without it, each time."""
    with_cache, without = Sum(2), Forgetful()
    for f in (with_cache, without):
        f([1, 2])
        f([1, 2])
    assert (with_cache.calls, without.calls) == (1, 2)
    assert with_cache.getCacheHits() == 1
    assert with_cache.isHistoryEnabled() is False


def test_attributes_of_the_wrapper_are_read_on_the_function():
    """What the instance has, the function shows; what nobody has is an AttributeError."""
    f = Sum(2, factor=3.0)
    assert f.factor == 3.0
    assert not hasattr(f, "nothing")
    with pytest.raises(AttributeError, match="'Sum' has no attribute 'nothing'"):
        _ = f.nothing


def test_names_and_documentation():
    """The class keeps name and module; `doc` replaces the documentation, of the functions too."""
    assert (Sum.__name__, Sum.__module__, Sum.__doc__) == ("Sum", __name__, "The sum of the inputs.")
    assert Sum(1).__doc__ == "The sum of the inputs."
    assert Forgetful.__doc__ == Forgetful().__doc__ == "Not remembered."


def test_the_original_class_is_kept():
    """`__wrapper__` is the class as it was written, a parent of the decorated one."""
    assert Doubled.__wrapper__ is Plain
    assert issubclass(Doubled, Plain)
    assert not isinstance(Plain(), ot.Function)


def test_a_subclass_makes_functions_too():
    """Subclasses, decorated again or not, override and call their parent's methods."""
    f = SubSum()
    assert isinstance(f, ot.Function)
    assert f([1, 2, 3]) == ot.Point([61])
    again = FunctionDecorator(enableCache=False, doc="Again.")(SubSum)()
    assert again([1, 2, 3]) == ot.Point([61])
    assert again.__doc__ == "Again."
    assert again.calls == 1
    again([1, 2, 3])
    assert again.calls == 2


@pytest.mark.parametrize("module", [pickle, dill])
@pytest.mark.parametrize("make", [lambda: Sum(3), Forgetful, SubSum, Doubled])
def test_functions_pickle(module, make):
    """Pickle and dill carry them, with their attributes and descriptions; so do copies."""
    f = make()
    point = list(range(1, f.getInputDimension() + 1))
    f.setInputDescription([f"in{i}" for i in point])
    for g in (
        module.loads(module.dumps(f)),
        copy.deepcopy(f),
        copy.copy(f),
        module.loads(module.dumps([f, f]))[1],
    ):
        assert isinstance(g, ot.Function)
        assert g(point) == f(point)
        assert g.getInputDescription() == f.getInputDescription()
        assert g.__doc__ == f.__doc__


def test_a_function_stays_itself_inside_openturns(tmp_path):
    """OpenTURNS copies and saves the instance by pickling it."""
    f = Sum(2, factor=3.0)
    study = ot.Study(str(tmp_path / "study.xml"))
    study.add("f", ot.Function(f))
    study.save()
    study = ot.Study(str(tmp_path / "study.xml"))
    study.load()
    g = ot.Function()
    study.fillObject("f", g)
    assert g([1, 2]) == ot.Point([9])


@pytest.mark.parametrize("recurse", [True, False])
def test_a_class_of_a_script_goes_to_another_process(tmp_path, recurse):
    """dill carries a decorated class of `__main__`, and its subclass, to a process that has neither."""
    script = tmp_path / "script.py"
    script.write_text(f"""
import sys, dill
import openturns as ot
from otwrap.function import FunctionDecorator
@FunctionDecorator()
class Model(ot.OpenTURNSPythonFunction):
    def __init__(self, factor):
        super().__init__(2, 1)
        self.factor = factor
    def _exec(self, x):
        return [self.factor * x[0] * x[1]]
class Sub(Model):
    pass
class Slides(ot.OpenTURNSPythonFunction):
    def __init__(self):
        super(Slides, self).__init__(2, 1)
    def _exec(self, X):
        return [X[0] + X[1]]
Slides = FunctionDecorator()(Slides)
open(sys.argv[1], "wb").write(dill.dumps([Model(3.0), Sub(4.0), Slides()], recurse={recurse}))
""")
    env = {"PYTHONPATH": str(HERE)}
    subprocess.run([sys.executable, script, tmp_path / "pkl"], check=True, env=env, timeout=60)
    load = "import sys, dill; print([f([2, 5])[0] for f in dill.load(open(sys.argv[1], 'rb'))])"
    command = [sys.executable, "-c", load, tmp_path / "pkl"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=HERE, timeout=60)
    assert ran.stdout == "[30.0, 40.0, 7.0]\n", ran.stderr


class Overloaded(ot.OpenTURNSPythonFunction):
    """Has its own sample, gradient and hessian."""

    def __init__(self):
        super().__init__(2, 1)

    def _exec(self, x):
        return [1.0]

    def _exec_sample(self, X):
        return [[2.0]] * len(X)

    def _gradient(self, x):
        return [[10.0], [20.0]]

    def _hessian(self, x):
        return [[[1.0], [2.0]], [[2.0], [3.0]]]


@pytest.mark.parametrize("cache", [True, False])
def test_overloads_are_honoured(cache):
    """`_exec_sample`, `_gradient` and `_hessian` of the class are the function's."""
    f = FunctionDecorator(enableCache=cache)(Overloaded)()
    assert f([0, 0]) == ot.Point([1])
    assert f([[1, 0], [2, 0]]) == ot.Sample([[2], [2]])
    assert f.gradient([0, 0]) == ot.Matrix([[10], [20]])
    assert f.hessian([0, 0])[1, 1, 0] == 3


def test_steps_set_on_the_instance_are_honoured():
    """As otwrapy's example does: `self._exec = ...` in the constructor."""

    @FunctionDecorator()
    class Parallel(ot.OpenTURNSPythonFunction):
        def __init__(self):
            ot.OpenTURNSPythonFunction.__init__(self, 1, 1)
            self._exec = lambda x: [x[0] + 1]

    assert Parallel()([1]) == ot.Point([2])


def test_an_error_reaches_the_user_with_its_text():
    """OpenTURNS hands over the text of what is raised, as a RuntimeError."""

    @FunctionDecorator()
    class Fails(ot.OpenTURNSPythonFunction):
        def _exec(self, x):
            raise ValueError("the whole story")

    with pytest.raises(RuntimeError, match="the whole story"):
        Fails(1, 1)([1])


def test_an_error_of_the_constructor_is_the_same():
    """What `__init__` raises is not hidden, and a wrong call says which."""
    with pytest.raises(TypeError, match="dimension"):
        Sum()


def test_wrong_uses_are_told():
    """Without parentheses, or on what is no class."""
    with pytest.raises(TypeError, match=r"@FunctionDecorator\(\), with parentheses"):
        FunctionDecorator(Plain)
    with pytest.raises(TypeError, match="decorates a class"):
        FunctionDecorator()(Plain())
