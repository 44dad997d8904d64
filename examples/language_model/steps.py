"""Training and evaluation on windows of a text; on JAX a whole run of windows is one call of a compiled loop."""

import keras
import numpy as np
from keras import ops

from language_model.network import cross_entropy

LONGEST_RUN = 50  # windows in one call on JAX, between two looks of the callbacks
PADDING = 20  # windows of drawn lengths are padded to a multiple of it, so that few lengths are compiled


class Steps:
    """What trains or evaluates one network on one text, run by run of its windows.

    Args:
        model: Network of `network.build` with a batch size.
        text: Int32 array (batch, columns); see `corpus.in_rows`.
        optimizer: What trains the model; None for evaluation.

    Attributes:
        masked: Variables whose weights stay zero where they are zero when a step begins.
    """

    def __init__(self, model, text, optimizer=None):
        self.model = model
        self.optimizer = optimizer
        self.masked = []
        self.text = text
        self.rare = np.asarray(text) >= getattr(model.layers[-1], "frequent", 0)
        self.hidden = keras.Model(model.inputs, model.layers[-1].input)
        self.states = [state for layer in model.layers for state in getattr(layer, "states", None) or []]

    def reset(self):
        """Sets the states to zero: the text begins."""
        for state in self.states:
            state.assign(ops.zeros(state.shape, state.dtype))

    def runs(self, lengths):
        """Splits windows of such lengths into runs, a list of arrays of their numbers."""
        return np.array_split(np.arange(len(lengths)), len(lengths))

    def losses(self, words, valid=None, training=False):
        """The sum of the losses of all words but the first, and their mean with all penalties added.

        `valid` is a bool array (time,) or None: which of them count.
        """
        decoder, inputs, targets = self.model.layers[-1], words[:, :-1], words[:, 1:]
        hidden = self.hidden(inputs if valid is None else ops.where(valid, inputs, -1), training=training)
        losses = self._losses_of(decoder, hidden, targets)
        if valid is None:
            return ops.sum(losses), sum(self.model.losses, ops.mean(losses))
        total = ops.sum(ops.where(valid, losses, 0.0))
        count = targets.shape[0] * ops.sum(ops.cast(valid, "float32"))
        return total, sum(self.model.losses, total / count)

    def _losses_of(self, decoder, hidden, targets):
        if not getattr(decoder, "frequent", 0):
            return cross_entropy(targets, decoder(hidden))
        most_rare = None
        if targets.shape[1] is not None:
            columns = np.cumsum(np.pad(self.rare.sum(axis=0), (1, 0)))
            most_rare = int(np.max(columns[targets.shape[1] :] - columns[: -targets.shape[1]]))
        return decoder.losses_of(hidden, targets, most_rare)

    def _others(self):
        # Keras lists seeds, but not the states of its own recurrent layers.
        listed = self.model.non_trainable_variables
        return [*listed, *(state for state in self.states if all(state is not variable for variable in listed))]

    def _masked_places(self):
        masked = {id(variable) for variable in self.masked}
        return [i for i, variable in enumerate(self.model.trainable_variables) if id(variable) in masked]


