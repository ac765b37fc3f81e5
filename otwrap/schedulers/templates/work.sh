# The work. What it reads is nothing, and not the rest of this script.
{
{{ work }}
} </dev/null
{% if own_log %}
otwrap_code=$?
# Here {{ title }} itself would have written; a time limit, for one, never comes to this line.
[ -s "{{ own_log }}" ] || rm -f "{{ own_log }}"
exit $otwrap_code
{% endif %}
