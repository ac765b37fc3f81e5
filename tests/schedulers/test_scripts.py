"""What is submitted: the scripts of all batch systems, in a shell and line by line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from otwrap.errors import SchedulerError
from otwrap.schedulers import Job, Profile, Resources, Scheduler, create_scheduler, scheduler_names

ALL = Resources(
    time="1-02:00:30",
    cpus=4,
    memory="1 GB",
    partition="short",
    account="me@lab",
    exclusive=True,
    constraint="fast & big",
    nodes=2,
    setup=["module load beam"],
    extra=["--something=1"],
)
#: What some batch systems have no word for.
FEWER = {
    "sge": {"nodes": None},
    "htcondor": {"nodes": None, "exclusive": None, "partition": None},
}
#: What the batch system sets in a task with index 3 of an array of job 12.
VARIABLES = {
    "slurm": {
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_ARRAY_JOB_ID": "12",
        "SLURM_SUBMIT_DIR": "",
        "SLURM_JOB_ID": "15",
    },
    "sge": {"SGE_TASK_ID": "3", "JOB_ID": "12", "SGE_O_WORKDIR": ""},
    "pbs": {"PBS_ARRAY_INDEX": "3", "PBS_ARRAY_ID": "12[].s", "PBS_JOBID": "12[3].s", "PBS_O_WORKDIR": ""},
    "torque": {"PBS_ARRAYID": "3", "PBS_JOBID": "12[3].s", "PBS_O_WORKDIR": ""},
    "lsf": {"LSB_JOBINDEX": "3", "LSB_JOBID": "12", "LS_SUBCWD": ""},
    "htcondor": {"CONDOR_ARRAY_INDEX": "3", "CONDOR_CLUSTER": "12", "_CONDOR_JOB_IWD": ""},
    "local": {"LOCAL_ARRAY_INDEX": "3", "LOCAL_JOB_ID": "12", "LOCAL_SUBMIT_DIR": ""},
}
each = pytest.mark.parametrize("name", scheduler_names())


def scheduler(name: str, **words: Any) -> Scheduler:
    """Return a batch system with a profile."""
    return create_scheduler(Profile.from_dict({"scheduler": name, **words}))


def resources_for(name: str) -> Resources:
    """Return as many resources as a batch system has words for."""
    return ALL.replaced(**FEWER.get(name, {}))


def job(work: str = "true", **settings: Any) -> Job:
    """Return an array of five tasks, unless more is said."""
    return Job(**{"name": "otwrap-3f2a-001", "folder": "jobs/001", "work": work, "tasks": 5, **settings})


def shell_script(name: str, told: Job) -> str:
    """Return the script that a shell runs."""
    return scheduler(name).scripts(told)["script.sh"]


def run(name: str, told: Job, folder: Path, *, variables: dict[str, str] | None = None) -> int:
    """Run a script as its batch system would, from another folder; return its exit code."""
    (folder / "jobs/001/logs").mkdir(parents=True, exist_ok=True)
    script = folder / "jobs/001/script.sh"
    script.write_text(shell_script(name, told), encoding="utf-8")
    given = {key: value or str(folder) for key, value in (variables or VARIABLES[name]).items()}
    environment = {"PATH": os.environ["PATH"], "OTWRAP_RUN": "somebody's", **given}
    return subprocess.run(["bash", script], cwd="/", env=environment, check=False).returncode


def log(folder: Path, task: int = 3) -> str:
    """Return the log of a task."""
    return (folder / f"jobs/001/logs/{task}.txt").read_text(encoding="utf-8")


@each
@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("tasks", [5, 1, None])
def test_scripts_are_valid_shell(name: str, shell: str, tasks: int | None) -> None:
    """Every script is one for any shell of the POSIX kind, with all that can be said and with nothing."""
    after = () if name == "htcondor" else ("12", "13")
    for told in (job(tasks=tasks), job(tasks=tasks, at_a_time=2, resources=resources_for(name), after=after)):
        text = shell_script(name, told)
        checked = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, ""), text


GOLDEN = {
    "slurm": """
        #SBATCH --job-name=otwrap-3f2a-001
        #SBATCH --array=1-5%2
        #SBATCH --output=jobs/001/logs/%a.txt
        #SBATCH --open-mode=append
        #SBATCH --requeue
        #SBATCH --cpus-per-task=4
        #SBATCH --nodes=2
        #SBATCH --time=26:00:30
        #SBATCH --mem=954M
        #SBATCH --partition=short
        #SBATCH --account=me@lab
        #SBATCH --constraint="fast & big"
        #SBATCH --exclusive
        #SBATCH --dependency=afterany:12:13
        #SBATCH --something=1
    """,
    "sge": """
        #$ -N otwrap-3f2a-001
        #$ -S /bin/bash
        #$ -cwd
        #$ -t 1-5
        #$ -tc 2
        #$ -j y
        #$ -o jobs/001/logs/$TASK_ID.txt
        #$ -r y
        #$ -pe smp 4
        #$ -l h_rt=26:00:30
        #$ -l h_vmem=239M
        #$ -q short
        #$ -P me@lab
        #$ -l "fast & big"
        #$ -l exclusive=true
        #$ -hold_jid 12,13
        #$ --something=1
    """,
    "pbs": """
        #PBS -N otwrap-3f2a-001
        #PBS -J 1-5%2
        #PBS -r y
        #PBS -j oe
        #PBS -o jobs/001/logs/^array_index^.pbs.txt
        #PBS -l "select=2:ncpus=4:mem=954mb:fast & big"
        #PBS -l place=scatter:excl
        #PBS -l walltime=26:00:30
        #PBS -q short
        #PBS -A me@lab
        #PBS -W depend=afterany:12:13
        #PBS --something=1
    """,
    "torque": """
        #PBS -N otwrap-3f2a-001
        #PBS -t 1-5%2
        #PBS -r y
        #PBS -l "nodes=2:ppn=4:fast & big"
        #PBS -l mem=1908mb
        #PBS -n
        #PBS -l walltime=26:00:30
        #PBS -q short
        #PBS -A me@lab
        #PBS -W depend=afterany:12:13
        #PBS --something=1
    """,
    "lsf": """
        #BSUB -J "otwrap-3f2a-001[1-5]%2"
        #BSUB -o jobs/001/logs/%I.txt
        #BSUB -r
        #BSUB -n 8
        #BSUB -R "span[ptile=4]"
        #BSUB -W 1561
        #BSUB -M 954MB
        #BSUB -R "rusage[mem=954MB]"
        #BSUB -q short
        #BSUB -P me@lab
        #BSUB -R "select[fast & big]"
        #BSUB -x
        #BSUB -w "ended(12) && ended(13)"
        #BSUB --something=1
    """,
    "htcondor": """
        batch_name = otwrap-3f2a-001
        output = jobs/001/logs/$INT(otwrap_index).htcondor.txt
        request_cpus = 4
        request_memory = 954
        allowed_execute_duration = 93630
        accounting_group = me@lab
        requirements = fast & big
        max_materialize = 2
        --something=1
        queue 5
    """,
    "local": """
        #LOCAL --name=otwrap-3f2a-001
        #LOCAL --array=1-5%2
        #LOCAL --logs=jobs/001/logs+0
        #LOCAL --cpus=4
        #LOCAL --time=93630.0
        #LOCAL --after=12,13
    """,
}


@each
def test_lines_for_the_scheduler(name: str) -> None:
    """Each word of the resources stands in the script as the batch system wants it."""
    after = () if name == "htcondor" else ("12", "13")
    told = job(at_a_time=2, resources=resources_for(name), after=after)
    lines = next(iter(scheduler(name).scripts(told).values())).splitlines()
    wanted = [line.strip() for line in GOLDEN[name].strip().splitlines()]
    assert [line for line in wanted if line not in lines] == []
    # All that the batch system reads comes before the first line that does something.
    marked = [number for number, line in enumerate(lines) if line in wanted]
    assert (
        all(line.startswith("#") or not line.strip() for line in lines[: max(marked)]) or name == "htcondor"
    )


@each
def test_nothing_is_asked_for_that_was_not_said(name: str) -> None:
    """Without resources, the site decides on time, memory, queue, account and nodes."""
    text = next(iter(scheduler(name).scripts(job()).values()))
    for word in (
        "time=",
        "-W ",
        "mem",
        "partition",
        "-q",
        "-A",
        "-P",
        "account",
        "%2",
        "exclusive",
        "depend",
    ):
        assert f" {word}" not in text.replace("--", " ").partition("# From here")[0], word


@each
def test_what_a_task_is_told(name: str, odd_folder: Path) -> None:
    """Task, job, CPUs and time limit are in the environment, in the folder of the submission, whatever its name."""
    work = 'echo "$OTWRAP_TASK $OTWRAP_JOB_ID $OTWRAP_CPUS $OTWRAP_TIME_LIMIT"\npwd\ntest "$OTWRAP_STARTED" -gt 1'
    told = job(work, resources=Resources(cpus=2, time="90s"))
    assert run(name, told, odd_folder) == 0
    number = {"pbs": "12[].s", "torque": "12[].s"}.get(name, "12")
    assert log(odd_folder).splitlines()[1:] == [f"3 {number} 2 90", str(odd_folder)]
    assert (odd_folder / "jobs/001/id").read_text() == f"{number}\n"


@each
def test_offset(name: str, tmp_path: Path) -> None:
    """With an offset, index 3 is a later task, in the environment and in the name of the log."""
    assert run(name, job("echo task $OTWRAP_TASK", first=10), tmp_path) == 0
    assert "task 13\n" in log(tmp_path, 13)


@each
def test_single_job(name: str, tmp_path: Path) -> None:
    """A job without an array is task 1."""
    variables = {
        key: value for key, value in VARIABLES[name].items() if "ARRAY" not in key and "TASK_ID" not in key
    }
    assert run(name, job("echo task $OTWRAP_TASK", tasks=None), tmp_path, variables=variables) == 0
    assert "task 1\n" in log(tmp_path, 1)


@each
def test_id_of_the_submitter_stays(name: str, tmp_path: Path) -> None:
    """An id that is there is not replaced by a task."""
    (tmp_path / "jobs/001").mkdir(parents=True)
    (tmp_path / "jobs/001/id").write_text("11\n")
    run(name, job(), tmp_path)
    assert (tmp_path / "jobs/001/id").read_text() == "11\n"


@each
def test_set_up_lines(name: str, tmp_path: Path) -> None:
    """Set-up lines are run as they are, quotes and comments included, in the shell of the work."""
    setup = ["export A='it''s $HOME' # that's it", 'B="$A!"; C=`echo c`', "# nothing", "cat <<< 'here'"]
    assert run(name, job('echo "$A|$B|$C"', resources=Resources(setup=setup)), tmp_path) == 0
    assert "\nhere\n" in log(tmp_path)
    assert "its $HOME|its $HOME!|c" in log(tmp_path)


COMPOUND = """
if [ -e /nowhere ]; then
    A=wrong
