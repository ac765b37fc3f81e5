# The work. What it reads is nothing, and not the rest of this script.
{% if own_log %}
(
{{ work }}
) </dev/null
otwrap_code=$?
# Here {{ title }} itself would have written; a time limit, for one, never comes to this line.
[ -s "{{ own_log }}" ] || rm -f "{{ own_log }}"
exit $otwrap_code
{% else %}
{
{{ work }}
} </dev/null
{% endif %}
