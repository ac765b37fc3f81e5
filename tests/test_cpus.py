"""How many CPUs this process may use."""

import os

import pytest

from otwrap import cpus


def test_affinity_counts():
    """A process bound to one CPU uses one."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cpus.available_cpus() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_quota_of_the_control_group_counts(tmp_path):
    """A container with a quota of one and a half CPUs uses two."""
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert list(cpus._control_group_quota(tmp_path)) == [2]
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert list(cpus._control_group_quota(tmp_path)) == []


@pytest.mark.parametrize(
    "name", ["OTWRAP_CPUS", "SLURM_CPUS_PER_TASK", "NSLOTS", "LSB_DJOB_NUMPROC", "PBS_NCPUS"]
)
def test_allocation_of_a_batch_system_counts(monkeypatch, name):
    """Inside an allocation of one CPU, -1 means one."""
    monkeypatch.setenv(name, "1")
    assert cpus.evaluations_at_a_time(-1) == 1


def test_a_number_is_taken_as_given():
    """n_cpus=7 means seven, also on a machine that has two."""
    assert cpus.evaluations_at_a_time(7) == 7


def test_evaluations_that_use_several_cpus_are_fewer():
    """Evaluations at a time are what is allowed divided by what one uses, and at least one."""
    assert cpus.evaluations_at_a_time(8, 4) == 2
    assert cpus.evaluations_at_a_time(2, 16) == 1


@pytest.mark.parametrize("n_cpus", [0, -2, 1.5, "4", True])
def test_nonsense_is_refused(n_cpus):
    """Zero, a negative number or a text is told with what is accepted."""
    with pytest.raises(ValueError, match="positive number, or -1"):
        cpus.evaluations_at_a_time(n_cpus)
