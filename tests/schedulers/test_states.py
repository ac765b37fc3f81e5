"""What batch systems say of tasks: captured outputs of real ones, and forms that their manuals document."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from otwrap.errors import SchedulerError
from otwrap.schedulers import STATES, Scheduler, TaskState, create_scheduler

CAPTURED = Path(__file__).parent / "captured"
#: Name of a captured output -> exit code.
CODES = {
    name: int(code)
    for name, code in re.findall(
        r"^\| \(?`?(\w+)\b.*?\| (\d+) \|", (CAPTURED / "README.md").read_text(), re.M
    )
}


def said(
    stdout: str = "", stderr: str = "", returncode: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Return an ended command that has printed something."""
    code = int(bool(stderr)) if returncode is None else returncode
    return subprocess.CompletedProcess([], code, stdout, stderr)


def captured(name: str) -> subprocess.CompletedProcess[str]:
    """Return a command of a real batch system with what it printed."""
    texts = [CAPTURED / f"{name}{end}" for end in (".txt", ".stderr.txt")]
    return said(*(text.read_text() if text.exists() else "" for text in texts), CODES[name])


def told(
    scheduler: Scheduler | str, outputs: list[Any], *ids: str
) -> dict[str, dict[int, tuple[str, str, str]]]:
    """Return states as plain values."""
    scheduler = create_scheduler(scheduler) if isinstance(scheduler, str) else scheduler
    found = scheduler.states(outputs, ids)
    assert all(state.state in STATES for states in found.values() for state in states.values())
    return {
        job_id: {index: tuple(state) for index, state in states.items()} for job_id, states in found.items()
    }


WAITING = ("waiting", "", "")
NO_ACCOUNTS = said(stderr="Slurm accounting storage is disabled\n")


def test_slurm_queue() -> None:
    """Ends keep exit code or signal; what waits for ever is held, with Slurm's reason; a dependent job waits."""
    outputs = [captured("slurm_squeue_columns_running"), NO_ACCOUNTS]
    assert told("slurm", outputs, "19", "20", "21", "22") == {
        "19": {
            1: ("ended", "", "n1"),
            2: ("ended", "exit code 7", "n1"),
            3: ("ended", "signal 9", "n2"),
            4: ("running", "", "n2"),
            5: ("ended", "exit code 127", "n2"),
            6: ("running", "", "n1"),
            7: ("running", "", "n1"),
            8: ("running", "", "n2"),
        },
        "20": {1: WAITING},
        "21": {1: ("held", "JobHeldUser", "")},
        "22": {1: ("held", "PartitionConfig", "")},
    }


def test_slurm_lost_node_and_cancelled_tasks() -> None:
    """A task whose node is lost waits again; a cancelled one has ended with that word."""
    states = told("slurm", [captured("slurm_squeue_columns_node_down"), NO_ACCOUNTS], "30")["30"]
    assert (states[4], states[6]) == (WAITING, ("running", "", "n2"))
    states = told("slurm", [captured("slurm_squeue_columns_cancelled"), NO_ACCOUNTS], "30")["30"]
    assert {states[i][:2] for i in (4, 6, 7, 8, 9)} == {("ended", "CANCELLED")}
    assert states[5] == ("ended", "exit code 127", "n1")


def test_slurm_accounts() -> None:
    """What has left the queue is known from the accounts: how it ended, and where."""
    outputs = [captured("slurm_squeue_unknown"), captured("slurm_sacct_ends")]
    assert told("slurm", outputs, "16")["16"] == {
        1: ("ended", "", "n1"),
        2: ("ended", "exit code 7", "n1"),
        3: ("ended", "signal 9", "n2"),
        4: ("ended", "TIMEOUT", "n2"),
        5: ("ended", "TIMEOUT", "n2"),
        6: ("ended", "exit code 127", "n1"),
    }
    outputs = [captured("slurm_squeue_unknown"), captured("slurm_sacct_cancelled")]
    states = told("slurm", outputs, "1")["1"]
    assert (states[1], states[2]) == (("ended", "CANCELLED", ""), ("ended", "CANCELLED", "n1"))


