"""`keras-sparse-rnn inspect`: what is in a `.tflite` file; its Python twin is `keras_sparse_rnn.inspect`."""

import argparse
import dataclasses
import json


def add(verbs):
    parser = verbs.add_parser(
        "inspect",
        help="what is in a .tflite file, ours or anybody's",
        description="Prints for each op and its constant tensors the bytes, zeros, blocks and quantization, and in all "
        "the weights as stored, dense and zipped, the memory, the MACs, and which engines run the model.",
        epilog="example:\n  python -m keras_sparse_rnn inspect model.tflite --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite file")
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=_run)


def _run(arguments):
    from keras_sparse_rnn.inspection import inspect

    inspection = inspect(arguments.model)
    print(json.dumps(dataclasses.asdict(inspection), indent=2) if arguments.json else inspection)
