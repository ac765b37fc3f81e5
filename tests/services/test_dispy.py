"""dispy: two nodes on this machine, what dispy never notices, and who may not come in."""

import importlib.util
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import openturns as ot
import pytest
from clusters import ADDRESSES, Nodes
from engines import until

import otwrap as otw
from otwrap.backends import dispy as backend_module
from otwrap.guardian import read_proc

pytestmark = pytest.mark.services

#: Seconds that everything of a killed driver has to end.
LONGEST = 15.0


class Ran(ot.OpenTURNSPythonFunction):
    """Sleeps as long as it is told and returns its process, that of dispy's job, and that of the node."""

    def __init__(self):
        super().__init__(2, 3)

    def _exec(self, x):
        import os
        import time

        def parent(pid):
            with open(f"/proc/{pid}/stat") as stat:
                return int(stat.read().rpartition(")")[2].split()[1])

        time.sleep(x[1])
        return [os.getpid(), os.getppid(), parent(os.getppid())]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Two nodes with two places each."""
    running = Nodes(tmp_path_factory.mktemp("nodes"))
    if importlib.util.find_spec("dispy") is not None:
        for address in ADDRESSES:
            running.start(address)
    yield running
    running.stop_all()


@pytest.fixture(autouse=True)
def dispy(need):
    """Skip where dispy is not installed."""
    need(importlib.util.find_spec("dispy") is not None, "dispy is not installed: pip install 'otwrap[dispy]'")


@pytest.fixture(autouse=True)
def lively(monkeypatch):
    """A node that died is noticed soon."""
    monkeypatch.setattr(backend_module, "_PULSE", 0.5)


@pytest.fixture
def impatient(monkeypatch):
    """What does not answer is given up soon."""
    monkeypatch.setattr(backend_module, "_ANSWER", 2.0)


def points(number, seconds=0.0):
    """Return points that take so long."""
    return [[float(i), seconds] for i in range(number)]


def ours(pid):
    """Return the processes in the session of another one."""
    return [
        int(entry)
        for entry in os.listdir("/proc")
        if entry.isdigit()
        and read_proc(f"/proc/{entry}/stat").rpartition(b")")[2].split()[3:4] == [b"%d" % pid]
    ]


def is_alive(pid):
    """Whether a process is there and no zombie."""
    return read_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()[:1] not in ([], [b"Z"])


def test_the_work_is_shared_by_all_places_of_all_nodes(nodes):
    """Four workers on two nodes; afterwards none is left, and the nodes are."""
    backend = nodes.backend()
    with otw.Campaign(Ran(), backend) as campaign:
        places = campaign.outputs(points(80, 0.02))
    backend.close()
    assert len({worker for worker, _, _ in places}) == 4
    assert {int(node) for *_, node in places} == {process.pid for process in nodes.processes.values()}
    assert until(lambda: not any(is_alive(int(worker)) for worker, _, _ in places), 5)
    assert all(map(nodes.listens, ADDRESSES))


def test_the_nodes_are_free_for_the_next_client_at_once(nodes, impatient):
    """While one driver has a node, others are told; after its `close` they have it."""
    first, second = nodes.backend(1), nodes.backend(1)
    with otw.Campaign(Ran(), first) as campaign:
        campaign.outputs(points(1))
        with pytest.raises(
            otw.BackendError, match=r"(?s)none answered and 2 did not.*busy with another client"
        ):
            otw.Campaign(Ran(), second).outputs(points(1))
    first.close()
    with otw.Campaign(Ran(), second) as campaign:
        assert len(campaign.outputs(points(2))) == 2
    second.close()


def test_a_killed_node_costs_no_point(nodes):
    """One of two nodes dies in the middle of 200 points, with its workers: the other one answers all."""
    backend = nodes.backend()
    with otw.Campaign(Ran(), backend) as campaign:
        for number, evaluation in enumerate(campaign.run(points(200, 0.01))):
            assert evaluation.done, evaluation.error
            if number == 50:
                nodes.kill("127.0.0.2")
        last = {int(node) for *_, node in campaign.outputs([[float(i), 0.01] for i in range(300, 320)])}
        assert len(campaign.evaluations) == 220
    backend.close()
    assert last == {nodes.processes["127.0.0.1"].pid}
    nodes.start("127.0.0.2")


def test_a_node_that_comes_back_works_again(nodes):
    """It is found by its address and gets points, in the same study."""
    backend = nodes.backend(nodes=["127.0.0.2"])
    with otw.Campaign(Ran(), backend) as campaign:
        assert len(campaign.outputs(points(4))) == 4
        nodes.kill("127.0.0.2")
        nodes.start("127.0.0.2")
        *_, (_, _, node) = campaign.outputs([[9.0, 0.0]])
    backend.close()
    assert int(node) == nodes.processes["127.0.0.2"].pid


def test_a_node_that_comes_late_is_used(nodes):
    """It was named and not there when the study began; in the middle of the sample it gets points too."""
    backend = nodes.backend(nodes=["127.0.0.1", "127.0.0.6"])
    try:
        with otw.Campaign(Ran(), backend) as campaign, pytest.warns(RuntimeWarning, match="1 did not"):
            places = set()
            for evaluation in campaign.run(points(10_000, 0.05)):
                assert evaluation.done, evaluation.error
                places.add(int(evaluation.output[2]))
                if "127.0.0.6" not in nodes.processes:
                    nodes.start("127.0.0.6")
                if len(places) == 2:
                    break
        assert places == {nodes.processes[address].pid for address in ("127.0.0.1", "127.0.0.6")}
    finally:
        backend.close()
        nodes.stop("127.0.0.6")


def test_a_node_that_dies_before_its_workers_come_is_waited_for(nodes, odd_node):
    """What it was to start is started by whoever comes, here by the same machine after its restart."""
    backend = odd_node(
        "import os, time\ntime.sleep(600 * ('otwrap.backends._worker' in open('/proc/self/cmdline').read()))\n"
    )
    with otw.Campaign(Ran(), backend) as campaign:
        answers = []
        thread = threading.Thread(target=lambda: answers.extend(campaign.outputs(points(4))), daemon=True)
        thread.start()
        node = nodes.processes["127.0.0.4"].pid
        assert until(lambda: len(ours(node)) >= 3)
        nodes.kill("127.0.0.4")
        nodes.start("127.0.0.4")
        thread.join(60)
        assert len(answers) == 4


def test_a_killed_job_of_dispy_costs_no_point(nodes, monkeypatch):
    """dispy never notices that a process of its own died; we do, and its place is used again."""
    monkeypatch.setattr("otwrap.backends._served._PATIENCE", 1.0)
    backend = nodes.backend(1, nodes=["127.0.0.1"])
    workers = set()
    with otw.Campaign(Ran(), backend) as campaign:
        for number, evaluation in enumerate(campaign.run(points(60, 0.01))):
            assert evaluation.done, evaluation.error
            workers.add(evaluation.output[0])
            if number == 10:
                os.kill(int(evaluation.output[1]), signal.SIGKILL)
    backend.close()
    assert len(workers) == 2


DRIVER = """
import os
import otwrap as otw
class Slow(otw.Wrapper):
    def _run_code(self, workdir):
        open(os.path.join({folder!r}, f"worker-{{os.getpid()}}"), "w").close()
        self.run(["sh", "-c", "touch {folder}/code-$$; sleep 300"], workdir)
    def _parse_output(self, workdir):
        return [0.0]
