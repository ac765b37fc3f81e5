#!/bin/bash
# From here on it is the same for every batch system: which task this is, its log, set-up lines, the work.
cd "$_CONDOR_JOB_IWD" || exit 1
OTWRAP_TASK=$(($CONDOR_ARRAY_INDEX + 0))
OTWRAP_JOB_ID="$CONDOR_CLUSTER"
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

# The work. What it reads is nothing, and not the rest of this script.
(
exec /home/me/venv/bin/python -m otwrap.task jobs/001 "$OTWRAP_TASK"
) </dev/null
otwrap_code=$?
# Here HTCondor itself would have written; a time limit, for one, never comes to this line.
[ -s "jobs/001/logs/$CONDOR_ARRAY_INDEX.htcondor.txt" ] || rm -f "jobs/001/logs/$CONDOR_ARRAY_INDEX.htcondor.txt"
exit $otwrap_code
