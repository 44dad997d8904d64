"""From a Keras model to a verified `.tflite`: plan -> lower -> quantize -> pack -> verify -> report."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from numpy.typing import ArrayLike

from keras_sparse_rnn.convert.converted_model import ConvertedModel, VerificationError
from keras_sparse_rnn.convert.options import MAX_RELATIVE_ERROR, ConvertOptions
from keras_sparse_rnn.convert.ranges import Ranges
from keras_sparse_rnn.extras import packages_of
from keras_sparse_rnn.progress import Progress
from keras_sparse_rnn.typing import Arrays

if TYPE_CHECKING:
    import keras

__all__ = ["ConvertedModel", "VerificationError", "convert"]


def convert(
    model: "keras.Model",
    representative_data: Arrays | None = None,
    *,
    ranges: Ranges | None = None,
    weights: Literal["int8", "int8x16", "int4", "int4x16", "float32"] = "int8",
    scales: Literal["gate", "output"] = "gate",
    target: Literal["tflm", "litert"] = "tflm",
    batch_size: int = 1,
    time_steps: int | None = None,
    stateful: bool = False,
    block_size: int | None = None,
    percentile: float = 100,
    labels: Sequence[str] | None = None,
    representative_labels: ArrayLike | None = None,
    verify: bool = True,
    max_relative_error: float = MAX_RELATIVE_ERROR,
) -> ConvertedModel:
    """Converts a Keras model, with recurrent layers or without, to a `.tflite` model.

    Each recurrent layer becomes one custom op: an EventGRU KsrEventGru, a `keras.layers.GRU`, a LightGRU or a
    DeltaGRU KsrGru, a `keras.layers.LSTM` KsrLstm, a `SimpleRNN` KsrSimpleRnn. A Bidirectional layer becomes two ops,
    and an RNN over several such cells one op for each. A DeltaHold directly in front of a layer that runs forwards
    becomes a part of its op, which keeps the sums of the held values times its weights and adds the changes. Weights
    are stored in blocks if that is smaller, and dense otherwise, so dense layers convert as well. The cost falls with
    the sparsity of the weights and of the events or changes. All other layers are left to TensorFlow Lite's converter.
    If Keras runs on another backend than TensorFlow, the conversion runs in a separate process. A model trained in
    mixed precision, whose weights are float32, is converted as one that computes in float32. A conversion of more than
    two seconds shows its progress if stderr is a terminal.

    A GRU may have `reset_after` either way. Of a subclassed model the layers that its `call` calls are converted. A
    model without recurrent layers takes neither `stateful` nor `scales` nor `block_size`, which act on them alone, and
    weights of 4 bits for its dense layers only (`target="tflm"`).

    Args:
        model: A built Keras model.
        representative_data: Inputs as in use, `(samples, ...)`, for an integer model: they set the ranges of the
            activations. A hundred samples are enough. For a model of several inputs a list of arrays, or a dict by the
            inputs' names. With `weights="float32"` it is optional and serves to verify. A float input that only
            Embeddings read becomes one of int32.
        ranges: Of a model that was trained for integers, what `ksr.quantization.QuantizationAware` has learned: they
            take the place of representative data, which then serve to verify alone.
        weights: `"int8"` (int8 weights and activations, int16 states), `"int8x16"` (int8 weights, int16 activations and
            gates interpolated, for an error as small as the weights allow, at twice the memory for activations),
            `"int4"` or `"int4x16"` (likewise with weights of 4 bits, two in a byte, and a scale for each output, in
            recurrent layers; in dense layers with int8 activations and `target="tflm"`, too; without training for it
            the error is large: a warning says how large), or `"float32"`.
        scales: In an integer model, which weights share a scale: all of a `"gate"` of a layer, or those of each
            `"output"` of each gate, which is more exact where outputs differ in range, for two bytes and about two
            instructions an output.
        target: `"tflm"` (TensorFlow Lite Micro; also runs in LiteRT) or `"litert"`. Pruned dense layers are stored
            sparse where that is smaller: for TFLM as KsrSparseDense, which 1x1 convolutions become as well; for LiteRT
            in its own encoding, which nothing else reads: float32 weight by weight or in blocks of 1x4 along the
            inputs, int8 in blocks of 1x16. A number of inputs that is no multiple of the block costs a PAD op.
        batch_size: Samples of one inference, at least 1. States, with `stateful=True`, are those of as many streams.
            Plain C firmware takes 1.
        time_steps: Length of an input, where the model leaves it open; with `stateful=True` the steps of one inference,
            by default 1, whatever length the model has.
        stateful: Whether the recurrent layers go on from one inference to the next, for streams: their states are kept
            in variable tensors, which the interpreter's own reset clears. The result is that of the same Keras model
            with `stateful=True` layers, chunk by chunk, and so that of whole sequences where the other layers look at
            each step alone (one that looks over time, such as pooling, sees its chunk). Representative data are then
            sequences of any whole number of chunks, as long as in use.
        block_size: Width of a block along the units: 4, 8 or 16. By default the one that takes the fewest bytes, for
            each layer.
        percentile: For an integer model, how much of the representative data the ranges cover: from the
            `100 - percentile` to the `percentile` percentile of an input, an output or a state; above 50. 100 is from
            the smallest to the largest value; 99.99 leaves out rare outliers, which then saturate, for a finer step.
            It holds for inputs, outputs and recurrent layers; between the other layers the largest value counts. Not
            with `ranges`.
        labels: Names of the classes, one for each value of an output (two for a single value), for the file's metadata.
        representative_labels: The right class of each sample of `representative_data`, integers from 0: verification
            then reports the accuracy of the Keras model and of the converted one on all of them. Of a model that
            decides several times a sample, at each step or chunk, the last decision counts, or all of them if the
            labels are `(samples, decisions)`. The model must have one output with a value for each class.
        verify: Whether to compare the result with the Keras model, layer by layer and as a whole.
        max_relative_error: For an integer model, the largest error of an output that is let pass: root mean square, in
            standard deviations of Keras's outputs over the representative data; above 0. `math.inf` lets any pass.
            Above 0.1 there is a warning, which names the likely cause. Outputs of a model with event or delta layers,
            whose trajectories may part at a threshold with both of them right, may be off by as much more as Keras's
            own are when each input is moved by 1 % of its standard deviation.

    Returns:
        A `ConvertedModel` with `.predict`, `.step`, `.reset`, `.save` and `.report`.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: An argument is out of range or missing, the model cannot be converted (the layer is named), or the
            representative data do not fit.
        VerificationError: The result does not agree with the Keras model.
        ImportError: A package of the extra `convert` is not installed.
        RuntimeError: The C core is missing.
    """
    options = ConvertOptions(
        weights=weights,
        scales=scales,
        target=target,
        batch_size=batch_size,
        time_steps=time_steps,
        stateful=stateful,
        block_size=block_size,
        percentile=percentile,
        labels=labels,
        verify=verify,
        max_relative_error=max_relative_error,
    )
    with packages_of("convert", "ksr.convert"):
        from keras_sparse_rnn.convert.conversion import run

    with Progress("convert") as progress:
        converted = run(model, representative_data, representative_labels, ranges, options, progress)
    for warning in converted.report.warnings:
        warnings.warn(warning, stacklevel=2)
    return converted
