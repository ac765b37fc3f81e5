"""How the dask backend is configured, and what it makes of otwrapy's words; no engine starts here."""

import sys

import openturns as ot
import pytest

import otwrap as otw
from otwrap.backends import create_backend
from otwrap.backends._dask_clusters import JOBQUEUES
from otwrap.backends._otwrapy import backend_of_otwrapy

pytest.importorskip("distributed")


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"address": "tcp://a:1", "hosts": ["b"]}, "address and hosts are given"),
        ({"hosts": []}, "give names of machines"),
        ({"hosts": {"a": 0}}, "give names of machines"),
        ({"scheduler_host": "a"}, "goes with hosts="),
        ({"jobqueue": "slrm", "jobs": 1}, "accepted are slurm, pbs, sge, lsf, htcondor, oar"),
        ({"jobqueue": "slurm"}, "say how many jobs"),
        ({"jobqueue": "slurm", "jobs": 2, "adapt": (1, 2)}, "give one of them"),
        ({"jobqueue": "slurm", "adapt": (3, 2)}, "two numbers"),
        ({"jobqueue": "slurm", "jobs": 0}, "positive number"),
        ({"jobs": 2}, "go with jobqueue="),
        ({"n_cpus": 0}, "n_cpus=0"),
    ],
)
def test_arguments_that_do_not_go_together_are_told(keywords, told):
    """What cannot be is said when the backend is made, not at the first sample."""
    with pytest.raises(ValueError, match=told):
        otw.backends.Dask(**keywords)


@pytest.mark.parametrize(
    ("package", "keywords", "extra"),
    [
        ("distributed", {}, r"otwrap\[dask\]"),
        ("asyncssh", {"hosts": ["a"]}, r"otwrap\[dask,ssh\]"),
        ("dask_jobqueue", {"jobqueue": "pbs", "jobs": 1}, r"otwrap\[jobqueue\]"),
    ],
)
def test_a_missing_package_says_what_to_install(package, keywords, extra, monkeypatch):
    """Nothing falls back to another backend."""
    real = otw.backends.dask.importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else real(name))
    with pytest.raises(otw.BackendUnavailable, match=extra):
        otw.backends.Dask(**keywords)


@pytest.mark.parametrize("system", JOBQUEUES)
def test_every_batch_system_of_dask_jobqueue_is_known(system):
    """The class of each name is there, and writes a script for one job."""
    dask_jobqueue = pytest.importorskip("dask_jobqueue")
    cluster_class = getattr(dask_jobqueue, JOBQUEUES[system])
    assert issubclass(cluster_class, dask_jobqueue.JobQueueCluster)
    assert "jobqueue" in repr(otw.backends.Dask(jobqueue=system, jobs=2))


def test_otwrapys_dask_ssh_is_understood():
    """Scheduler, workers and interpreters of otwrapy's dask_args go where they belong."""
    pytest.importorskip("asyncssh")
    settings = {
        "scheduler": "a",
        "workers": {"b": 4, "c": 2},
        "remote_python": {"a": "/p", "b": "/q", "c": "/q"},
    }
    for word in ("dask/ssh", "dask"):
        backend = backend_of_otwrapy(word, 7, dask_args=settings)
        assert repr(backend) == "Dask(n_cpus=-1, hosts={'b': 4, 'c': 2})"
        assert (backend._scheduler_host, backend._options) == (
            "a",
            {"remote_python": settings["remote_python"]},
        )


def test_few_workers_with_several_threads_are_started_by_ssh(monkeypatch):
    """Hosts with 4 and 2 places get two workers and one, of two threads each, and each its own interpreter."""
    pytest.importorskip("asyncssh")
    calls = []
    monkeypatch.setattr("distributed.SSHCluster", lambda names, **keywords: calls.append((names, keywords)))
    otw.backends._dask_clusters.ssh_cluster({"b": 4, "c": 2}, "a", {"remote_python": {"b": "/q"}})
    ((names, keywords),) = calls
    assert names == ["a", "b", "b", "c"]
    assert keywords["worker_options"]["nthreads"] == 2
    assert keywords["remote_python"] == [sys.executable, "/q", "/q", sys.executable]
    assert not any("known_hosts" in connect for connect in keywords["connect_options"])


def test_otwrapys_dask_slurm_is_understood():
    """n_cpus are the CPUs of a job, and n_workers are so many workers, as in otwrapy."""
    pytest.importorskip("dask_jobqueue")
    backend = backend_of_otwrapy("dask/slurm", 4, slurmcluster_kw={"n_workers": 6, "queue": "main"})
    assert repr(backend) == "Dask(n_cpus=-1, jobqueue='slurm', adapt=(2, 2))"
    assert backend._options == {"cores": 4, "processes": 4, "memory": "512 MB", "queue": "main"}
    assert repr(create_backend("dask/slurm", 4)) == "Dask(n_cpus=-1, jobqueue='slurm', adapt=(1, 1))"


@pytest.mark.parametrize(
    "settings", [{"scheduler": "a"}, {"scheduler": "a", "workers": {"a": 1}, "port": 22}, {}]
)
def test_dask_args_that_are_not_understood_are_told(settings):
    """A key that is missing or unknown is an error that shows what is expected."""
    with pytest.raises(otw.BackendError, match="'workers': {host: number}"):
        otw.Parallelizer(ot.SymbolicFunction(["x"], ["x"]), "dask/ssh", dask_args=settings)


@pytest.mark.parametrize(
    ("name", "backend", "told"),
    [
        ("dask_args", "serial", "'dask/ssh' or 'dask', not with 'serial'"),
        ("slurmcluster_kw", "dask/ssh", "'dask/slurm', not with 'dask/ssh'"),
        ("ipp_client_kw", "threads", "'ipyparallel' or 'ipython', not with 'threads'"),
    ],
)
def test_settings_of_otwrapy_are_never_dropped(name, backend, told):
    """Arguments for another backend are refused, not ignored; empty ones are none."""
    with pytest.raises(otw.BackendError, match=told):
        otw.Parallelizer(ot.SymbolicFunction(["x"], ["x"]), backend, **{name: {"workers": 2}})
    otw.Parallelizer(ot.SymbolicFunction(["x"], ["x"]), "serial", **{name: {}}).close()