def test_slurm_queue_goes_before_accounts() -> None:
    """The accounts are late: they call a task that waits again lost, and the last task by its array's number."""
    queue = said("1_1".ljust(40) + "PENDING".ljust(20) + "0".ljust(12) + "BeginTime".ljust(120) + "\n")
    states = told("slurm", [queue, captured("slurm_sacct_requeued")], "1")["1"]
    assert states[1] == WAITING
    assert states[4] == ("ended", "NODE_FAIL", "n1")
    queue = said("16_2".ljust(40) + "RUNNING".ljust(20) + "0".ljust(12) + "None".ljust(60) + "n1\n")
    assert told("slurm", [queue, captured("slurm_sacct_ends_running")], "16") == {
        "16": {2: ("running", "", "n1")}
    }


def test_slurm_ranges_and_words_of_later_versions() -> None:
    """Tasks that wait together are told apart; a word that is not known is no end."""
    line = "7_[5-6,9%2]".ljust(40) + "PENDING".ljust(20) + "0".ljust(12) + "JobArrayTaskLimit".ljust(60)
    other = "8".ljust(40) + "EXPEDITING".ljust(20) + "0".ljust(12) + "None".ljust(60) + "n1"
    found = told("slurm", [said(f"{line}\n{other}\n"), NO_ACCOUNTS], "7", "8")
    assert found == {"7": dict.fromkeys((5, 6, 9), WAITING), "8": {1: ("running", "", "n1")}}


@pytest.mark.parametrize("name", ["slurm_squeue_no_controller"])
def test_slurm_down(name: str) -> None:
    """A controller that does not answer is an error, whatever the accounts say."""
    with pytest.raises(SchedulerError, match="Unable to contact slurm controller"):
        told("slurm", [captured(name), captured("slurm_sacct_no_controller")], "16")


def test_slurm_accounts_away() -> None:
    """A database that is away hides nothing of the queue."""
    outputs = [captured("slurm_squeue_columns_running"), captured("slurm_sacct_no_database")]
    assert len(told("slurm", outputs, "19")["19"]) == 8


def test_slurm_nothing_is_known() -> None:
    """A job that neither queue nor accounts know is not there, and that is no error."""
    assert told("slurm", [captured("slurm_squeue_unknown"), said()], "99999") == {}


def test_grid_engine_queue() -> None:
    """Tasks that run stand alone, those that wait together, by range or list."""
    history = said(stderr="error: job id 1 not found\n")
    states = told("sge", [captured("gridengine_qstat_xml_held"), history, history, history], "1", "2", "3")
    running = ("running", "", "n1")
    assert states["1"] == {1: running, 2: running, 3: running, **dict.fromkeys(range(4, 9), WAITING)}
    assert states["2"] == {1: WAITING}
    assert states["3"] == dict.fromkeys((1, 2, 3), WAITING)
    again = told("sge", [captured("gridengine_qstat_xml_rerun"), captured("gridengine_qacct_lost")], "13")
    assert again["13"] == {1: WAITING, 2: WAITING}


def test_grid_engine_other_states() -> None:
    """What is being deleted or suspended is still running; an error state is held, and keeps its letters."""
    deleted = told("sge", [captured("gridengine_qstat_xml_being_deleted"), said()], "1")["1"]
    assert {deleted[index][0] for index in (1, 3, 4, 7)} == {"running"}
    suspended = told("sge", [captured("gridengine_qstat_xml_suspended"), said()], "16")["16"]
    assert suspended[1][0] == "running"
    states = told("sge", [captured("gridengine_qstat_xml_error"), captured("gridengine_qacct_ends")], "9")[
        "9"
    ]
    assert (states[4], states[5]) == (("held", "Eqw", ""), WAITING)


