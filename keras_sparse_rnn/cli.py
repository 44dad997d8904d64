"""The command line: `keras-sparse-rnn VERB` or `python -m keras_sparse_rnn VERB`.

Exit status: 0 success, 1 failure (one line on stderr says why), 2 wrong usage, 130 interrupted.
"""

import argparse
import contextlib
import logging
import os
import sys

from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.verbs import bench, convert, demo, firmware, inspect, report, run, summary

VERBS = (summary, convert, inspect, run, bench, firmware, report, demo)


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
        epilog="example:\n  keras-sparse-rnn convert model.keras --data x.npy -o model.tflite\n\n"
        "keras-sparse-rnn VERB --help tells more. Exit status: 0 done, 1 failed, 2 bad use.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"keras-sparse-rnn {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error, and what TensorFlow logs")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add(verbs)
    return parser


@contextlib.contextmanager
def _quiet_tensorflow():
    """Hides TensorFlow's log messages from the user.

    TensorFlow's C++ parts write to file descriptor 2, some of them before they have read their own settings. So this
    descriptor is redirected to nowhere in the meantime, and Python's stderr to where it pointed before.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if sys.stderr is not sys.__stderr__:  # somebody else collects it already
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


def _one_line(error):
    """Describes an error to a user who did not write this program."""
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError, ImportError, RuntimeError)) and text:
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"
