#!/bin/bash
{% include "task.sh" %}

{% include "work.sh" %}
