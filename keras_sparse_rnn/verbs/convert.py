"""`keras-sparse-rnn convert`: converts a Keras model to a verified `.tflite` file. Its Python counterpart is
`keras_sparse_rnn.convert`, whose keyword arguments are the options here."""

import dataclasses
import json

from keras_sparse_rnn.convert.options import INPUT_SCALES, MAX_RELATIVE_ERROR, SCALES, TARGETS
from keras_sparse_rnn.formats import NUMBER_FORMATS
from keras_sparse_rnn.ops.schema import BLOCKS
from keras_sparse_rnn.verbs import add_verb
from keras_sparse_rnn.verbs.files import check_out, is_keras, load_arrays, load_keras


def add(verbs):
    parser = add_verb(
        verbs,
        "convert",
        _run,
        help="convert a .keras model to a verified .tflite file",
        description="Converts a Keras model, compares the result with the model, layer by layer and as a whole, writes "
        "the file and prints a report. Nothing is written if the two do not agree.",
        examples=[
            "keras-sparse-rnn convert model.keras --data x.npy -o model.tflite",
            "keras-sparse-rnn convert model.keras --data x.npy --stateful -o stream.tflite   # one step per inference",
        ],
    )
    parser.add_argument("model", metavar="MODEL", help="a .keras file")
    parser.add_argument("-o", "--out", metavar="FILE", required=True, help="the .tflite file to write")
    parser.add_argument(
        "--data",
        metavar="X",
        help="representative inputs: .npy (samples, ...), or .npz with several inputs by name; a hundred samples are "
        "enough; required for integers",
    )
    parser.add_argument(
        "--weights", choices=tuple(NUMBER_FORMATS), default="int8", help="number format; default: %(default)s"
    )
    parser.add_argument(
        "--scales", choices=SCALES, default="gate", help="weights that share a scale; default: %(default)s"
    )
    parser.add_argument(
        "--input-scales",
        choices=INPUT_SCALES,
        default="tensor",
        help="scales of an integer input: one, or one per channel; default: %(default)s",
    )
    parser.add_argument(
        "--target",
        choices=TARGETS,
        default="tflm",
        help="engine: TensorFlow Lite Micro, or LiteRT only; default: %(default)s",
    )
    parser.add_argument("--batch-size", metavar="N", type=int, default=1, help="samples per inference; default: 1")
    parser.add_argument(
        "--time-steps", metavar="N", type=int, help="length of an input, if the model does not fix it, or of a chunk"
    )
    parser.add_argument("--stateful", action="store_true", help="keep the states between inferences, for streams")
    parser.add_argument(
        "--block-size",
        metavar="N",
        type=int,
        choices=BLOCKS,
        help="width of the stored blocks, 4, 8 or 16; default: that with the fewest bytes",
    )
    parser.add_argument(
        "--percentile",
        metavar="P",
        type=float,
        default=100,
        help="percentile of the data that int8 ranges cover; default: 100",
    )
    parser.add_argument(
        "--ranges",
        metavar="JSON",
        help="ranges from quantization-aware training, as Ranges.save writes them; no data are needed then",
    )
    parser.add_argument(
        "--labels", metavar="NAME", nargs="+", help="names of the classes, stored in the file's metadata"
    )
    parser.add_argument(
        "--representative-labels", metavar="Y", help=".npy with the true classes of the data, to report the accuracy"
    )
    parser.add_argument(
        "--no-verify", dest="verify", action="store_false", help="do not compare the result with the Keras model"
    )
    parser.add_argument(
        "--max-relative-error",
        metavar="E",
        type=float,
        default=MAX_RELATIVE_ERROR,
        help="largest error of an integer model's outputs, in standard deviations; default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _run(arguments):
    from keras_sparse_rnn.convert import convert
    from keras_sparse_rnn.progress import Progress

    if not is_keras(arguments.model):
        raise ValueError(f"MODEL must be a Keras model, which is then converted; given: '{arguments.model}'.")
    check_out(arguments.out, (".tflite",), arguments.model, arguments.data, arguments.representative_labels)
    given = vars(arguments).copy()
    for name in ("data", "representative_labels"):
        given[name] = None if given[name] is None else load_arrays(given[name])
    if arguments.ranges is not None:
        from keras_sparse_rnn.quantization import Ranges

        given["ranges"] = Ranges.load(arguments.ranges)
    options = {
        name: value
        for name, value in given.items()
        if name not in ("model", "out", "data", "json", "debug", "run", "verb")
    }
    with Progress("convert") as progress:
        progress.show(f"reading {arguments.model}")
        model = load_keras(arguments.model)
    converted = convert(model, given["data"], **options)
    converted.save(arguments.out)
    if arguments.json:
        figures = {**dataclasses.asdict(converted.report), "arena_bytes": converted.report.arena_bytes}
        print(json.dumps(figures, indent=2))
    else:
        print(converted.report)
