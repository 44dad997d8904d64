"""`keras-sparse-rnn summary`: shows sparsity and cost of a model. Its Python counterparts are
`keras_sparse_rnn.summary` for Keras models and `keras_sparse_rnn.inspect` for `.tflite` files."""

import dataclasses
import json

from keras_sparse_rnn.verbs import add_verb
from keras_sparse_rnn.verbs.files import check_no_data, is_keras, load_arrays, load_keras


def add(verbs):
    parser = add_verb(
        verbs,
        "summary",
        _run,
        help="print sparsity, bytes and MACs of a model, layer by layer",
        description="For each layer and gate of a Keras model, prints the weights, zeros and zero blocks, the bytes as "
        "float32, as int8 and packed, and the MACs of a time step; with data, also the share of active units and the "
        "MACs without those that are skipped. For a .tflite file, prints the bytes, zeros, blocks and MACs of each op.",
        examples=["keras-sparse-rnn summary model.keras --data x.npy"],
    )
    parser.add_argument("model", metavar="MODEL", help="a .keras or .tflite file")
    parser.add_argument("--data", metavar="X", help="inputs of a Keras model: .npy (samples, time, features), or .npz")
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def _run(arguments):
    from keras_sparse_rnn.progress import Progress

    check_no_data(arguments.model, arguments.data)
    with Progress("summary") as progress:
        progress.show(f"reading {arguments.model}")
        if is_keras(arguments.model):
            from keras_sparse_rnn.profiling import profile

            model, data = load_keras(arguments.model), arguments.data and load_arrays(arguments.data)
            progress.show("counting" if data is None else "counting on the data")
            shown = profile(model, data)
            figures = shown.to_dict()
        else:
            from keras_sparse_rnn.inspection import inspect

            shown = inspect(arguments.model, engines=())
            figures = dataclasses.asdict(shown)
    print(json.dumps(figures, indent=2) if arguments.json else shown)
