#!/bin/bash
#$ -N otwrap-3f2a9c1e-001
#$ -S /bin/bash
#$ -cwd
#$ -t 1-50
#$ -tc 20
#$ -j y
#$ -o jobs/001/logs/$TASK_ID.txt
#$ -r y
#$ -pe smp 4
#$ -l h_rt=02:00:00
# Of each slot, and a CPU has one.
#$ -l h_vmem=1908M
#$ -q all.q
#$ -P p1234
#$ -m a

# From here on it is the same for every batch system: which task this is, its log, set-up lines, the work.
cd "$SGE_O_WORKDIR" || exit 1
OTWRAP_TASK=$(($SGE_TASK_ID + 0))
OTWRAP_JOB_ID="$JOB_ID"
OTWRAP_CPUS=4
OTWRAP_STARTED=$(date +%s)
export OTWRAP_TASK OTWRAP_JOB_ID OTWRAP_CPUS OTWRAP_STARTED
OTWRAP_TIME_LIMIT=7200
export OTWRAP_TIME_LIMIT
# Not a run of whoever has submitted it.
unset OTWRAP_RUN
exec >>"jobs/001/logs/$OTWRAP_TASK.txt" 2>&1
[ -s jobs/001/id ] || (set -C && echo "$OTWRAP_JOB_ID" >jobs/001/id) 2>/dev/null
echo "otwrap: task $OTWRAP_TASK of job $OTWRAP_JOB_ID on $(hostname), $(date '+%Y-%m-%d %H:%M:%S')"
otwrap_setup() {
    [ "$1" -eq 0 ] || { echo "otwrap: a set-up line failed with exit code $1: $2"; exit 1; }
}
module load solve/4.2
otwrap_setup $? 'module load solve/4.2'

# The work. An exit code of 99 would run it for ever, and 100 have it wait for ever.
(
exec /home/me/venv/bin/python -m otwrap.task jobs/001 "$OTWRAP_TASK"
) </dev/null
otwrap_code=$?
case $otwrap_code in 99 | 100) echo "otwrap: exit code $otwrap_code" && otwrap_code=1 ;; esac
exit $otwrap_code
