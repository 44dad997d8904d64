"""A smaller model with the same outputs: hidden units that do nothing are taken out."""

import warnings

import keras
import numpy as np

from keras_sparse_rnn.sparsity.wiring import Wiring, is_graph


def shrink(model: keras.Model) -> keras.Model:
    """Rebuilds a model without its dead hidden units: a smaller, dense one with the same outputs.

    A hidden unit is dead

    - if nothing reads it: there is no chain of non-zero weights from it to an output of the model. It may feed itself
      and other dead units, and compute whatever it likes;
    - or if it is always zero: in SimpleRNN, GRU, LSTM, EventGRU and DeltaGRU if all weights and biases that lead to its
      candidate (the gate that feeds the state) are zero or come from units that are always zero. Then its state stays
      at zero, where it begins. The other gates do not matter.

    Taken out are units of the layers and through the layers that `sparsity.Wiring` tells; those of Dense, Embedding
    and convolutions as well as recurrent ones. A layer keeps one unit at least, and outputs of the model always stay.

    Such units come of `regularizers.UnitGroupLasso`, and of any pruning that is strong enough.

    Args:
        model: Built Sequential or Functional model. It is not changed. States of `stateful` layers are not carried
            over: they begin at zero.

    Returns:
        A plain Keras model of the same layers, names and structure, with fewer units, not compiled.

    Raises:
        ValueError: If the model is not built, or neither Sequential nor Functional.

    Warns:
        UserWarning: Names the layers whose units were left because what they enter could not be followed.

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
        # Keras compiles a clone as its model was, and fails at losses that it cannot serialize: clone one not compiled.
        graph = keras.Model(model.input, model.output, name=model.name)
        inputs = keras.tree.pack_sequence_as(model.input, inputs)
        return keras.models.clone_model(graph, input_tensors=inputs, clone_function=self._layer)

    def _layer(self, layer):
        """A new layer, not built, with as many units as are kept; the same one for a layer that is used twice."""
        if id(layer) not in self._layers:
            self._layers[id(layer)] = self._model(layer) if is_graph(layer) else self._resized(layer)
        return self._layers[id(layer)]

    def _resized(self, layer):
        config = layer.get_config()
        for name in config:
            # Bidirectional is the only layer whose parts have other names than in its configuration.
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