else
    A=right
fi
for i in 1 2; do if [ $i = 2 ]; then B=$i; fi; done
while [ -z "$C" ]
do
    C=c
done
D() {
    [ -e /nowhere ] || echo d
}
case $A in
    right) E=e ;;
esac
F=$(echo \\
    f)
[ -e /nowhere ] ||
    G=g
read -r H <<'END'
if h
END
: "{" # if
""".splitlines()


def test_set_up_of_several_lines(tmp_path: Path) -> None:
    """Conditions, loops, functions, here-documents and lines that go on are whole commands."""
    work = 'echo "$A $B $C $(D) $E $F $G $H"'
    assert run("slurm", job(work, resources=Resources(setup=COMPOUND)), tmp_path) == 0, log(tmp_path)
    assert "right 2 c d e f g if h\n" in log(tmp_path)
    failing = ["for i in 1; do", "    [ -e /nowhere ]", "done"]
    assert run("slurm", job(work, resources=Resources(setup=[*COMPOUND, *failing])), tmp_path) == 1
    assert log(tmp_path).endswith("failed with exit code 1: for i in 1; do\n")


@each
def test_failing_set_up(name: str, tmp_path: Path) -> None:
    """A set-up line that fails ends the task before its work, and the log names the line."""
    line = "module load 'no \"such\" $thing'"
    assert run(name, job("echo worked", resources=Resources(setup=["true", line])), tmp_path) == 1
    assert f"a set-up line failed with exit code 127: {line}\n" in log(tmp_path)
    assert "worked" not in log(tmp_path)


@each
@pytest.mark.parametrize("code", [0, 7, 100])
def test_exit_code(name: str, code: int, tmp_path: Path) -> None:
    """The exit code of the work is that of the task, but for the codes that a batch system takes for orders."""
    assert run(name, job(f"sh -c 'exit {code}'"), tmp_path) == (1 if name == "sge" and code == 100 else code)


@each
def test_output_of_a_rerun(name: str, tmp_path: Path) -> None:
    """A task that is run again appends to its log; what it prints, and its errors, stand there at once."""
    for _ in range(2):
        run(name, job("echo out; echo err >&2; kill -9 $$"), tmp_path)
    assert log(tmp_path).count("out\nerr\n") == 2


@each
def test_work_reads_nothing(name: str, tmp_path: Path) -> None:
    """A code that reads its standard input gets none, and not the rest of the script."""
    assert run(name, job("cat\necho after $?"), tmp_path) == 0
    assert log(tmp_path).splitlines()[1:] == ["after 0"]


@each
def test_whose_run_it_is(name: str, tmp_path: Path) -> None:
    """A task is not taken for a run of whoever has submitted it; the local runner has runs of its own."""
    run(name, job('echo "run: ${OTWRAP_RUN-none}"'), tmp_path)
    assert f"run: {'somebody' if name == 'local' else 'none'}" in log(tmp_path)


@each
def test_no_rerun(name: str) -> None:
    """Where a task must not be started anew, the batch system is told so; PBS wants its arrays otherwise."""
    words = {
        "slurm": "#SBATCH --no-requeue",
        "sge": "#$ -r n",
        "pbs": "#PBS -r n",
        "torque": "#PBS -r n",
        "lsf": "#BSUB -rn",
        "htcondor": "periodic_remove = (JobStatus == 1 && NumJobStarts > 0)",
    }
    tasks = None if name == "pbs" else 5
    text = next(iter(scheduler(name).scripts(job(rerun=False, tasks=tasks)).values()))
    assert words.get(name, "") in text.splitlines()


def test_pbs_has_no_arrays_of_one() -> None:
    """PBS Pro refuses an array of one task: it is a job without an array, whose index is 1."""
    text = shell_script("pbs", job(tasks=1))
    assert "#PBS -J" not in text
    assert "OTWRAP_TASK=$((1 + 0))" in text


@each
@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"name": "x\n#SBATCH --partition=other"},
        {"name": "1st"},
        {"folder": "/jobs/001"},
        {"folder": "../jobs"},
        {"folder": "jobs/$HOME"},
        {"folder": "jobs/a b"},
        {"tasks": 0},
        {"first": -1},
        {"at_a_time": 0},
        {"work": " \n"},
    ],
)
def test_values_that_cannot_stand_in_a_script(name: str, wrong: dict[str, Any]) -> None:
    """A name or folder that a shell or a scheduler could take for something else is refused, with its value."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        scheduler(name).scripts(job(**wrong))