backend = otw.backends.Dispy(2, nodes={nodes!r}, secret="b7c1d0")
otw.Parallelizer(Slow(["a"], ["y"]), backend)([[1.0], [2.0]])
"""


def test_a_killed_driver_leaves_the_nodes_free(nodes, tmp_path):
    """`kill -9`: its workers and codes end within 15 s, dispy's client too, and the next driver has the nodes."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(folder=str(tmp_path), nodes=nodes.names()))
    driver = subprocess.Popen([sys.executable, script])
    try:
        assert until(lambda: len(list(tmp_path.glob("code-*"))) == 2)
    finally:
        driver.kill()
        driver.wait()
    killed = time.monotonic()
    pids = {int(path.name.partition("-")[2]) for path in tmp_path.glob("*-*")}
    assert len(pids) == 4
    assert until(lambda: not any(map(is_alive, pids)), LONGEST)
    busy = {process.pid for process in nodes.processes.values()}
    assert until(lambda: all(len(ours(pid)) == 1 for pid in busy), LONGEST)
    backend = nodes.backend()
    with otw.Campaign(Ran(), backend) as campaign:
        assert until(lambda: campaign.outputs(points(4)), LONGEST)
    backend.close()
    assert time.monotonic() - killed < 2 * LONGEST


def test_a_wrong_secret_is_told(nodes):
    """dispy writes a line into a log and waits for ever; here it is an error that says so, at once."""
    clock = time.monotonic()
    with pytest.raises(otw.BackendError, match=r"(?s)none answered.*127\.0\.0\.2:\d+: it has another secret"):
        otw.Campaign(Ran(), nodes.backend(secret="wrong")).outputs(points(1))
    assert time.monotonic() - clock < 10