def test_grid_engine_accounts() -> None:
    """The accounts tell exit codes, signals and Grid Engine's own reasons; a task that was started anew has not ended."""
    empty = captured("gridengine_qstat_xml_empty")
    assert told("sge", [empty, captured("gridengine_qacct_ends")], "9")["9"] == {
        1: ("ended", "", "n1"),
        2: ("ended", "exit code 7", "n1"),
        3: ("ended", "signal 9", "n1"),
        4: ("ended", "application error returned", "n1"),
        6: ("ended", "exit code 127", "n1"),
        7: ("ended", "exit code 137", "n1"),
    }
    reason = "qmaster enforced h_rt, h_cpu, or h_vmem limit"
    states = told("sge", [empty, captured("gridengine_qacct_time_limit")], "10")["10"]
    assert set(states.values()) == {("ended", reason, "n1")}
    states = told("sge", [empty, captured("gridengine_qacct_lost")], "14")["14"]
    assert {state[1] for state in states.values()} == {"before writing exit_status"}
    # The second run counts.
    states = told("sge", [empty, captured("gridengine_qacct_rerun")], "13")["13"]
    assert set(states.values()) == {("ended", "", "n1")}
    assert told("sge", [empty, captured("gridengine_qacct_soft_limit")], "11")["11"] == {
        1: ("ended", "", "n1")
    }


def test_grid_engine_unknown_or_down() -> None:
    """A job that is nowhere is not there; a master that does not answer is an error, even if the accounts speak."""
    outputs = [captured("gridengine_qstat_xml_empty"), captured("gridengine_qacct_unknown")]
    assert told("sge", outputs, "999") == {}
    with pytest.raises(SchedulerError, match="unable to send message to qmaster"):
        told("sge", [captured("gridengine_qstat_no_master"), captured("gridengine_qacct_no_master")], "10")
    with pytest.raises(SchedulerError, match="no XML"):
        told("sge", [said("<job_info><job"), said()], "10")


def test_pbs_states() -> None:
    """The letters of PBS Pro, its ends with their codes, its continuation lines."""
    records = {
        "1": "job_state = X\n    Exit_status = 0\n    exec_host = a1/0*4",
        "2": "job_state = X\n    Exit_status = 7\n    exec_host = a1/0*4+a2/0*4",
        "3": "job_state = X\n    Exit_status = 265",
        "4": "job_state = X\n    Exit_status = -29",
        "5": "job_state = R\n    exec_host = a1/\n\t0*4",
        "6": "job_state = E",
        "7": "job_state = Q",
        "8": "job_state = H\n    depend = afterany:11[].head@head",
        "9": "job_state = H\n    comment = job held, too many failed attempts to run",
        "10": "job_state = S",
        "11": "job_state = X\n    Exit_status = -1",
    }
    text = "Job Id: 12[].head\n    job_state = B\n\n" + "".join(
        f"Job Id: 12[{index}].head\n    Job_Name = x\n    {fields}\n    Variable_List = A=1,\n\tjob_state = Q\n\n"
        for index, fields in records.items()
    )
    assert told(
        "pbs", [said(text), said(stderr="PBS is not configured to maintain job history")], "12[].head"
    ) == {
        "12[].head": {
            1: ("ended", "", "a1"),
            2: ("ended", "exit code 7", "a1"),
            3: ("ended", "signal 9", ""),
            4: ("ended", "walltime exceeded", ""),
            5: ("running", "", "a1"),
            6: ("running", "", ""),
            7: WAITING,
            8: WAITING,
            9: ("held", "job held, too many failed attempts to run", ""),
            10: ("running", "", ""),
            11: ("ended", "-1: PBS could not run it", ""),
        }
    }


def test_pbs_history() -> None:
    """What has finished is known from the history; the server may have a longer name there."""
    queue = said(
        stderr="qstat: 12.head Job has finished, use -x or -H to obtain historical job information\n"
    )
    history = said("Job Id: 12.head.lab.org\n    job_state = F\n    Exit_status = 271\n")
    assert told("pbs", [queue, history], "12.head") == {"12.head": {1: ("ended", "signal 15", "")}}


