"""Compares the sparsity after a fit, in the model and in saved files, with what the schedules asked for."""

import sys
import warnings

import keras


def mask_callbacks(params):
    """Returns the mask callbacks of a fit, each once.

    Args:
        params: The dict that Keras passes as `params` to all callbacks of one fit, and only to them.
    """
    return list({id(callback): callback for callback in _claims(params).values()}.values())


def claim_kernels(callback):
    """Registers a mask callback and its kernels for its fit, so that its outcome is checked at the end.

    Raises:
        ValueError: If another callback of this fit masks one of the kernels.
    """
    claims = _claims(callback.params)
    for kernel in callback.masks.kernels:
        if claims.setdefault(id(kernel.variable), callback) is not callback:
            raise ValueError(
                f"{kernel.path} is pruned by two callbacks of this fit. Divide the layers among them with `layers`."
            )
    history = _history(callback)
    if history is not None and "on_train_end" not in vars(history):
        # Keras calls the History after all callbacks given to fit, so it sees the weights that they restore at the end.
        history.on_train_end = lambda logs=None: _look_at_all(history)
        _watch_files(callback.model, callback.params)


def is_looked_at(callback):
    """Whether the outcome of a callback will be checked after all callbacks of its fit have ended."""
    history = _history(callback)
    return history is not None and "on_train_end" in vars(history)


def warn_if_less_sparse(callback):
    """Warns, with the likely cause, if the kernels of a mask callback are less sparse than its schedule asks for.

    Returns:
        Whether it warned.
    """
    masks, asked = callback.masks, _asked(callback)
    tolerance = masks.largest_blocks
    reached = masks.zeros()
    if asked is not None and reached >= asked - tolerance:
        return False
    wanted = "its schedule to end" if asked is None else f"a sparsity of {asked:.3g}"
    warnings.warn(
        f"{type(callback).__name__} was to bring {wanted}, but the model that training leaves has a sparsity of "
        f"{reached:.3g}. {_cause(callback, asked, tolerance)}",
        stacklevel=2,
    )
    return True


def _asked(callback):
    """Returns the sparsity that a callback's kernels should have; None if it follows from training still to come."""
    asked = callback.asked()
    return callback.masks.sparsity if asked is None and callback.complete else asked


def _cause(callback, asked, tolerance):
    if callback.idle_batches:
        return (
            f"The optimizer whose updates it counts, {type(callback.optimizer).__name__}, has made none in "
            f"{callback.idle_batches} batches. Where a train step of your own has other optimizers, drive a ksr.Pruner."
        )
    if asked is None or callback.masks.sparsity < asked - tolerance:
        return f"It stopped at step {callback.step}; its schedule {callback.course(callback.step)}."
    return (
        f"Its masks have {callback.masks.sparsity:.3g}: other weights were put in after the last step, as "
        "EarlyStopping(restore_best_weights=True) does with those of a less sparse epoch. Give fit "
        "ksr.callbacks.AfterPruning(keras.callbacks.EarlyStopping(...)), which starts when pruning has ended."
    )


def _look_at_all(history):
    del history.on_train_end
    history.on_train_end()
    for name in _SAVING:
        history.model.__dict__.pop(name, None)
    for callback in mask_callbacks(history.params):
        if not warn_if_less_sparse(callback):
            _warn_of_less_sparse_files(callback)


_SAVING = ("save", "save_weights")


def _watch_files(model, params):
    """Notes the sparsity of the model in the last file that each callback of a fit saves."""
    for name in _SAVING:
        # In the instance's dict, because Keras would track an attribute and save it with the model.
        model.__dict__[name] = _noting(getattr(type(model), name).__get__(model), params)


def _noting(save, params):
    def noted(filepath, *args, **kwargs):
        result = save(filepath, *args, **kwargs)
        saver = sys._getframe(1).f_locals.get("self")
        if isinstance(saver, keras.callbacks.Callback):
            zeros = [(callback, callback.masks.zeros()) for callback in mask_callbacks(params) if callback.step]
            params.setdefault("saved_files", {})[id(saver)] = type(saver).__name__, filepath, zeros
        return result

    return noted


def _warn_of_less_sparse_files(callback):
    asked, tolerance = _asked(callback), callback.masks.largest_blocks
    for saver, path, saved in callback.params.get("saved_files", {}).values():
        for zeros in (zeros for pruning, zeros in saved if pruning is callback and zeros < asked - tolerance):
            warnings.warn(
                f"{type(callback).__name__} has brought the model a sparsity of {asked:.3g}, but '{path}', which "
                f"{saver} saved last, has a sparsity of {zeros:.3g}. The best epoch by a loss often is one before the "
                f"weights are pruned: give fit ksr.callbacks.AfterPruning(keras.callbacks.{saver}(...)), which begins "
                "to count when pruning has ended.",
                stacklevel=2,
            )


def _history(callback):
    """Returns the History of the callback's fit, or None in a custom loop."""
    history = getattr(callback.model, "history", None)
    same_fit = isinstance(history, keras.callbacks.History) and history.params is callback.params
    return history if same_fit else None


def _claims(params):
    """Returns a dict that maps `id(variable)` of each kernel to the callback that masks it."""
    return {} if params is None else params.setdefault("masked_kernels", {})
