"""`keras-sparse-rnn report`: writes a page about a model. Its Python counterpart is `keras_sparse_rnn.report`."""

from keras_sparse_rnn.verbs import add_verb
from keras_sparse_rnn.verbs.bench import CPUS
from keras_sparse_rnn.verbs.files import check_out, is_keras, load_arrays, load_keras


def add(verbs):
    parser = add_verb(
        verbs,
        "report",
        _run,
        help="write an HTML page that shows what a model holds, does and costs",
        description="Writes one page that needs no network: totals; bytes, MACs and instructions of each op; zeros of "
        "each layer and gate; patterns of the weights; events; drift against Keras; the memory map and the ops to "
        'register. A Keras model is converted first, to int8 if data are given. Unknown values are shown as "?".',
        examples=["keras-sparse-rnn report model.keras --data x.npy -o report.html"],
    )
    parser.add_argument("model", metavar="MODEL", help="a .keras or .tflite file")
    parser.add_argument("--data", metavar="X", help="typical inputs, .npy (samples, time, features)")
    parser.add_argument("-o", "--out", metavar="FILE", default="report.html", help="default: %(default)s")
    parser.add_argument(
        "--cpu",
        choices=(*(cpu for cpu in CPUS if cpu != "host"), "none"),
        metavar="CPU",
        default="cortex-m4",
        help="core whose instructions to count: cortex-m0, -m3, -m4, -m7, -m55 (or m0, ...), or none; "
        "default: %(default)s",
    )
    parser.add_argument("--step-ms", metavar="MS", type=float, help="milliseconds per time step, for the axes")


def _run(arguments):
    from keras_sparse_rnn.progress import Progress
    from keras_sparse_rnn.report import report

    check_out(arguments.out, (".html", ".htm"), arguments.model, arguments.data)
    data = None if arguments.data is None else load_arrays(arguments.data)
    with Progress("report") as progress:
        progress.show(f"reading {arguments.model}")
        model = load_keras(arguments.model) if is_keras(arguments.model) else arguments.model
    cpu = None if arguments.cpu == "none" else arguments.cpu
    print(report(model, data, arguments.out, cpu=cpu, step_ms=arguments.step_ms))
