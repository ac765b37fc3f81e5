# From here on it is the same for every batch system: which task this is, its log, set-up lines, the work.
cd "{{ submit_folder }}" || exit 1
OTWRAP_TASK=$(({{ index }} + {{ first }}))
OTWRAP_JOB_ID="{{ job_id }}"
OTWRAP_CPUS={{ cpus }}
OTWRAP_STARTED=$(date +%s)
export OTWRAP_TASK OTWRAP_JOB_ID OTWRAP_CPUS OTWRAP_STARTED
{% if time %}
OTWRAP_TIME_LIMIT={{ [time | int, 1] | max }}
export OTWRAP_TIME_LIMIT
{% else %}
unset OTWRAP_TIME_LIMIT
{% endif %}
{% if not local %}
# Not a run of whoever has submitted it.
unset OTWRAP_RUN
{% endif %}
exec >>"{{ folder }}/logs/$OTWRAP_TASK.txt" 2>&1
[ -s {{ folder }}/id ] || (set -C && echo "$OTWRAP_JOB_ID" >{{ folder }}/id) 2>/dev/null
echo "otwrap: task $OTWRAP_TASK of job $OTWRAP_JOB_ID on {{ node }}, $(date '+%Y-%m-%d %H:%M:%S')"
{% if setup %}
otwrap_setup() {
    [ "$1" -eq 0 ] || { echo "otwrap: a set-up line failed with exit code $1: $2"; exit 1; }
}
{% for command in setup %}
{{ command }}
otwrap_setup $? {{ command.splitlines() | first | quoted }}
{% endfor %}
{% endif %}
