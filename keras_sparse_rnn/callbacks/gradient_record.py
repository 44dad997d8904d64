"""The gradients of the last minibatch, for callbacks; Keras itself passes them to the optimizer only."""

import contextlib
import functools

import keras

from keras_sparse_rnn.sparsity.kernels import whole


class GivenGradients:
    """Gradients that a training loop provides itself, in place of a `GradientRecord`."""

    def __init__(self):
        self._given = None

    def give(self, gradients):
        self._given = gradients

    def values(self):
        """Returns the gradients of the last update, NumPy arrays in the order of the kernels."""
        if self._given is None:
            raise ValueError(
                "This method grows weights where the gradient is largest: hand the gradients of the update to "
                "pruner.step(gradients=...), in the order of model.trainable_variables."
            )
        given, self._given = self._given, None
        return [keras.ops.convert_to_numpy(gradient) for gradient in given]


class GradientRecord:
    """Records the gradients that reach the optimizer's `apply`, from `attach` to `detach`.

    These are the gradients of the loss, dense even where a mask sets the weight to zero after each update, and before
    clipping, weight decay, momentum and accumulation. If several steps make one execution, those of the last step.

    While attached, it keeps one array per variable among the optimizer's variables, because a compiled train step can
    change only these on JAX. They are not saved: a model saved in the meantime is the same as without them.

    Args:
        model: Compiled and built `keras.Model`. Its train function is compiled again after `attach` and `detach`.
        variables: List of trainable variables of the model.
    """

    def __init__(self, model, variables):
        self._model = model
        self._variables = variables
        self._outer = model.optimizer
        # A LossScaleOptimizer passes on the unscaled gradients, once it has found them finite.
        self._optimizer = getattr(self._outer, "inner_optimizer", self._outer)
        self._records = []

    def attach(self):
        model, optimizer = self._model, self._optimizer
        left_over = getattr(vars(optimizer).get("apply"), "__self__", None)
        if isinstance(left_over, GradientRecord):  # from an interrupted fit
            left_over.detach()
        if not self._outer.built:
            self._outer.build(model.trainable_variables)
        strategy = getattr(model, "distribute_strategy", None)  # TensorFlow
        with strategy.scope() if strategy else contextlib.nullcontext():
            # Each replica has the gradient of its part of the batch; the sum is recorded.
            self._records = [
                optimizer.add_variable(v.shape, dtype=v.dtype, aggregation="sum", name="gradient")
                for v in self._variables
            ]
        optimizer.apply = self._apply
        for saved in {self._outer, optimizer}:
            saved.save_own_variables = functools.partial(self._save_own_variables, saved)
        model.make_train_function(force=True)

    def detach(self):
        del self._optimizer.apply
        for saved in {self._outer, self._optimizer}:
            del saved.save_own_variables
        for record in self._records:
            # Private: Keras has no public way to undo `add_variable`.
            self._optimizer._untrack_variable(record)
        self._model.make_train_function(force=True)

    def values(self):
        """Returns the gradients, NumPy arrays in the order of `variables`; zeros before the first step."""
        return [whole(record.value) for record in self._records]

    def _apply(self, grads, trainable_variables=None):
        optimizer = self._optimizer
        known = optimizer._trainable_variables if trainable_variables is None else trainable_variables
        places = {id(variable): i for i, variable in enumerate(known)}
        for variable, record in zip(self._variables, self._records, strict=True):
            gradient = grads[places[id(variable)]]
            if gradient is not None:
                record.assign(keras.ops.cast(keras.ops.convert_to_tensor(gradient), record.dtype))
        return type(optimizer).apply(optimizer, grads, trainable_variables)

    def _save_own_variables(self, optimizer, store):
        everything = {}
        type(optimizer).save_own_variables(optimizer, everything)
        for name in list(everything)[: len(everything) - len(self._records)]:
            store[name] = everything[name]
