"""Every call of otwrapy's slides works as it is written there, with `import otwrap as otw`."""

import os
import stat
import subprocess
import sys
import textwrap

import numpy as np
import openturns as ot
import pytest

import otwrap as otw

WRAPPER = '''
"""The wrapper of the slides."""
import os
import sys
import time
from xml.dom import minidom
import openturns as ot
import openturns.coupling_tools
import otwrap as otw

HERE = os.path.dirname(os.path.abspath(__file__))

class Wrapper(ot.OpenTURNSPythonFunction):
    """Wrapper of my external code.
    """
    def __init__(self):
        super(Wrapper, self).__init__(3, 1)

    def _prepare_input(self, X):
        ot.coupling_tools.replace(
            infile=os.path.join(HERE, 'input_templatefile.xml'),
            outfile='input.xml',
            tokens=['@X1', '@X2', '@X3'],
            values=X)

    def _run_code(self, X):
        time_start = time.time()
        ot.coupling_tools.execute(os.path.join(HERE, 'executable') + ' -x input.xml')
        return time.time() - time_start

    def _parse_output(self):
        xmldoc = minidom.parse('outputs.xml')
        itemlist = xmldoc.getElementsByTagName('outputs')
        Y = float(itemlist[0].attributes['Y1'].value)
        return [Y]

    @otw.Debug('wrapper.log')
    def _exec(self, X):
        with otw.TempWorkDir(cleanup=True):
            self._prepare_input(X)
            self._run_code(X)
            Y = self._parse_output()
        return Y

if __name__ == '__main__':
    otw.main(Wrapper)
'''
CODE = """#!{python}
import re
a, b, c = map(float, re.findall('"(.*?)"', open("input.xml").read()))
if a < 0:
    raise SystemExit("negative")
open("outputs.xml", "w").write(f'<r><outputs Y1="{a * b + c!r}"/></r>')
"""


@pytest.fixture
def slides(tmp_path, monkeypatch):
    """A folder with the wrapper of the slides, its template and its code."""
    (tmp_path / "wrapper.py").write_text(WRAPPER)
    (tmp_path / "input_templatefile.xml").write_text('<i X1="@X1" X2="@X2" X3="@X3"/>')
    code = tmp_path / "executable"
    code.write_text(CODE.replace("{python}", sys.executable))
    code.chmod(code.stat().st_mode | stat.S_IXUSR)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    monkeypatch.undo()


def run(*arguments, **options):
    """Run a Python program and return what it printed."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, **options
    )


def test_temp_work_dir(tmp_path):
    """TempWorkDir(base_temp_work_dir=..., prefix=..., cleanup=..., transfer=...) moves there and back."""
    here = os.getcwd()
    with otw.TempWorkDir(base_temp_work_dir=str(tmp_path), prefix="run-", cleanup=True, transfer=None):
        inside = os.getcwd()
    assert os.path.dirname(inside) == str(tmp_path)
    assert os.path.basename(inside).startswith("run-")
    assert os.getcwd() == here
    assert not os.path.exists(inside)


def test_dumps(tmp_path):
    """dump_array(np.array(X), 'InputSample.pklz', compress=True) and load_array, then ot.Sample."""
    X = ot.Normal(3).getSample(10)
    path = str(tmp_path / "InputSample.pklz")
    otw.dump_array(np.array(X), path, compress=True)
    assert ot.Sample(otw.load_array(path)) == X


@pytest.mark.parametrize("backend", ["multiprocessing", "threads", "joblib", "serial"])
def test_the_wrapper_runs_in_parallel(slides, backend):
    """otw.Parallelizer(Wrapper()) is all that it takes, whatever the backend: no folder is shared."""
    script = f"""
    from wrapper import Wrapper
    import otwrap as otw
    f = otw.Parallelizer(Wrapper(), {backend!r}, 2)
    print([y[0] for y in f([[float(i), 2.0, 0.5] for i in range(12)])])
    """
    ended = run("-c", textwrap.dedent(script))
    assert ended.stdout.strip() == str([2.0 * i + 0.5 for i in range(12)]), ended.stderr


def test_the_log_names_the_point(slides):
    """What @otw.Debug('wrapper.log') catches stands in the folder of the script, with the point."""
    ended = run("wrapper.py", "-X", "-170", "3", "0.05", "--no-dump")
    assert ended.returncode != 0
    log = (slides / "wrapper.log").read_text()
    assert "-170.0" in log
    assert "Traceback" in log


def test_command_line(slides):
    """python wrapper.py -X 170 3 0.05 prints the answer with all its digits, and dumps both arrays."""
    ended = run("wrapper.py", "-X", "170", "3", "0.05")
    assert ended.returncode == 0, ended.stderr
    assert repr(170 * 3 + 0.05) in ended.stdout
    (x,) = slides.glob("InputSample*.pkl")
    (y,) = slides.glob("OutputSample*.pkl")
    assert list(np.ravel(otw.load_array(x))) == [170.0, 3.0, 0.05]
    assert list(np.ravel(otw.load_array(y))) == [510.05]


def test_function_decorator():
    """A decorated class makes functions of OpenTURNS, with a cache."""

    @otw.FunctionDecorator(enableCache=True)
    class Model(ot.OpenTURNSPythonFunction):
        """A model."""

        def __init__(self):
            super().__init__(1, 1)

        def _exec(self, X):
            return [X[0] + 1.0]

    assert isinstance(Model(), ot.Function)
    assert Model()([1.0])[0] == 2.0


def test_names_of_otwrapy():
    """All public names of otwrapy 0.13 are there."""
    names = (
        "load_array dump_array safemakedirs create_logger FunctionDecorator TempWorkDir Parallelizer Debug"
    )
    assert set(names.split()) <= set(otw.__all__)


def test_the_beam_of_the_examples():
    """from otwrap.examples.beam import Wrapper, and otw.Parallelizer(Wrapper())."""
    from otwrap.examples.beam import Wrapper

    with otw.Parallelizer(Wrapper(), "threads", 2) as function:
        assert function([3e4, 3e7, 255.0, 400.0])[0] == pytest.approx(13.8178, abs=1e-4)
