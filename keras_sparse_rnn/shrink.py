"""Removes hidden units that do nothing: a smaller model with the same outputs."""

import warnings

import keras
import numpy as np

from keras_sparse_rnn.sparsity.wiring import Wiring, is_graph


def shrink(model: keras.Model) -> keras.Model:
    """Rebuilds a model without its dead hidden units: a smaller, dense one with the same outputs.

    A hidden unit is dead

    - if nothing reads it: no chain of nonzero weights leads from it to an output of the model. It may feed itself and
      other dead units;
    - or if it is always zero: in SimpleRNN, GRU, LSTM, EventGRU and DeltaGRU, if all weights and biases that lead to
      its candidate (the gate that feeds the state) are zero or come from units that are always zero. Then its state
      begins at zero and stays there, whatever the other gates do.

    Units are removed from recurrent layers, Dense, Embedding and convolutions; `sparsity.Wiring` lists the layers that
    it can follow. Each layer keeps at least one unit, and the outputs of the model always stay.

    `regularizers.UnitGroupLasso` leads to dead units, and so does any pruning that is strong enough.

    Args:
        model: Built Sequential or Functional model. It is not changed. The states of `stateful` layers are not copied:
            they begin at zero.

    Returns:
        A Keras model with the same layers, names and structure, but fewer units. It is not compiled.

    Raises:
        ValueError: If the model is not built, or is neither Sequential nor Functional.

    Warns:
        UserWarning: Some layers keep their units because the layers behind them could not be followed. It names them.

    Example:

    >>> small = ksr.shrink(model)
    >>> [layer.units for layer in small.layers]
    [37, 10]
    """
    wiring = Wiring(model)
    if wiring.skipped:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in wiring.skipped.items())
        warnings.warn(f"shrink leaves these layers as they are. {reasons}.", stacklevel=2)
    return _Rebuild(wiring)(model)


class _Rebuild:
    def __init__(self, wiring):
        needed = wiring.needed()

        def kept(channels):
            return None if channels is None else needed[wiring.roots(channels)]

        self._kept = {key: kept(channels) for key, (_, channels) in wiring.units.items()}
        self._inputs = {key: [kept(channels) for channels in inputs] for key, inputs in wiring.inputs.items()}
        self._axes = {key: [kept(channels) for channels in axes] for key, (_, axes) in wiring.axes.items()}
        self._layers = {}

    def __call__(self, model):
        smaller = self._model(model)
        smaller.set_weights([self._cut(variable) for variable in model.weights])
        return smaller

    def _model(self, model):
        inputs = [
            keras.Input(
                batch_shape=(*tensor.shape[:-1], int(kept.sum())) if kept.size else tensor.shape,
                dtype=tensor.dtype,
                name=tensor.name,
            )
            for tensor, kept in zip(model.inputs, self._inputs[id(model)], strict=True)
        ]
        if isinstance(model, keras.Sequential):
            return keras.Sequential([*inputs, *map(self._layer, model.layers)], name=model.name)
        # Keras compiles the clone of a compiled model, and fails if it cannot serialize the loss.
        graph = keras.Model(model.input, model.output, name=model.name)
        inputs = keras.tree.pack_sequence_as(model.input, inputs)
        return keras.models.clone_model(graph, input_tensors=inputs, clone_function=self._layer)

    def _layer(self, layer):
        """Returns a new, unbuilt layer with as many units as are kept; the same one if a layer is used twice."""
        if id(layer) not in self._layers:
            self._layers[id(layer)] = self._model(layer) if is_graph(layer) else self._resized(layer)
        return self._layers[id(layer)]

    def _resized(self, layer):
        config = layer.get_config()
        for name in config:
            # Bidirectional is the only layer whose parts are not named as in its configuration.
            inner = getattr(layer, "forward_layer" if name == "layer" and "backward_layer" in config else name, None)
            if isinstance(inner, keras.layers.Layer):
                config[name] = keras.saving.serialize_keras_object(self._layer(inner))
            elif isinstance(inner, list) and inner and all(isinstance(part, keras.layers.Layer) for part in inner):
                config[name] = [keras.saving.serialize_keras_object(self._layer(part)) for part in inner]
        for holder in (layer, getattr(layer, "cell", None)):
            if id(holder) in self._kept:
                name = next(name for name in ("units", "filters", "output_dim") if hasattr(holder, name))
                if name in config:
                    config[name] = int(self._kept[id(holder)].sum())
        return type(layer).from_config(config)

    def _cut(self, variable):
        values = keras.ops.convert_to_numpy(variable.value)
        for axis, kept in enumerate(self._axes.get(id(variable), [])):
            if kept is not None:
                values = np.compress(kept, values, axis=axis)
        return values
