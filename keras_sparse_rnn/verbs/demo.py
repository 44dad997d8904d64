"""`keras-sparse-rnn demo`: the whole workflow on real data. Its Python counterpart is `keras_sparse_rnn.demo.run`."""

from pathlib import Path

from keras_sparse_rnn import demo
from keras_sparse_rnn.verbs import add_verb


def add(verbs):
    parser = add_verb(
        verbs,
        "demo",
        _run,
        help="train, prune, convert and run a network, and compare it with dense ones",
        description="Trains an EventGRU and the GRUs to compare it with, prunes it to 90 % in 1x4 blocks during fit, "
        "converts it to int8, runs the whole test set in LiteRT and in TensorFlow Lite Micro, and prints a table. "
        "Writes table.md, results.json, picture.png, the pruned .keras model, a .tflite file for each net and some "
        "inputs for them to DIR. Takes about two minutes on two cores.",
        examples=[
            "python -m keras_sparse_rnn demo",
            "KSR_DATA=~/data python -m keras_sparse_rnn demo --data fsdd --out digits   # reads ~/data/fsdd.npz",
        ],
    )
    parser.add_argument(
        "--quick", action="store_true", help="train for a few epochs only; the figures are then meaningless"
    )
    parser.add_argument(
        "--data",
        choices=list(demo.PACKAGES),
        default="japanese-vowels",
        help="9 speakers from 12 cepstra (in the wheel of aeon, no download), or spoken digits from the folder "
        "KSR_DATA; default: %(default)s",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("ksr-demo"),
        help="folder for the results; default: %(default)s",
    )


def _run(arguments):
    demo.run(arguments.data, arguments.out, arguments.quick)
