"""`keras-sparse-rnn summary`: what a Keras model holds and costs; its Python twin is `keras_sparse_rnn.summary`."""

import argparse
import json


def add(verbs):
    parser = verbs.add_parser(
        "summary",
        help="sparsity, bytes and MACs of a .keras model, layer by layer",
        description="Prints for each layer and gate the weights, zeros and blocks of zeros, the bytes as float32, as "
        "int8 and packed, and with data the share of active units and the MACs of a time step.",
        epilog="example:\n  python -m keras_sparse_rnn summary model.keras --data x.npy",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a .keras file")
    parser.add_argument("--data", metavar="X", help="a .npy file of inputs, (samples, time, features)")
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=_run)


def _run(arguments):
    import keras
    import numpy as np

    from keras_sparse_rnn.profiling import profile

    model = keras.models.load_model(arguments.model, compile=False)
    measured = profile(model, None if arguments.data is None else np.load(arguments.data))
    print(json.dumps(measured.to_dict(), indent=2) if arguments.json else measured)
