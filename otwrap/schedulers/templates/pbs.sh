#!/bin/bash
#PBS -N {{ name }}
#PBS -S /bin/bash
{% if array %}
#PBS -J {{ array }}{{ "%" ~ at_a_time if at_a_time else "" }}
# PBS wants every array to be one that it may start anew.
#PBS -r y
{% else %}
#PBS -r {{ "y" if rerun else "n" }}
{% endif %}
#PBS -j oe
#PBS -m n
#PBS -o {{ log }}
{% set mem = ":mem=%dmb" % (memory | mebibytes) if memory else "" %}
{% set feature = ":" ~ constraint if constraint else "" %}
#PBS -l {{ ("select=%d:ncpus=%d%s%s" % (nodes or 1, cpus, mem, feature)) | word }}
{% if exclusive %}
#PBS -l place=scatter:excl
{% elif nodes and nodes > 1 %}
#PBS -l place=scatter
{% endif %}
{% if time %}
#PBS -l walltime={{ time | clock }}
{% endif %}
{% if partition %}
#PBS -q {{ partition | word }}
{% endif %}
{% if account %}
#PBS -A {{ account | word }}
{% endif %}
{% if after %}
#PBS -W depend=afterany:{{ after | join(":") }}
{% endif %}
{% for line in extra %}
#PBS {{ line }}
{% endfor %}

{% include "task.sh" %}

{% include "work.sh" %}
