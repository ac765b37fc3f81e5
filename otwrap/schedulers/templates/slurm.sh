#!/bin/bash
#SBATCH --job-name={{ name }}
{% if array %}
#SBATCH --array={{ array }}{{ "%" ~ at_a_time if at_a_time else "" }}
{% endif %}
#SBATCH --output={{ log }}
#SBATCH --open-mode=append
#SBATCH --{{ "requeue" if rerun else "no-requeue" }}
#SBATCH --cpus-per-task={{ cpus }}
{% if nodes and nodes > 1 %}
#SBATCH --nodes={{ nodes }}
#SBATCH --ntasks-per-node=1
{% else %}
#SBATCH --nodes=1
#SBATCH --ntasks=1
{% endif %}
{% if time %}
#SBATCH --time={{ time | clock }}
{% endif %}
{% if memory %}
#SBATCH --mem={{ memory | mebibytes }}M
{% endif %}
{% if partition %}
#SBATCH --partition={{ partition | word }}
{% endif %}
{% if account %}
#SBATCH --account={{ account | word }}
{% endif %}
{% if constraint %}
#SBATCH --constraint={{ constraint | word }}
{% endif %}
{% if exclusive %}
#SBATCH --exclusive
{% endif %}
{% if after %}
#SBATCH --dependency=afterany:{{ after | join(":") }}
{% endif %}
{% for line in extra %}
#SBATCH {{ line }}
{% endfor %}

{% include "task.sh" %}

{% include "work.sh" %}