def test_torque_states() -> None:
    """Torque writes its words small, and keeps what is complete."""
    text = "".join(
        f"Job Id: 12[{index}].head\n    job_state = {state}\n\n"
        for index, state in {1: "C\n    exit_status = 271", 2: "R\n    exec_host = n1/0+n1/1", 3: "Q"}.items()
    )
    assert told("torque", [said(text)], "12[].head")["12[].head"] == {
        1: ("ended", "signal 15", ""),
        2: ("running", "", "n1"),
        3: WAITING,
    }
    assert told("torque", [said(stderr="qstat: Unknown Job Id Error 12.head\n")], "12.head") == {}


@pytest.mark.parametrize("name", ["pbs", "torque"])
def test_pbs_down(name: str) -> None:
    """A server that does not answer is an error, though it may not know a job on top of it."""
    texts = "qstat: Unknown Job Id 12.head\nConnection refused\nqstat: cannot connect to server head (errno=111)\n"
    with pytest.raises(SchedulerError, match="cannot connect"):
        told(name, [said(stderr=texts), said(stderr=texts)], "12.head")


def test_lsf_states() -> None:
    """LSF's words and reasons; a host that does not answer is no end."""
    lines = """12|1|DONE|-|4*a1|-
12|2|EXIT|7|a1|-
12|3|EXIT|140|a1|TERM_RUNLIMIT: job killed after reaching LSF run time limit
12|4|EXIT|130|-|TERM_OWNER: job killed by owner
12|5|RUN|-|4*a1:4*a2|-
12|6|UNKWN|-|a1|-
12|7|PEND|-|-|-
12|8|PSUSP|-|-|-
12|9|SSUSP|-|a1|-
13|0|EXIT|-|-|-
99|0|DONE|-|-|-
"""
    output = said(lines, "Job <14> is not found\n", 255)
    assert told("lsf", [output], "12", "13", "14") == {
        "12": {
            1: ("ended", "", "a1"),
            2: ("ended", "exit code 7", "a1"),
            3: ("ended", "TERM_RUNLIMIT", "a1"),
            4: ("ended", "TERM_OWNER", ""),
            5: ("running", "", "a1"),
            6: ("running", "", "a1"),
            7: WAITING,
            8: ("held", "PSUSP", ""),
            9: ("running", "", "a1"),
        },
        "13": {1: ("ended", "EXIT", "")},
    }


@pytest.mark.parametrize(
    "text",
    [
        "Failed in an LSF library call: LIM is down; try later.",
        "Cannot connect to LSF. Please wait ...",
        "bjobs: command not permitted",
    ],
)
def test_lsf_down(text: str) -> None:
    """Any other failure of a query is an error."""
    with pytest.raises(SchedulerError, match=re.escape(text)):
        told("lsf", [said(stderr=text, returncode=255)], "12")


OK = {
    "slurm": [("123\n", "123"), ("123;lab\n", "123"), ("welcome!\nSubmitted batch job 123\n", "123")],
    "sge": [
        (captured("gridengine_qsub_terse").stdout, "4"),
        ("7.1-100:1\n", "7"),
        ('Your job 12 ("x") has been submitted\n', "12"),
        ('Your job-array 12.1-8:1 ("x") has been submitted\n', "12"),
    ],
    "pbs": [
        ("12.head\n", "12.head"),
        ("12[].head.lab.org\n", "12[].head.lab.org"),
        ("note\n12.head\n", "12.head"),
    ],
    "torque": [("12[].head\n", "12[].head")],
    "lsf": [
        ("Job <12> is submitted to queue <long>.\n", "12"),
        ("esub says hello\nJob <12> is submitted to default queue <normal>.\n", "12"),
    ],
    "htcondor": [("12.0 - 12.99\n", "12"), ("12.0 - 12.0\n", "12")],
    "local": [("local-00ff12ab\n", "local-00ff12ab")],
}


