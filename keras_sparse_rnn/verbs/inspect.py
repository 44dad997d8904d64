"""`keras-sparse-rnn inspect`: what is in a `.tflite` file; its Python twin is `keras_sparse_rnn.inspect`."""

import dataclasses
import json

from keras_sparse_rnn.verbs import add_verb
from keras_sparse_rnn.verbs.files import is_keras


def add(verbs):
    parser = add_verb(
        verbs,
        "inspect",
        _run,
        help="what is in a .tflite file, ours or anybody's",
        description="Prints for each op and its constant tensors the bytes, zeros, blocks and quantization, and in all "
        "the weights as stored, dense and zipped, the memory, the MACs, and which engines run the model.",
        examples=["keras-sparse-rnn inspect model.tflite --json"],
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite file")
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def _run(arguments):
    from keras_sparse_rnn.inspection import inspect
    from keras_sparse_rnn.progress import Progress

    if is_keras(arguments.model):
        raise ValueError("inspect takes a .tflite file; `keras-sparse-rnn summary` shows a Keras model.")
    with Progress("inspect") as progress:
        progress.show("trying the model in each engine")
        inspection = inspect(arguments.model)
    print(json.dumps(dataclasses.asdict(inspection), indent=2) if arguments.json else inspection)
