"""The state that an optimizer keeps for a model's weights: the weights, their moving averages and their slots.

Keras has no public way from a variable to its optimizer state. This module reads the attributes that Keras's own
callbacks and optimizers read.
"""

import keras


def optimizers_of(model):
    """Returns the optimizers of a model: that of `compile`, and those of a custom train step, as in a GAN."""
    held = (getattr(model, "optimizer", None), *vars(model).values())
    return list({id(o): o for o in held if isinstance(o, keras.optimizers.Optimizer)}.values())


def optimizer_of(model, variables, before):
    """Returns the optimizer that trains `variables`.

    Among several that hold the variables, it is the one with the most updates; if none does, that of `compile`.

    Args:
        model: The model.
        variables: Some of its weights.
        before: Dict that maps `id(optimizer)` to its number of updates when training began.
    """
    held = optimizers_of(model)
    wanted = {id(variable) for variable in variables} if len(held) > 1 else ()
    known = [o for o in held if any(id(v) in wanted for part in _parts(o) for v in part._trainable_variables)]
    if not known:
        return getattr(model, "optimizer", None)
    return max(known, key=lambda optimizer: updates(optimizer) - before.get(id(optimizer), 0))


def most_updates(model):
    """Returns the largest number of updates that one call of a model's train function makes; None if not known."""
    own = (type(model).train_step, type(model).make_train_function)
    if own != (keras.Model.train_step, keras.Model.make_train_function) or "train_step" in vars(model):
        return None
    return model.steps_per_execution


def updates(optimizer):
    """Returns the number of updates of a Keras optimizer; 0 for other optimizers, which do not count them."""
    if not hasattr(optimizer, "iterations"):
        return 0
    iterations = optimizer.iterations
    if keras.backend.backend() == "tensorflow" and isinstance(iterations, keras.Variable):
        import tensorflow as tf

        held = iterations.value
        if not isinstance(held, tf.distribute.DistributedValues):  # read after every batch: four times as fast
            return int(tf.raw_ops.ReadVariableOp(resource=held.handle, dtype=held.dtype))
    return int(keras.ops.convert_to_numpy(iterations))


def moving_averages(optimizer):
    """Maps `id(variable)` to its moving average for an optimizer with `use_ema=True`; else an empty dict."""
    averages = {}
    for part in _parts(optimizer):
        if getattr(part, "use_ema", False) and part.built:
            pairs = zip(part._trainable_variables, part._model_variables_moving_average, strict=True)
            averages.update((id(variable), average) for variable, average in pairs)
    return averages


def slots(optimizer, variable):
    """Returns the slots of `optimizer` for `variable`: variables, or torch tensors, of the same shape."""
    of_torch = getattr(optimizer, "state", None)  # torch.optim.Optimizer
    if isinstance(of_torch, dict):
        held = of_torch.get(variable.value, {}).values()
        return [slot for slot in held if getattr(slot, "shape", None) == variable.value.shape]
    found = []
    for part in _parts(optimizer):
        # Every Keras optimizer keeps each kind of slot in a list, in the order of its variables.
        variables = part._trainable_variables
        for i in (i for i, known in enumerate(variables) if known is variable):
            lists = [v for v in vars(part).values() if isinstance(v, list) and len(v) == len(variables)]
            mine = (kind[i] for kind in lists if isinstance(kind[i], keras.Variable) and kind[i] is not variable)
            found.extend(slot for slot in mine if slot.shape == variable.shape)
    return found


def _parts(optimizer):
    """Returns the optimizers inside a LossScaleOptimizer or a MultiOptimizer, or the optimizer itself."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    parts = getattr(optimizer, "optimizers", [optimizer])
    return [part for part in parts if isinstance(part, keras.optimizers.Optimizer)]
