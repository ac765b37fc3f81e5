"""The connection between a driver and workers that an engine starts, under strangers, faults and bad luck."""

import contextlib
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import AuthenticationError

import openturns as ot
import pytest

import otwrap as otw
from otwrap.backends import _door
from otwrap.backends._door import Door, knock
from otwrap.backends._launch import launch
from otwrap.backends._served import Served
from otwrap.versions import hello

#: Seconds that something may take which is not to take long at all.
SOON = 5.0


class Engine(Served):
    """An engine whose calls run in threads of this process, and do as the test says."""

    def __init__(self, n_cpus=2, call=launch, **settings):
        super().__init__(n_cpus, settings.pop("host", None), **settings)
        self.call = call
        self.pool = ThreadPoolExecutor(8)
        self.tickets = []

    def _places(self):
        return 2

    def _launch(self, *arguments):
        self.tickets.append(self.pool.submit(self.call, *arguments))
        return self.tickets[-1]

    def _ended(self, ticket: Future):
        if not ticket.done():
            return None
        return "cancelled" if ticket.cancelled() else str(ticket.exception() or ticket.result())

    def _stop(self):
        self.pool.shutdown()


@pytest.fixture
def door():
    """A door that is open."""
    with_key = Door("127.0.0.1")
    yield with_key
    with_key.close()


def campaign(engine, model=None):
    """Return a campaign over an engine, of a function that is done at once."""
    return otw.Campaign(model or ot.SymbolicFunction(["x"], ["2 * x"]), engine)


def arrivals(door, number=1, seconds=SOON):
    """Return who has arrived, after waiting for so many."""
    found, deadline = [], time.monotonic() + seconds
    while len(found) < number and time.monotonic() < deadline:
        found += door.arrivals()
        time.sleep(0.01)
    return found


def arrive(door):
    """Knock as a worker does, and say something; return the connection."""
    connection = knock("127.0.0.1", door.port, door.key)
    connection.send_bytes(b"hello")
    return connection


def stranger(door):
    """Return a socket that is connected and says nothing."""
    return socket.create_connection(("127.0.0.1", door.port), timeout=2 * SOON)


def is_turned_away(caller):
    """Whether the other end closes, sooner or later."""
    try:
        while caller.recv(1000):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


class Bomb:
    """Unpickling it leaves a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (self.file,)


def threads_of_the_door():
    """Return how many threads serve callers now."""
    return sum("_welcome" in thread.name for thread in threading.enumerate())


def test_who_knows_the_key_comes_in(door):
    """A worker arrives with what it said, and both ends can talk."""
    worker = arrive(door)
    [(connection, said)] = arrivals(door)
    connection.send_bytes(b"model")
    assert (said, worker.recv_bytes()) == (b"hello", b"model")
    worker.close()
    connection.close()


def test_each_door_has_a_key_of_its_own(door):
    """32 bytes from the system's randomness, never those of another door."""
    other = Door("127.0.0.1")
    other.close()
    assert len(door.key) == len(other.key) == 32
    assert door.key != other.key


def test_a_wrong_key_is_turned_away(door):
    """Both sides refuse: the driver the worker, and the worker what is not its driver."""
    with pytest.raises(AuthenticationError):
        knock("127.0.0.1", door.port, os.urandom(32))
    assert arrivals(door, seconds=0.3) == []


