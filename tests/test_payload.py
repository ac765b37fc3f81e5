"""An object as bytes for the workers."""

import subprocess
import sys

SCRIPT = """
import base64, pickle, sys, threading
import helper
import otwrap as otw
class Model(otw.Wrapper):
    def _run_code(self, workdir):
        raise otw.CommandError(helper.words())
    def _parse_output(self, workdir):
        return 1.0
from otwrap.payload import dump_payload
print(base64.b64encode(dump_payload(Model(["a"], ["y"]))).decode())
"""
LOAD = """
import base64, sys
from otwrap.payload import load_payload
print(load_payload(base64.b64decode(sys.stdin.read())).evaluate([1.0]).error)
"""


def test_a_wrapper_of_a_script_travels_with_the_modules_it_uses(tmp_path):
    """Globals that are modules go by name: locks inside them are no obstacle."""
    (tmp_path / "helper.py").write_text(
        "import threading\nlocal = threading.local()\ndef words(): return 'hello'\n"
    )
    (tmp_path / "study.py").write_text(SCRIPT)
    made = subprocess.run(
        [sys.executable, "study.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    run = [sys.executable, "-c", LOAD]
    loaded = subprocess.run(run, cwd=tmp_path, input=made.stdout, capture_output=True, text=True, check=False)
    assert "hello" in loaded.stdout, loaded.stderr
