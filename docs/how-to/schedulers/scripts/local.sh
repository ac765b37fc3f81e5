#!/bin/bash
#LOCAL --name=otwrap-3f2a9c1e-001
#LOCAL --array=1-50%2
#LOCAL --logs=jobs/001/logs+0
#LOCAL --cpus=1
#LOCAL --time=600.0

# From here on it is the same for every batch system: which task this is, its log, set-up lines, the work.
cd "$LOCAL_SUBMIT_DIR" || exit 1
OTWRAP_TASK=$(($LOCAL_ARRAY_INDEX + 0))
OTWRAP_JOB_ID="$LOCAL_JOB_ID"
OTWRAP_CPUS=1
OTWRAP_STARTED=$(date +%s)
export OTWRAP_TASK OTWRAP_JOB_ID OTWRAP_CPUS OTWRAP_STARTED
OTWRAP_TIME_LIMIT=600
export OTWRAP_TIME_LIMIT
exec >>"jobs/001/logs/$OTWRAP_TASK.txt" 2>&1
[ -s jobs/001/id ] || (set -C && echo "$OTWRAP_JOB_ID" >jobs/001/id) 2>/dev/null
echo "otwrap: task $OTWRAP_TASK of job $OTWRAP_JOB_ID on $(hostname), $(date '+%Y-%m-%d %H:%M:%S')"
otwrap_setup() {
    [ "$1" -eq 0 ] || { echo "otwrap: a set-up line failed with exit code $1: $2"; exit 1; }
}
export OMP_NUM_THREADS=1
otwrap_setup $? 'export OMP_NUM_THREADS=1'

# The work. What it reads is nothing, and not the rest of this script.
{
exec python3 -m otwrap.task jobs/001 "$OTWRAP_TASK"
} </dev/null