def test_the_worker_does_not_trust_who_cannot_prove_to_be_its_driver(tmp_path):
    """Who listens where the driver did and lets everybody in is found out before a pickle is loaded."""
    with socket.create_server(("127.0.0.1", 0)) as impostor:
        impostor.settimeout(30)
        command = f"from otwrap.backends._worker import join; join('127.0.0.1', {impostor.getsockname()[1]})"
        worker = subprocess.Popen(
            [sys.executable, "-c", command], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        worker.stdin.write(f"{'00' * 32} 0\n")
        worker.stdin.flush()
        connection = _door.Connection(impostor.accept()[0].detach())
        connection.send_bytes(b"#CHALLENGE#" + os.urandom(20))
        connection.recv_bytes()
        connection.send_bytes(b"#WELCOME#")
        assert connection.poll(10)
        connection.recv_bytes()  # its challenge, which takes the key to answer
        connection.send_bytes(b"0" * 16)
        connection.send_bytes(pickle.dumps(Bomb(str(tmp_path / "loaded"))))
        _, said = worker.communicate(timeout=30)
        connection.close()
    assert "cannot be reached" in said
    assert not (tmp_path / "loaded").exists()


@pytest.mark.parametrize("first", [b"", b"\xff\xff\xff\xff", b"\x00\x00\x00\x10", b"GET / HTTP/1.1\r\n\r\n"])
def test_nothing_of_a_stranger_is_unpickled(door, tmp_path, first):
    """What comes without the handshake is never loaded, whatever stands before it."""
    pickled = pickle.dumps(Bomb(str(tmp_path / "loaded")))
    with stranger(door) as caller:
        caller.sendall(first + len(pickled).to_bytes(4, "big") + pickled)
        with contextlib.suppress(OSError):  # it may have been turned away already
            caller.shutdown(socket.SHUT_WR)
        assert is_turned_away(caller)
    assert arrivals(door, seconds=0.3) == []
    assert not (tmp_path / "loaded").exists()


def test_a_silent_stranger_holds_up_nobody(door):
    """Workers come in at once while others stand at the door and say nothing."""
    callers = [stranger(door) for _ in range(20)]
    clock = time.monotonic()
    worker = arrive(door)
    [(connection, _)] = arrivals(door)
    assert time.monotonic() - clock < 2.0
    for end in (*callers, worker, connection):
        end.close()


@pytest.mark.parametrize("drip", [b"", b"\x00"])
def test_who_takes_too_long_is_turned_away(monkeypatch, drip):
    """The time limit is one for the whole handshake: a byte from time to time does not buy more."""
    monkeypatch.setattr(_door, "_HANDSHAKE", 0.5)
    monkeypatch.setattr(_door, "_LOOK", 0.1)
    door = Door("127.0.0.1")
    with stranger(door) as caller:
        caller.settimeout(0.2)
        caller.sendall(b"\x00\x00\x00\xf0" if drip else b"")
        deadline = time.monotonic() + SOON
        gone = False
        while not gone and time.monotonic() < deadline:
            try:
                caller.sendall(drip)
                gone = not caller.recv(1000) and not caller.recv(1000)
            except TimeoutError:
                continue
            except OSError:
                gone = True
    door.close()
    assert gone


def test_many_strangers_do_not_exhaust_threads_nor_files(door):
    """However many call, so many are served at a time, and a worker still comes in."""
    before = len(os.listdir("/proc/self/fd"))
    callers = [stranger(door) for _ in range(3 * _door._CALLERS)]
    worker = arrive(door)
    [(connection, _)] = arrivals(door)
    time.sleep(0.5)
    assert threads_of_the_door() <= _door._CALLERS + 1
    ours = len(os.listdir("/proc/self/fd")) - before - len(callers)
    assert ours <= 2 * _door._CALLERS + 10
    assert is_turned_away(callers[0])
    for end in (*callers, worker, connection):
        end.close()


def test_a_closed_door_leaves_nothing(door):
    """Its port is free again, and neither threads nor files stay, with strangers at the door or not."""
    other = Door("127.0.0.1")
    callers = [stranger(other) for _ in range(5)]
    waiting = arrive(other)
    time.sleep(0.3)
    other.close()
    assert all(is_turned_away(caller) for caller in callers)
    with pytest.raises(EOFError):
        waiting.recv_bytes()
    deadline = time.monotonic() + SOON
    while threads_of_the_door() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads_of_the_door() == 0
    Door("127.0.0.1", other.port).close()
    for end in (*callers, waiting):
        end.close()


def test_an_address_that_is_not_ours_is_told():
    """A wrong host= is an error at once that says what to give."""
    with pytest.raises(otw.BackendError, match=r"host='192\.0\.2\.1'.*address of this machine"):
        campaign(Engine(host="192.0.2.1")).outputs([[1.0]])


def test_a_port_of_ones_own(door):
    """`port=` is where workers connect, for a firewall; one that is taken is told."""
    with campaign(Engine(port=door.port)) as taken, pytest.raises(otw.BackendError, match=str(door.port)):
        taken.outputs([[1.0]])
    taken.backend.close()


def fake(said, deeds=lambda connection: None):
    """Return a call that knocks as a worker that says something else of itself, and then does something."""

    def call(host, port, key, number):
        connection = knock(host, port, bytes.fromhex(key))
        connection.send_bytes(pickle.dumps({**hello(), "number": str(number), **said}))
        deeds(connection)
        connection.close()
        return ""

    return call


@pytest.mark.parametrize("package", ["python", "otwrap"])
def test_versions_that_models_cannot_travel_between_are_refused(package):
    """Before the first point, with both versions and the machine's name."""
    seen = []
    call = fake({package: "2.7", "host": "node7"}, lambda connection: seen.extend(until_closed(connection)))
    engine = Engine(1, call)
    with pytest.raises(otw.BackendError, match=rf"node7 has other versions: {package} 2\.7 there"):
        campaign(engine).outputs([[1.0]])
    engine.close()
    assert seen == []


def until_closed(connection):
    """Return the messages that come."""
    messages = []
    try:
        while True:
            messages.append(connection.recv_bytes())
    except (EOFError, OSError):
        return messages


def test_another_openturns_is_a_warning(monkeypatch):
    """It works, and whoever compares results has been told."""
    monkeypatch.setattr("otwrap.backends._served.hello", lambda: {**hello(), "openturns": "1.0"})
    engine = Engine(1)
    with pytest.warns(RuntimeWarning, match=r"openturns .* there, 1\.0 here"):
        assert campaign(engine).outputs([[1.0]]) == [(2.0,)]
    engine.close()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda *_: "no module named otwrap on node7", "no module named otwrap on node7"),
        (lambda *_: "", "its call returned at once"),
        (lambda *_: 1 / 0, "division by zero"),
        (lambda host, port, key, number: launch(host, port, "00" * 32, number), "turned us away|digest"),
        (lambda host, port, key, number: launch(host, 1, key, number), "cannot be reached.*port 1: .*host="),
    ],
)
def test_a_launch_that_fails_is_told(call, told):
    """What the engine or the worker said of it is the error; nothing hangs."""
    engine = Engine(2, call)
    with pytest.raises(otw.BackendError, match=f"(?s)could not start a worker: .*({told})"):
        campaign(engine).outputs([[1.0], [2.0]])
    engine.close()


