"""A recurrent highway network with the gates of its op, on arrays."""

import dataclasses
from collections.abc import Callable

from keras import ops

from keras_sparse_rnn.layers.recurrence import Recurrence, kernel_gradient


@dataclasses.dataclass(frozen=True)
class HighwayRecurrence(Recurrence):
    """A RecurrentHighway whose gate z is the share of the state that each micro-layer keeps, as in KsrGru.

        z = s(a_z) ;  g = f(a_g) ;  t = 1 - z  (coupled)  or  s(a_t) ;  s <- z * s + t * g    for n = 1 .. depth

    a = [n = 1] x W + s R_n + b_n. The inputs are x W + b_1 for each gate. The weights are R (depth * units, gates *
    units) and b (depth, gates * units) with zeros in its first row. A value of micro-layer n is called "z@n"; `between`
    is the state that it reads.
    """

    activation: Callable
    recurrent_activation: Callable
    depth: int
    coupled: bool

    weight_names = ("recurrent_kernel", "bias")
    state_names = ("h",)
    trainable_threshold = False

    @property
    def gate_names(self):
        return ("z", "g") if self.coupled else ("z", "t", "g")

    @property
    def input_names(self):
        return tuple(f"a_{name}" for name in self.gate_names)

    @property
    def tape_names(self):
        return tuple(f"{name}@{n}" for n in range(self.depth) for name in ("between", *self.gate_names))

    @property
    def step_gradients(self):
        return self.depth * len(self.gate_names)

    def step(self, inputs, states, weights, automatic=True):
        (h,), (kernel, bias), of_layers = states, weights[:2], {}
        names, units = self.gate_names, states[0].shape[-1]
        for n in range(self.depth):
            values = {"between": h}
            rows, of_layer = kernel[n * units : (n + 1) * units], ops.split(bias[n], len(names))
            sums = zip(self.products(h, rows, (), len(names), weights), of_layer, strict=True)
            sums = [product + offset for product, offset in sums]
            if n == 0:
                sums = [total + x for total, x in zip(sums, inputs, strict=True)]
            for name, total in zip(names, sums, strict=True):
                self.activate(values, name, self.pre_activation(name, total, weights), weights)
            z, g = values["z"], values["g"]
            h = self.mix(z, g, h, weights) if self.coupled else self.mix_by_gates(z, h, values["t"], g, weights)
            of_layers |= {f"{name}@{n}": value for name, value in values.items()}
        return {"h": h, **of_layers}

    def mix_by_gates(self, z, before, t, g, weights):
        """Returns z * before + t * g."""
        return z * before + t * g

    def step_gradient(self, tape, d_states, d_values, weights):
        """Returns the gradients in the state, and in the pre-activations of each gate of each micro-layer.

        d_z = (s' - g) d_s if coupled, else s' d_s ;  d_t = g d_s ;  d_g = t d_s ;  d_s' = z d_s + d_a R_n^T
        """
        d_h, d_gates = d_states[0], []
        units = d_h.shape[-1]
        for n in reversed(range(self.depth)):
            of_layer = {without_layer(name): values for name, values in tape.items() if name.endswith(f"@{n}")}
            before, z, g = (of_layer[name] for name in ("between", "z", "g"))
            d_values = {"z": before - g, "g": 1 - z} if self.coupled else {"z": before, "t": g, "g": of_layer["t"]}
            d_a = [self.slope(name, of_layer) * d_values[name] * d_h for name in self.gate_names]
            d_h = z * d_h + ops.concatenate(d_a, axis=-1) @ weights[0][:, n * units : (n + 1) * units]
            d_gates = [*d_a, *d_gates]
        return (d_h,), tuple(d_gates), None

    def gradients(self, first_states, tape, d_steps, d_threshold):
        gates = len(self.gate_names)
        of_layers = [d_steps[n * gates : (n + 1) * gates] for n in range(self.depth)]
        d_kernel = [kernel_gradient(tape[f"between@{n}"], d_a) for n, d_a in enumerate(of_layers)]
        d_bias = [ops.concatenate([ops.sum(d_gate, axis=(0, 1)) for d_gate in d_a]) for d_a in of_layers]
        return *of_layers[0], ops.concatenate(d_kernel, axis=0), ops.stack(d_bias)


def without_layer(name):
    """Returns the name of a value without its micro-layer."""
    return name.partition("@")[0]
