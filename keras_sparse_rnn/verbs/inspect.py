"""`keras-sparse-rnn inspect`: shows the contents of a `.tflite` file. Its Python counterpart is
`keras_sparse_rnn.inspect`."""

import dataclasses
import json

from keras_sparse_rnn.verbs import add_verb
from keras_sparse_rnn.verbs.files import check_no_data, load_arrays, load_tflite


def add(verbs):
    parser = add_verb(
        verbs,
        "inspect",
        _run,
        help="show the contents of any .tflite file",
        description="For each op and its constant tensors, prints the bytes, zeros, blocks and quantization. For the "
        "model, prints the weights as stored, dense and zipped, the memory, the MACs, and which engines run it.",
        examples=["keras-sparse-rnn inspect model.tflite --json"],
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite file; a .keras file is converted first")
    parser.add_argument(
        "--data", metavar="X", help="inputs, .npy, to convert a .keras file to int8; without them to float32"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def _run(arguments):
    from keras_sparse_rnn.inspection import inspect
    from keras_sparse_rnn.progress import Progress

    check_no_data(arguments.model, arguments.data)
    with Progress("inspect") as progress:
        progress.show(f"reading {arguments.model}")
        model = load_tflite(arguments.model, arguments.data and load_arrays(arguments.data))
        progress.show("trying the model in each engine")
        inspection = inspect(model)
    print(json.dumps(dataclasses.asdict(inspection), indent=2) if arguments.json else inspection)
