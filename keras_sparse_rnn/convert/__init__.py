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
    input_scales: Literal["tensor", "channel"] = "tensor",
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
    """Converts a Keras model, with or without recurrent layers, to a `.tflite` model.

    Each recurrent layer becomes one custom op: an EventGRU becomes KsrEventGru; a `keras.layers.GRU`, a LightGRU, a
    DeltaGRU or a RecurrentHighway becomes KsrGru; a `keras.layers.LSTM` becomes KsrLstm; an ONLSTM becomes KsrOnLstm; a
    `SimpleRNN` or a DeltaDense becomes KsrSimpleRnn. A Bidirectional layer becomes two ops, and an RNN over several
    such cells becomes one op per cell. A DeltaHold directly in front of a Dense, or of a recurrent layer that runs
    forwards, becomes part of that layer's op, which keeps the sums of the held values times its weights and adds the
    changes. Weights are stored in blocks if that is smaller, and dense otherwise, so dense layers convert as well. The
    cost falls with the sparsity of the weights and of the events or changes. TensorFlow Lite's converter converts all
    other layers. If Keras runs on another backend than TensorFlow, the conversion runs in a separate process. A model
    trained in mixed precision, whose weights are float32, is converted to one that computes in float32. A conversion
    that takes more than two seconds shows its progress if stderr is a terminal.

    A GRU may have `reset_after=True` or `False`. A subclassed model is converted as the layers that its `call` calls.
    A model without recurrent layers does not take `stateful`, `scales` or `block_size`, which apply to recurrent
    layers only, and takes 4-bit weights for its dense layers only (`target="tflm"`).

    Args:
        model: A built Keras model.
        representative_data: Typical inputs, `(samples, ...)`, that set the ranges of the activations of an integer
            model. A hundred samples are enough. For a model with several inputs, a list of arrays, or a dict with the
            names of the inputs as keys. Optional with `weights="float32"`, where it is used for verification only. A
            float input that only Embeddings read becomes an int32 input.
        ranges: The ranges that `ksr.quantization.QuantizationAware` has learned, for a model that was trained for
            integers. They replace the representative data, which are then used for verification only.
        weights: The number format: `"int8"` (int8 weights and activations, int16 states), `"int8x16"` (int8 weights,
            int16 activations and interpolated gates; the error is as small as the weights allow, and activations take
            twice the memory), `"int4"` or `"int4x16"` (the same with 4-bit weights, two per byte, and one scale per
            output, in recurrent layers, and also in dense layers with int8 activations and `target="tflm"`; without
            training for 4 bits the error is large, and a warning states it), or `"float32"`.
        scales: Which weights of an integer model share a scale: all weights of a `"gate"`, or the weights of each
            `"output"` of each gate. The latter is more exact if outputs differ in range, and costs two bytes and about
            two instructions per output.
        input_scales: Whether an integer model has one scale for each input (`"tensor"`), or one for each `"channel"` of
            it, an index of its last axis, as features of different ranges need. In the latter case each channel is
            divided, and the weights that read it are multiplied by as much, so that rounding inputs and weights costs
            least; inference takes as long. The engines of this package and generated C do the division; the metadata of
            the file hold the divisors for other programs. The layers that an input enters must be Dense, convolutions,
            BatchNormalization, Normalization or recurrent layers, behind layers that keep channels apart, such as
            Concatenate. Not with `ranges`.
        target: `"tflm"` (TensorFlow Lite Micro; also runs in LiteRT) or `"litert"`. Pruned dense layers are stored
            sparse if that is smaller. For TFLM they become KsrSparseDense ops, and so do pruned 1x1 convolutions. For
            LiteRT they use its own sparse encoding, which no other interpreter reads: float32 weight by weight or in
            blocks of 1x4 along the inputs, int8 in blocks of 1x16. If the number of inputs is not a multiple of the
            block, this costs a PAD op.
        batch_size: Samples per inference, at least 1. With `stateful=True` there is one state per sample, so the model
            follows as many streams. Plain C firmware takes 1.
        time_steps: Length of an input if the model leaves it open. With `stateful=True`, the steps per inference, by
            default 1, whatever length the model has.
        stateful: Whether the recurrent layers continue from one inference to the next, for streams. Their states are
            kept in variable tensors, which the interpreter's own reset clears. The result equals that of the same Keras
            model with `stateful=True` layers, chunk by chunk. It also equals the result on whole sequences if all other
            layers treat each step alone (a layer that reads several steps, such as pooling, sees its chunk only).
            Representative data are then sequences as long as in use, of any whole number of chunks.
        block_size: Weights per stored block: 4, 8 or 16. They lie along the units, or, in integers and if all sources
            of a matrix are active in every step, along the sources if this takes fewer bytes. By default, the size that
            takes the fewest bytes, for each layer.
        percentile: Which part of the representative data the ranges of an integer model cover: from the
            `100 - percentile` to the `percentile` percentile of an input, an output or a state; above 50. 100 covers
            all values; 99.99 leaves out rare outliers, which then saturate, in exchange for a finer step. It applies to
            inputs, outputs and recurrent layers; other layers always cover their largest value. Not with `ranges`.
        labels: Names of the classes, one per value of an output (two for a single value), for the file's metadata.
        representative_labels: The right class of each sample of `representative_data`, integers from 0. Verification
            then reports the accuracy of the Keras model and of the converted model on all of them. If a model decides
            several times per sample, at each step or chunk, the last decision counts, or every decision if the labels
            have the shape `(samples, decisions)`. The model must have one output with one value per class.
        verify: Whether to compare the result with the Keras model, layer by layer and as a whole.
        max_relative_error: The largest output error that is accepted of an integer model: root mean square, in
            standard deviations of Keras's outputs over the representative data; above 0. `math.inf` accepts any error.
            An error above 0.1 causes a warning that names the likely cause. In a model with event or delta layers, two
            right trajectories may part at a threshold. Its outputs may therefore be off by as much more as Keras's own
            outputs change when each input is moved by 1 % of its standard deviation.

    Returns:
        A `ConvertedModel` with `.predict`, `.step`, `.reset`, `.save` and `.report`.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: An argument is out of range or missing, the model cannot be converted (the message names the
            layer), or the representative data do not fit.
        VerificationError: The result does not agree with the Keras model.
        ImportError: A package of the extra `convert` is not installed.
        RuntimeError: The C core is missing.
    """
    options = ConvertOptions(
        weights=weights,
        scales=scales,
        input_scales=input_scales,
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
