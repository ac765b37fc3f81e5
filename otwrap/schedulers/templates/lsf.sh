#!/bin/bash
#BSUB -J "{{ name }}{% if array %}[{{ array }}]{{ "%" ~ at_a_time if at_a_time else "" }}{% endif %}"
#BSUB -o {{ log }}
#BSUB {{ "-r" if rerun else "-rn" }}
{% if nodes and nodes > 1 %}
#BSUB -n {{ cpus * nodes }}
#BSUB -R "span[ptile={{ cpus }}]"
{% else %}
#BSUB -n {{ cpus }}
#BSUB -R "span[hosts=1]"
{% endif %}
{% if time %}
#BSUB -W {{ time | minutes }}
{% endif %}
{% if memory %}
#BSUB -M {{ memory | mebibytes }}MB
#BSUB -R "rusage[mem={{ memory | mebibytes }}MB]"
{% endif %}
{% if partition %}
#BSUB -q {{ partition | word }}
{% endif %}
{% if account %}
#BSUB -P {{ account | word }}
{% endif %}
{% if constraint %}
#BSUB -R {{ ("select[%s]" % constraint) | word }}
{% endif %}
{% if exclusive %}
#BSUB -x
{% endif %}
{% if after %}
#BSUB -w "ended({{ after | join(") && ended(") }})"
{% endif %}
{% for line in extra %}
#BSUB {{ line }}
{% endfor %}

{% include "task.sh" %}

{% include "work.sh" %}
