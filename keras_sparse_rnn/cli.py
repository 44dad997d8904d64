"""The command line: `keras-sparse-rnn VERB` or `python -m keras_sparse_rnn VERB`.

Exit status: 0 done, 1 it failed (one line on stderr says why), 2 bad use, 130 interrupted.
"""

import argparse
import contextlib
import logging
import os
import sys
from pathlib import Path

from keras_sparse_rnn import demo
from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.verbs import bench, firmware, inspect, summary


def main(argv=None):
    """Runs the command line and returns the exit status.

    Args:
        argv: List of arguments, without the program's name; by default those of the process.
    """
    arguments = _parser().parse_args(argv)
    try:
        with contextlib.nullcontext() if arguments.debug else _quiet_tensorflow():
            arguments.run(arguments)
    except KeyboardInterrupt:
        print("keras-sparse-rnn: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if arguments.debug:
            raise
        print(f"keras-sparse-rnn {arguments.verb}: {_one_line(error)}", file=sys.stderr)
        return 1
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="keras-sparse-rnn",
        description="Recurrent networks sparse in weights and in activity, from Keras to a microcontroller.",
        epilog="example:\n  python -m keras_sparse_rnn demo --quick --out /tmp/demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"keras-sparse-rnn {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_demo(verbs)
    bench.add(verbs)
    firmware.add(verbs)
    inspect.add(verbs)
    summary.add(verbs)
    return parser


def _add_demo(verbs):
    parser = verbs.add_parser(
        "demo",
        help="train, prune, convert and run a network, and compare it with dense ones",
        description="Trains a sparse EventGRU and the GRUs that it has to be compared with, prunes it to 90 % in 1x4 "
        "blocks during fit, converts it to int8, runs the whole test set in LiteRT and in TensorFlow Lite Micro, and "
        "prints one table. Writes table.md, results.json, picture.png, the pruned .keras model, a .tflite file of each "
        "net and a few inputs for them into DIR. Takes a few minutes on two cores.",
        epilog="examples:\n"
        "  python -m keras_sparse_rnn demo\n"
        "  KSR_DATA=~/data python -m keras_sparse_rnn demo --data fsdd --out digits   # reads ~/data/fsdd.npz",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="the same path with few epochs; its figures mean nothing")
    parser.add_argument(
        "--data",
        choices=list(demo.PACKAGES),
        default="japanese-vowels",
        help="9 speakers from 12 cepstra (in the wheel of aeon, no download), or spoken digits from the folder "
        "KSR_DATA; default: %(default)s",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("ksr-demo"), help="folder for the results; default: %(default)s"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=_run_demo)


@contextlib.contextmanager
def _quiet_tensorflow():
    """Keeps what TensorFlow logs away from the user.

    Its C++ parts write to file descriptor 2, some before they have read their own settings. So that descriptor leads
    nowhere for the while, and Python's stderr goes to where it led.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if sys.stderr is not sys.__stderr__:  # somebody collects it already
        yield
        return
    sys.stderr.flush()
    with open(os.dup(2), "w", buffering=1) as stderr, open(os.devnull, "w") as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        sys.stderr = stderr
        try:
            yield
        finally:
            sys.stderr = sys.__stderr__
            os.dup2(kept, 2)
            os.close(kept)


def _run_demo(arguments):
    demo.run(arguments.data, arguments.out, arguments.quick)


def _one_line(error):
    """What went wrong, for somebody who did not write this program."""
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError, ImportError, RuntimeError)) and text:
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"