@pytest.mark.parametrize("name", ["slurm", "sge", "pbs", "torque", "lsf"])
def test_quotes_in_a_constraint(name: str) -> None:
    """Only HTCondor's expressions may have double quotes; elsewhere they would end the line's own."""
    told = job(resources=Resources(constraint='Arch == "X86_64"'))
    with pytest.raises(ValueError, match="double quotes"):
        scheduler(name).scripts(told)
    assert 'requirements = Arch == "X86_64"\n' in scheduler("htcondor").scripts(told)["script.sub"]


@pytest.mark.parametrize("name", FEWER)
def test_words_that_a_scheduler_does_not_have(name: str) -> None:
    """A word that the batch system cannot be told is refused by name, with what to do; one node is no demand."""
    for word in FEWER[name]:
        with pytest.raises(SchedulerError, match=f"{word}=.*has no such word.*extra="):
            scheduler(name).scripts(job(resources=Resources().replaced(**{word: getattr(ALL, word)})))
    scheduler(name).scripts(job(resources=Resources(nodes=1)))


def test_rehearsal_says_what_it_ignores() -> None:
    """The local runner takes the resources of a cluster, and its script says which words mean nothing here."""
    text = shell_script("local", job(resources=ALL))
    assert (
        "# This machine has no such words: memory, partition, account, constraint, nodes, exclusive.\n"
        in text
    )
    assert "--something" not in text


