#!/bin/bash
#$ -N {{ name }}
#$ -S /bin/bash
#$ -cwd
{% if array %}
#$ -t {{ array }}
{% if at_a_time %}
#$ -tc {{ at_a_time }}
{% endif %}
{% endif %}
#$ -j y
#$ -o {{ log }}
#$ -r {{ "y" if rerun else "n" }}
{% if cpus > 1 %}
#$ -pe {{ parallel_environment | word }} {{ cpus }}
{% endif %}
{% if time %}
#$ -l h_rt={{ time | clock }}
{% endif %}
{% if memory %}
# Of each slot, and a CPU has one.
#$ -l h_vmem={{ (memory / cpus) | mebibytes }}M
{% endif %}
{% if partition %}
#$ -q {{ partition | word }}
{% endif %}
{% if account %}
#$ -P {{ account | word }}
{% endif %}
{% if constraint %}
#$ -l {{ constraint | word }}
{% endif %}
{% if exclusive %}
#$ -l exclusive=true
{% endif %}
{% if after %}
#$ -hold_jid {{ after | join(",") }}
{% endif %}
{% for line in extra %}
#$ {{ line }}
{% endfor %}

{% include "task.sh" %}

# The work. An exit code of 99 would run it for ever, and 100 have it wait for ever.
(
{{ work }}
) </dev/null
otwrap_code=$?
case $otwrap_code in 99 | 100) echo "otwrap: exit code $otwrap_code" && otwrap_code=1 ;; esac
{% if own_log %}
# Here {{ title }} itself would have written.
[ -s "{{ own_log }}" ] || rm -f "{{ own_log }}"
{% endif %}
exit $otwrap_code