def test_nodes_that_are_not_there_are_told_and_the_others_work(nodes):
    """The warning names each, why, and what to check."""
    names = [f"127.0.0.1:{nodes.port}", f"127.0.0.3:{nodes.port}", "no-such-machine.invalid"]
    backend = otw.backends.Dispy(2, nodes=names, secret="b7c1d0")
    with (
        otw.Campaign(Ran(), backend) as campaign,
        pytest.warns(RuntimeWarning, match=r"answered and 2 did not") as told,
    ):
        assert len(campaign.outputs(points(4))) == 4
    backend.close()
    text = str(told[0].message)
    assert "127.0.0.3, port" in text
    assert "firewall" in text
    assert "no-such-machine.invalid: no machine of this name is known" in text


def sitecustomize(folder, text):
    """Return the environment of a node whose Python has been tampered with."""
    (folder / "sitecustomize.py").write_text(text)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def odd_node(nodes, tmp_path):
    """A function that starts a third node, on which Python is not as it is here, and returns a backend for it."""
    backends = []

    def start(text):
        nodes.start("127.0.0.4", environment=sitecustomize(tmp_path, text))
        backends.append(nodes.backend(1, nodes=["127.0.0.4"]))
        return backends[-1]

    yield start
    for backend in backends:
        backend.close()
    nodes.stop("127.0.0.4")