def test_workers_that_die_before_their_first_point_are_told():
    """After the third one it is the backend's error, not that of the points."""
    engine = Engine(1, fake({}))
    with pytest.raises(otw.BackendError, match="three workers ended before their first point"):
        campaign(engine).outputs([[1.0]])
    engine.close()


def test_one_worker_that_dies_before_its_first_point_costs_nothing():
    """Its points go to the next one."""
    calls = iter([fake({})])
    engine = Engine(1, lambda *arguments: next(calls, launch)(*arguments))
    assert campaign(engine).outputs([[1.0], [2.0]]) == [(2.0,), (4.0,)]
    engine.close()
    assert len(engine.tickets) == 2


def test_a_call_that_outlives_its_worker_is_given_up(monkeypatch):
    """An engine that never notices the death of its process loses one place for a time, not for ever."""
    monkeypatch.setattr("otwrap.backends._served._PATIENCE", 0.5)
    ended = threading.Event()
    calls = iter([lambda *arguments: (fake({})(*arguments), ended.wait(60))])
    engine = Engine(1, lambda *arguments: next(calls, launch)(*arguments))
    clock = time.monotonic()
    assert campaign(engine).outputs([[1.0]]) == [(2.0,)]
    assert time.monotonic() - clock < 30
    ended.set()
    engine.close()


class Brief(ot.OpenTURNSPythonFunction):
    """Takes so little time that workers are sent points ahead."""

    def __init__(self):
        super().__init__(1, 1)

    def _exec(self, x):
        time.sleep(0.001)
        return [2.0 * x[0]]


@pytest.fixture
def cancelled():
    """A run that was cancelled with a worker at work and another to come; events on which calls end and begin."""
    lasts, late = threading.Event(), threading.Event()

    def call(host, port, key, number):
        waited = late.wait(60) if number == 1 else True
        problem = launch(host, port, key, number)
        return problem or ("" if waited and (number or lasts.wait(60)) else "it was forgotten")

    engine = Engine(2, call)
    with campaign(engine, Brief()) as running:
        stream = running.run([[float(i)] for i in range(1000)])
        for _ in range(50):
            next(stream)
        (worker,) = engine._crew.all
        assert worker.tasks
        stream.close()
        yield running, engine, lasts, late
    for event in (lasts, late):
        event.set()
    engine.close()


def test_the_end_of_a_cancelled_worker_is_no_error_of_the_next_run(cancelled):
    """Its call returns while the next run waits for a worker that is still to come."""
    running, engine, lasts, late = cancelled
    lasts.set()
    assert engine.tickets[0].result(60) == ""
    threading.Timer(0.5, late.set).start()
    assert running.outputs([[-1.0]]) == [(-2.0,)]


def test_the_end_of_a_call_that_nobody_looked_at_is_no_error(cancelled, monkeypatch):
    """It outlives its worker, and returns between two samples."""
    monkeypatch.setattr("otwrap.backends._served._PATIENCE", 5.0)
    running, engine, lasts, late = cancelled
    late.set()
    assert running.outputs([[-1.0]]) == [(-2.0,)]
    lasts.set()
    assert engine.tickets[0].result(60) == ""
    monkeypatch.setattr("otwrap.backends._served._PATIENCE", 0.0)
    assert running.outputs([[-2.0]]) == [(-4.0,)]


class Reader(ot.OpenTURNSPythonFunction):
    """Says where the worker runs."""

    def __init__(self):
        super().__init__(1, 1)

    def _exec(self, x):
        return [float(os.getpid())]