@pytest.mark.parametrize(
    ("name", "text", "job_id"), [(name, *pair) for name, pairs in OK.items() for pair in pairs]
)
def test_id_of_a_job(name: str, text: str, job_id: str) -> None:
    """The id is found in what the command printed, whatever a site's wrapper says besides."""
    assert create_scheduler(name).submitted(text) == job_id
    assert create_scheduler(name).submitted(said(text)) == job_id


REFUSALS = [
    ("slurm", "slurm_sbatch_bad_partition"),
    ("slurm", "slurm_sbatch_array_too_large"),
    ("slurm", "slurm_sbatch_no_controller"),
    ("sge", "gridengine_qsub_bad_queue"),
    ("sge", "gridengine_qsub_bad_pe"),
    ("sge", "gridengine_qsub_no_master"),
]


@pytest.mark.parametrize(("name", "output"), REFUSALS)
def test_refused(name: str, output: str) -> None:
    """A refusal is an error with the command and its words."""
    with pytest.raises(SchedulerError) as caught:
        create_scheduler(name).submitted(captured(output))
    complaint = captured(output).stderr.strip()
    assert complaint in str(caught.value)
    assert f"`{create_scheduler(name).executable()}` failed with exit code 1" in str(caught.value)


@pytest.mark.parametrize("name", OK)
def test_no_id(name: str) -> None:
    """What holds no id is an error that shows it, and warns of submitting twice."""
    with pytest.raises(SchedulerError, match=r"no id of a job, but: maintenance; look whether"):
        create_scheduler(name).submitted("maintenance\n")


@pytest.mark.parametrize(
    ("name", "output", "fine"),
    [
        ("slurm", captured("slurm_scancel_no_controller"), False),
        ("slurm", said(), True),
        ("sge", captured("gridengine_qdel_again"), True),
        ("sge", captured("gridengine_qdel_unknown"), True),
        ("sge", captured("gridengine_qdel_no_master"), False),
        ("pbs", said(stderr="qdel: Unknown Job Id 12.head\n"), True),
        ("pbs", said(stderr="qdel: Job has finished 12.head\n"), True),
        ("pbs", said(stderr="qdel: Unauthorized Request  12.head\n"), False),
        ("torque", said(stderr="qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE 12.h"), True),
        ("lsf", said(stderr="Job <12>: Job has already finished\n"), True),
        ("lsf", said(stderr="Job <12>: User permission denied\n"), False),
        ("htcondor", said(stderr="Job 12.0 not found\n"), True),
        ("htcondor", said(stderr="Couldn't find/remove all jobs in cluster 12\n"), True),
        ("htcondor", said(stderr="ERROR: Can't find address of local schedd\n"), False),
    ],
)  # fmt: skip
def test_cancelled(name: str, output: subprocess.CompletedProcess[str], fine: bool) -> None:
    """To cancel what has ended is fine; any other refusal is an error."""
    scheduler = create_scheduler(name)
    if fine:
        scheduler.cancelled([said(), output])
    else:
        with pytest.raises(SchedulerError, match="failed with exit code"):
            scheduler.cancelled([said(), output])


@pytest.mark.parametrize("name", ["slurm", "sge", "pbs", "torque", "lsf", "htcondor", "local"])
def test_long_lists_are_split(name: str) -> None:
    """Thousands of single tasks are cancelled by several commands, none of them too long, each task once."""
    job_id = "12[].head" if name in ("pbs", "torque") else "12"
    commands = create_scheduler(name).cancel_command(job_id, range(1, 20001, 2))
    assert len(commands) > 1
    assert max(len(" ".join(command)) for command in commands) < 10_000
    words = re.findall(
        r"\d+", " ".join(" ".join(command[1:]) for command in commands).replace("12[].head", "")
    )
    shift = name == "htcondor"
    assert {int(word) + shift for word in words} >= set(range(1, 20001, 2))


def test_states_are_values() -> None:
    """A state is a plain tuple with defaults."""
    assert TaskState("waiting") == ("waiting", "", "")
