"""What a fit leaves, in the model and in files, against what its schedules have asked for."""

import sys
import warnings

import keras


def mask_callbacks(params):
    """The callbacks that keep masks in a fit, each once.

    Args:
        params: What Keras hands as `params` to all callbacks of one fit, and only to them.
    """
    return list({id(callback): callback for callback in _claims(params).values()}.values())


def claim_kernels(callback):
    """Enters a mask callback with its kernels among those of its fit, so that its outcome is looked at in the end.

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
        # Keras lists the History behind all callbacks that fit is given: what these restore at the end is there then.
        history.on_train_end = lambda logs=None: _look_at_all(history)
        _watch_files(callback.model, callback.params)


def is_looked_at(callback):
    """Whether the outcome of a callback will be looked at when all callbacks of its fit have ended."""
    history = _history(callback)
    return history is not None and "on_train_end" in vars(history)


def warn_if_less_sparse(callback):
    """Warns, with the likely cause, if the kernels of a mask callback are less sparse than its schedule has asked.

    Returns:
        Whether they are.
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
    """The sparsity that a callback's kernels are to have; None for whatever they come to, and they have not yet."""
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
        "ksr.callbacks.AfterPruning(keras.callbacks.EarlyStopping(...)), which begins to count when pruning has ended."
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
    """Notes how sparse the model is in the file that each callback of a fit saves last."""
    for name in _SAVING:
        # In the instance's dict: an attribute that Keras sets would be tracked, and saved with the model.
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
    """The History of the callback's fit, or None in another loop."""
    history = getattr(callback.model, "history", None)
    same_fit = isinstance(history, keras.callbacks.History) and history.params is callback.params
    return history if same_fit else None


def _claims(params):
    """Which callback masks which kernel: a dict from `id(variable)`."""
    return {} if params is None else params.setdefault("masked_kernels", {})