class JaxSteps(Steps):
    """A run is a loop over windows of one padded length; the text and all that changes stay on the device."""

    def __init__(self, model, text, optimizer=None):
        import jax

        super().__init__(model, jax.numpy.pad(text, ((0, 0), (0, PADDING))), optimizer)
        self.jax = jax
        self.padded = model.layers[0].supports_masking
        self.compiled = {}

    def runs(self, lengths):
        edges = np.flatnonzero(np.diff(self._with_padding(lengths))) + 1
        parts = np.split(np.arange(len(lengths)), edges)
        return [run for part in parts for run in np.split(part, range(LONGEST_RUN, len(part), LONGEST_RUN))]

    def train(self, starts, lengths, rates):
        """Trains on a run of windows, each at a learning rate of its own; returns the sum of their words' losses."""
        variables = [self.model.trainable_variables, self._others(), self.optimizer.variables]
        return self._call(self._train, variables, starts, lengths, rates)

    def evaluate(self, starts, lengths):
        """The sum of the losses of the words in a run of windows."""
        return self._call(self._evaluate, [self.model.trainable_variables, self._others()], starts, lengths)

    def _with_padding(self, lengths):
        return -(-lengths // PADDING) * PADDING if self.padded else lengths

    def _call(self, loop, variables, *columns):
        # Compiled at the first call, not before: until then a callback may add to the optimizer.
        compiled = self.compiled.setdefault(loop, self.jax.jit(loop, donate_argnums=0))
        count, length = len(columns[0]), self._with_padding(columns[1])[0]
        columns = [np.pad(column, (0, LONGEST_RUN - count)) for column in columns]
        values = [[variable.value for variable in kind] for kind in variables]
        values, total = compiled(values, self.text, np.arange(length), count, *columns)
        for kind, news in zip(variables, values, strict=True):
            for variable, new in zip(kind, news, strict=True):
                variable.assign(new)
        return total

    def _train(self, values, text, places, count, starts, lengths, rates):
        rate = next(i for i, v in enumerate(self.optimizer.variables) if v is self.optimizer.learning_rate)

        def window(i, carried):
            (trained, others, state), total = carried
            words, valid = self._window(text, places, starts[i], lengths[i])
            grads, (total_here, others) = self.jax.grad(self._loss, has_aux=True)(trained, others, words, valid)
            state = [*state[:rate], rates[i], *state[rate + 1 :]]
            news, state = self.optimizer.stateless_apply(state, grads, trained)
            return [self._mask(trained, news), others, state], total + total_here

        return self.jax.lax.fori_loop(0, count, window, (values, np.float32(0)))

    def _evaluate(self, values, text, places, count, starts, lengths):
        def window(i, carried):
            (trained, others), total = carried
            words, valid = self._window(text, places, starts[i], lengths[i])
            _, (total_here, others) = self._loss(trained, others, words, valid, training=False)
            return [trained, others], total + total_here

        return self.jax.lax.fori_loop(0, count, window, (values, np.float32(0)))

    def _window(self, text, places, start, length):
        words = self.jax.lax.dynamic_slice(text, (0, start), (len(text), len(places) + 1))
        return words, places < length if self.padded else None

    def _loss(self, trained, others, words, valid, training=True):
        mapping = [
            *zip(self.model.trainable_variables, trained, strict=True),
            *zip(self._others(), others, strict=True),
        ]
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            total, loss = self.losses(words, valid, training)
        return loss, (total, [scope.get_current_value(variable) for variable in self._others()])

    def _mask(self, olds, news):
        for i in self._masked_places():
            news[i] = ops.where(olds[i] == 0, 0.0, news[i])
        return news


class EagerSteps(Steps):
    """A run is one window, of its own length."""

    def train(self, starts, lengths, rates):
        self.optimizer.learning_rate.assign(rates[0])
        return self._train(self._window(starts, lengths))

    def evaluate(self, starts, lengths):
        return self._evaluate(self._window(starts, lengths))

    def _window(self, starts, lengths):
        return ops.convert_to_tensor(self.text[:, starts[0] : starts[0] + lengths[0] + 1])

    def _apply(self, grads):
        variables = self.model.trainable_variables
        olds = {i: ops.copy(variables[i]) for i in self._masked_places()}
        self.optimizer.apply(grads, variables)
        for i, old in olds.items():
            variables[i].assign(ops.where(ops.equal(old, 0), 0.0, variables[i]))


class TensorFlowSteps(EagerSteps):
    def __init__(self, model, text, optimizer=None):
        import tensorflow as tf

        super().__init__(model, text, optimizer)
        self.tape = tf.GradientTape
        self._train = tf.function(self._train, reduce_retracing=True)
        self._evaluate = tf.function(self._evaluate, reduce_retracing=True)

    def _train(self, words):
        with self.tape() as tape:
            total, loss = self.losses(words, training=True)
        self._apply(tape.gradient(loss, [variable.value for variable in self.model.trainable_variables]))
        return total

    def _evaluate(self, words):
        return self.losses(words)[0]


class TorchSteps(EagerSteps):
    def _train(self, words):
        variables, others = self.model.trainable_variables, self._others()
        # Keras's own layers write their last states over the first ones, which the gradient still needs.
        before = [(variable, ops.copy(variable)) for variable in others]
        with keras.StatelessScope(before, collect_losses=True) as scope:
            total, loss = self.losses(words, training=True)
        for variable in variables:
            variable.value.grad = None
        loss.backward()
        for variable in others:
            variable.assign(scope.get_current_value(variable))
        self._apply([variable.value.grad for variable in variables])
        return total.detach()

    def _evaluate(self, words):
        import torch

        with torch.no_grad():
            return self.losses(words)[0]


STEPS = {"jax": JaxSteps, "tensorflow": TensorFlowSteps, "torch": TorchSteps}