def test_a_node_without_otwrap_is_told(odd_node):
    """The error names the Python and the machine on which to install it."""
    backend = odd_node(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'otwrap.backends._launch':\n"
        "            raise ImportError('No module named otwrap')\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    with pytest.raises(otw.BackendError, match=r"python\S* on \S+ cannot import otwrap .*install it there"):
        otw.Campaign(Ran(), backend).outputs(points(2))


def test_a_node_with_another_otwrap_is_told(odd_node):
    """Before the first point, with both versions."""
    backend = odd_node(
        "import importlib.metadata as m\n"
        "version = m.version\n"
        "m.version = lambda name: '9.9' if name == 'otwrap' else version(name)\n"
    )
    with pytest.raises(otw.BackendError, match=r"other versions: otwrap 9\.9 there"):
        otw.Campaign(Ran(), backend).outputs(points(2))


@pytest.fixture
def certificate(tmp_path, need):
    """A certificate and its key, as the how-to page makes them."""
    need(shutil.which("openssl") is not None, "there is no openssl: apt-get install openssl")
    files = {"certfile": tmp_path / "node.crt", "keyfile": tmp_path / "node.key"}
    subject = ["-subj", "/CN=otwrap", "-days", "10", "-nodes", "-newkey", "rsa:2048"]
    subprocess.run(
        ["openssl", "req", "-x509", *subject, "-out", files["certfile"], "-keyout", files["keyfile"]],
        check=True,
        capture_output=True,
    )
    return files


def test_with_certificates(nodes, certificate, impatient):
    """A node with TLS serves a driver with the same certificate, and no other one."""
    nodes.start("127.0.0.5", *(f"--{name}={file}" for name, file in certificate.items()))
    try:
        backend = nodes.backend(1, nodes=["127.0.0.5"], **certificate)
        with otw.Campaign(Ran(), backend) as campaign:
            assert len(campaign.outputs(points(3))) == 3
        backend.close()
        with pytest.raises(otw.BackendError, match="certfile="):
            otw.Campaign(Ran(), nodes.backend(1, nodes=["127.0.0.5"])).outputs(points(1))
    finally:
        nodes.stop("127.0.0.5")


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_stranger_s_pickle_is_not_loaded(nodes, tmp_path):
    """dispy unpickles a greeting before it looks at the secret; our node and our client do not run it."""
    backend = nodes.backend(1)
    with otw.Campaign(Ran(), backend) as campaign:
        campaign.outputs(points(1))
        # What a node answers to is 40 characters of proof; the client asks for none.
        for port, proof in ((nodes.port, b"x" * 40), (listening(backend), b"")):
            message = b"PING:" + pickle.dumps({"version": Bomb(tmp_path / "loaded")})
            with socket.create_connection(("127.0.0.1", port), 5) as caller:
                caller.sendall(proof + len(message).to_bytes(4, "big") + message)
                caller.settimeout(2)
                try:
                    caller.recv(100)
                except TimeoutError:
                    continue
        assert len(campaign.outputs([[7.0, 0.0]])) == 1
    backend.close()
    assert not (tmp_path / "loaded").exists()


def sockets(pid):
    """Return protocol, address and port of the sockets on which a process waits for others."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(os.readlink(descriptor).partition("[")[2].rstrip("]"))
        except OSError:
            continue
    found = []
    for protocol, waiting in (("tcp", "0A"), ("udp", "07"), ("tcp6", "0A"), ("udp6", "07")):
        for line in Path("/proc/net", protocol).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == waiting and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.append((protocol, address, int(port, 16)))
    return found


def listening(backend):
    """Return where dispy's client of a backend listens."""
    [(_, _, port)] = sockets(backend._client._process._process.pid)
    return port


def test_nothing_listens_beyond_the_loopback_address():
    """By default node, client and our own door are reached from this machine only, without broadcasts."""
    backend = otw.backends.Dispy(1)
    with otw.Campaign(Ran(), backend) as campaign:
        campaign.outputs(points(1))
        pids = [os.getpid(), backend._client._process._process.pid, backend._local._process._process.pid]
        found = [(pid, *where) for pid in pids for where in sockets(pid)]
        command_lines = b"".join(read_proc(f"/proc/{pid}/cmdline") for pid in pids)
        secret = backend._secret
    backend.close()
    assert {protocol for _, protocol, _, _ in found} == {"tcp", "udp"}
    # 127.0.0.1, as the kernel writes it.
    assert {address for _, _, address, _ in found} == {"0100007F"}
    assert {pid for pid, *_ in found} == set(pids)
    assert secret.encode() not in command_lines
    assert not any(map(is_alive, pids[1:]))


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [("s3cret", 0o644, "others can read"), ("", 0o600, "is empty"), (None, 0o600, "No such file")],
)
def test_a_node_needs_a_secret_of_its_own(tmp_path, text, mode, told):
    """It does not start without one, nor with one that others can read."""
    file = tmp_path / "secret"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    node = [sys.executable, "-m", "otwrap.backends.dispy", "--secret-file", file, "--host", "127.0.0.1"]
    ended = subprocess.run(node, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert told in ended.stderr


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        ({"nodes": ["office1"]}, TypeError, "secret= is missing"),
        ({"secret": "s3cret"}, TypeError, "nodes= is missing"),
        ({"nodes": [], "secret": "s3cret"}, ValueError, r"nodes=\[\]"),
        ({"nodes": "office1", "secret": "s3cret"}, ValueError, "nodes='office1': give a list"),
        ({"nodes": ["127.0.0.1", "127.0.0.1:9703"], "secret": "s3cret"}, ValueError, "twice"),
        ({"nodes": ["127.0.0.1:port"], "secret": "s3cret"}, ValueError, "127.0.0.1:port"),
    ],
)
def test_wrong_settings_are_told(settings, error, told):
    """At construction, with what is accepted."""
    with pytest.raises(error, match=told):
        otw.backends.Dispy(**settings)


def test_a_host_that_is_not_ours_is_told(nodes):
    """It is said before anybody waits for nodes that cannot answer."""
    with pytest.raises(otw.BackendError, match=r"host='192\.0\.2\.1'.*address of this machine"):
        otw.Campaign(Ran(), nodes.backend(host="192.0.2.1")).outputs(points(1))