def test_htcondor_has_no_jobs_after_others() -> None:
    """A job after others is refused for HTCondor, which knows such a thing in DAGMan alone."""
    with pytest.raises(SchedulerError, match="DAGMan"):
        scheduler("htcondor").scripts(job(after=("12",)))


@each
def test_limit_on_arrays(name: str) -> None:
    """More tasks than an array may have here are refused, with the number."""
    with pytest.raises(SchedulerError, match=r"array of 11 tasks.*at most 10"):
        scheduler(name, array_limit=10).scripts(job(tasks=11))


@each
def test_programs_of_a_profile(name: str) -> None:
    """A profile replaces programs one by one, with arguments that come first; an unknown one is refused."""
    own = scheduler(name, commands={"submit": "/opt/bin/send --cluster 'a b'"})
    command = own.submit_command(job())
    assert command[:3] == ["/opt/bin/send", "--cluster", "a b"]
    assert command[3:] == scheduler(name).submit_command(job())[len(scheduler(name).program("submit")) :]
    assert own.executable() == "/opt/bin/send"
    assert own.query_commands(["12"]) == scheduler(name).query_commands(["12"])
    with pytest.raises(SchedulerError, match=r"commands\.send .*submit"):
        scheduler(name, commands={"send": "x"})


@each
def test_template_of_the_user(name: str, tmp_path: Path) -> None:
    """A template that users have copied and edited is what is rendered; it finds their files, and ours."""
    template = tmp_path / "my template"
    (tmp_path / "mine.sh").write_text("# of {{ name }}, {{ time | clock }}\n")
    original = scheduler(name).template_text()
    template.write_text(original + '{% include "mine.sh" %}\n{{ "a b" | quoted }}\n')
    own = scheduler(name, template=str(template))
    told = job(resources=Resources(time="2h"))
    text = next(iter(own.scripts(told).values()))
    assert (
        text == next(iter(scheduler(name).scripts(told).values())) + "# of otwrap-3f2a-001, 02:00:00\n'a b'\n"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{{ nam }}", "'nam' is undefined"),
        ("a\n{% if %}", "line 2"),
        ('{% include "no.sh" %}', "no.sh"),
        (None, "cannot be read"),
    ],
)
def test_wrong_template(text: str | None, complaint: str, tmp_path: Path) -> None:
    """A template that is wrong or missing is an error that says what and where."""
    template = tmp_path / "my.sh"
    if text is not None:
        template.write_text(text)
    with pytest.raises(SchedulerError, match=complaint):
        scheduler("slurm", template=str(template)).scripts(job())
