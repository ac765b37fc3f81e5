#!/bin/bash
#PBS -N {{ name }}
#PBS -S /bin/bash
{% if array %}
#PBS -t {{ array }}{{ "%" ~ at_a_time if at_a_time else "" }}
{% endif %}
#PBS -r {{ "y" if rerun else "n" }}
#PBS -j oe
#PBS -m n
#PBS -o {{ folder }}/logs/
{% set feature = ":" ~ constraint if constraint else "" %}
#PBS -l {{ ("nodes=%d:ppn=%d%s" % (nodes or 1, cpus, feature)) | word }}
{% if memory %}
# Of all nodes together.
#PBS -l mem={{ (memory * (nodes or 1)) | mebibytes }}mb
{% endif %}
{% if exclusive %}
#PBS -n
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
{% if depend %}
#PBS -W depend={{ depend }}
{% endif %}
{% for line in extra %}
#PBS {{ line }}
{% endfor %}

{% include "task.sh" %}

{% include "work.sh" %}
