"""What a language model costs and is worth: the line of an epoch, and the table at the end."""

import math

import keras
import numpy as np

import keras_sparse_rnn as ksr
from language_model.network import build

COUNTED_TOGETHER = 250  # words of a sequence that MACs are counted on, from zero states


def cost(preset, model, corpus, words):
    """What a network costs, counted on a text: a dict of numbers.

    parameters, nonzero_parameters: all of them
    units: of each recurrent layer; after unit-lasso those that are left
    sparsity: share of the recurrent layers' weights that are zero
    activity: share of their units that are not zero in a step
    dense, effective: MACs per word of the recurrent layers (and of a projection behind them), with all weights, and
        counted event by event
    product: what the means give: for each kernel non-zero weights x share of active sources
    decoder, effective_decoder: those of the decoder
    """
    network = build(preset, len(corpus.words))
    network.set_weights(model.get_weights())
    recurrent = sum(size(kernel.variable) for kernel in ksr.sparsity.find_kernels(network)[0])
    projections = [layer.kernel for layer in network.layers if layer.name == "projection"]
    parameters, decoder = sum(map(size, network.weights)), size(decoding(network))
    if preset.method == "unit-lasso":
        network = ksr.shrink(network)
    sequences = words[: len(words) // COUNTED_TOGETHER * COUNTED_TOGETHER].reshape(-1, COUNTED_TOGETHER)
    layers = ksr.profiling.count_macs(network, sequences)
    cells = [network.get_layer(layer.name).cell for layer in layers]
    projected = sum(map(nonzero, projections))
    events = getattr(cells[-1], "readout", None) == "event" and not projections
    product = sum(
        layer.input_rate * nonzero(cell.kernel) + layer.activity * nonzero(cell.recurrent_kernel)
        for layer, cell in zip(layers, cells, strict=True)
    )
    return {
        "parameters": parameters,
        "nonzero_parameters": sum(map(nonzero, network.weights)),
        "units": [cell.units for cell in cells],
        "sparsity": 1 - sum(layer.nonzero_weights for layer in layers) / recurrent,
        "activity": float(np.average([layer.activity for layer in layers], weights=[cell.units for cell in cells])),
        "dense": recurrent + sum(map(size, projections)),
        "effective": sum(layer.effective for layer in layers) + projected,
        "product": product + projected,
        "decoder": decoder,
        "effective_decoder": (layers[-1].activity if events else 1) * nonzero(decoding(network)),
    }


def decoding(network):
    """The weights that give the logits."""
    decoder = network.layers[-1]
    return decoder.kernel if isinstance(decoder, keras.layers.Dense) else decoder.embedding.embeddings


def size(variable):
    return math.prod(variable.shape)


def nonzero(variable):
    return int(np.count_nonzero(keras.ops.convert_to_numpy(variable)))


def line(epoch, preset, logs, costs):
    """What is printed of an epoch; `costs` may be None."""
    perplexities = f"perplexity {math.exp(min(logs['loss'], 20)):.1f}, valid {math.exp(min(logs['val_loss'], 20)):.2f}"
    parts = [perplexities, f"{logs['words_a_second']:,.0f} words/s"]
    if costs:
        macs = f"{costs['effective']:,.0f} of {costs['dense']:,} MACs per word"
        parts.append(f"zeros {costs['sparsity']:.1%}, active {costs['activity']:.1%}, {macs}")
    parts += ["averaging"] if logs.get("averaging") else []
    return f"epoch {epoch + 1}/{preset.epochs}: {'; '.join(parts)}"


def table(result):
    """The figures of a trained network, for `cost` and its perplexities in one dict, as lines of text."""
    rows = [
        ("perplexity, valid / test", f"{result['valid']:.2f} / {result['test']:.2f}"),
        ("parameters, not zero", f"{result['parameters']:,}, {result['nonzero_parameters']:,}"),
        ("units of the recurrent layers", " + ".join(map(str, result["units"]))),
        ("recurrent weights that are zero", f"{result['sparsity']:.1%}"),
        ("units active in a step", f"{result['activity']:.1%}"),
        ("MACs per word, dense", f"{result['dense']:,} + decoder {result['decoder']:,}"),
        ("MACs per word, effective", f"{result['effective']:,.0f} + decoder {result['effective_decoder']:,.0f}"),
        ("by the product of both sparsities", f"{result['product']:,.0f}"),
        ("times fewer MACs", f"{result['dense'] / result['effective']:.1f}, with the decoder {reduction(result):.1f}"),
    ]
    return "\n".join(f"{name:34} {value}" for name, value in rows)


def reduction(result):
    dense, effective = result["dense"] + result["decoder"], result["effective"] + result["effective_decoder"]
    return dense / effective