def test_points_are_evaluated_elsewhere():
    """In another process than the driver and the engine."""
    engine = Engine(1)
    [(pid,)] = campaign(engine, Reader()).outputs([[1.0]])
    engine.close()
    assert int(pid) != os.getpid()


@pytest.fixture
def elsewhere(tmp_path):
    """A call that starts a worker which does not see the files of this test, as on another machine."""
    hide = tmp_path / "sitecustomize.py"
    hide.write_text(
        "import os\n"
        "exists = os.path.exists\n"
        f"os.path.exists = lambda path: {str(tmp_path / 'data')!r} not in str(path) and exists(path)\n"
    )

    def call(host, port, key, number):
        code = f"from otwrap.backends._launch import launch; print(end=launch({host!r}, {port}, {key!r}, {number}))"
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout

    return call


def reading(files, command, tmp_path):
    """Return a wrapper whose code reads files."""
    return otw.Wrapper(
        ["a"],
        ["y"],
        command=["sh", "-c", command],
        files=files,
        parsers=[otw.parsers.LineColumn("stdout.txt", 1, 1)],
        base_temp_work_dir=tmp_path,
    )


def test_files_travel_where_they_are_not(elsewhere, tmp_path):
    """A file, a folder, and what a link points to reach a worker that does not have them at the same place."""
    data = tmp_path / "data"
    (data / "tables").mkdir(parents=True)
    (data / "mesh.txt").write_text("40\n")
    (data / "tables" / "steel.txt").write_text("2\n")
    (data / "tables" / "link.txt").symlink_to(data / "tables" / "steel.txt")
    wrapper = reading(
        [data / "mesh.txt", data / "tables"],
        "echo $(( $(cat mesh.txt) + $(cat tables/link.txt) )); readlink -f mesh.txt >&2",
        tmp_path,
    )
    engine = Engine(2, elsewhere)
    with campaign(engine, wrapper) as travelling:
        assert travelling.outputs([[1.0], [2.0], [3.0]]) == [(42.0,)] * 3
    engine.close()


def test_many_points_are_there_before_the_files(elsewhere, tmp_path):
    """What is sent to a worker that still waits for files comes after them, in order."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "large.bin").write_bytes(b"x" * 5_000_000)
    wrapper = reading([data / "large.bin"], "wc -c < large.bin", tmp_path)
    engine = Engine(2, elsewhere)
    with campaign(engine, wrapper) as travelling:
        assert travelling.outputs([[float(i)] for i in range(20)]) == [(5e6,)] * 20
    engine.close()


def test_files_do_not_travel_where_they_are(tmp_path, monkeypatch):
    """On a shared file system, or this machine, they are read where they stand."""
    (tmp_path / "mesh.txt").write_text("40\n")
    asked = []
    monkeypatch.setattr(
        "otwrap.backends._served.pack_files", lambda files, wanted: asked.append(wanted) or EMPTY_TAR
    )
    engine = Engine(1)
    with campaign(engine, reading([tmp_path / "mesh.txt"], "cat mesh.txt", tmp_path)) as staying:
        assert staying.outputs([[1.0]]) == [(40.0,)]
    engine.close()
    assert asked == [[]]


EMPTY_TAR = bytes(10240)


def test_close_with_workers_on_their_way_leaves_none():
    """Those that have not arrived yet find the door closed, and end."""
    engine = Engine(2, lambda *arguments: time.sleep(0.3) or launch(*arguments))
    door = engine._open()
    for number in range(2):
        engine._launched[number] = engine._launch(door.host, door.port, door.key.hex(), number)
    clock = time.monotonic()
    engine.close()
    assert time.monotonic() - clock < 10
    assert all("cannot be reached" in ticket.result() for ticket in engine.tickets)


def test_close_does_not_wait_for_calls_that_the_engine_has_not_begun():
    """A busy engine's queue is left at once."""
    engine = Engine(2)
    free = threading.Event()
    busy = [engine.pool.submit(free.wait, 30) for _ in range(8)]
    door = engine._open()
    engine._launched[0] = engine._launch(door.host, door.port, door.key.hex(), 0)
    clock = time.monotonic()
    engine._dismiss()
    assert time.monotonic() - clock < 2
    assert engine.tickets[0].cancelled()
    free.set()
    assert len(busy) == 8
    engine.close()


def test_close_ends_the_workers():
    """None is left, and a second sample starts new ones."""
    engine = Engine(2)
    running = campaign(engine, Reader())
    first = {int(pid) for (pid,) in running.outputs([[1.0], [2.0]])}
    engine._dismiss()
    assert not [pid for pid in first if os.path.exists(f"/proc/{pid}")]
    assert int(running.outputs([[3.0]])[0][0]) not in first
    engine.close()
