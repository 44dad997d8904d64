{% for p in programs %}
.section .rodata.{{ p.name }},"a"
.balign 16
.globl {{ p.name }}_inputs
{{ p.name }}_inputs:
.incbin "{{ folder }}/{{ p.name }}.inputs"
.balign 16
.globl {{ p.name }}_outputs
{{ p.name }}_outputs:
.incbin "{{ folder }}/{{ p.name }}.outputs"
{% endfor %}
.section .note.GNU-stack,"",%progbits
