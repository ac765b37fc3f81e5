#!/bin/bash
#LOCAL --name={{ name }}
{% if array %}
#LOCAL --array={{ array }}{{ "%" ~ at_a_time if at_a_time else "" }}
{% endif %}
#LOCAL --logs={{ log }}
#LOCAL --cpus={{ cpus }}
{% if time %}
#LOCAL --time={{ time }}
{% endif %}
{% if after %}
#LOCAL --after={{ after | join(",") }}
{% endif %}
{% for line in extra %}
#LOCAL {{ line }}
{% endfor %}
{% if ignored %}
# This machine has no such words: {{ ignored | join(", ") }}.
{% endif %}

{% include "task.sh" %}

{% include "work.sh" %}
