/* How this project's kernels are built; made by keras-sparse-rnn {{ version }}. */
#ifndef KSR_BUILD_H_
#define KSR_BUILD_H_

{% for switch, is_on in switches.items() %}
#define {{ switch }} {{ is_on }}
{% endfor %}

/* 1: less flash, more instructions. */
#define KSR_SMALL {{ small }}

/* A symbol of the kernels that every model refers to: a program with the kernels of two releases does not link. */
#define KSR_CORE {{ core_symbol }}

#endif /* KSR_BUILD_H_ */
