"""`keras-sparse-rnn convert`: a Keras model as a verified `.tflite` file; its Python twin is
`keras_sparse_rnn.convert`, whose keyword arguments are the options here."""

import dataclasses
import json

from keras_sparse_rnn.convert.options import MAX_RELATIVE_ERROR, SCALES, TARGETS
from keras_sparse_rnn.formats import NUMBER_FORMATS
from keras_sparse_rnn.ops.schema import BLOCKS
from keras_sparse_rnn.verbs import add_verb
from keras_sparse_rnn.verbs.files import check_out, is_keras, load_arrays, load_keras


def add(verbs):
    parser = add_verb(
        verbs,
        "convert",
        _run,
        help="a .keras model as a verified .tflite file",
        description="Converts a Keras model, compares the result with it, layer by layer and as "
        "a whole, writes the file, and prints what was done. Nothing is written where they do not agree.",
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
        help="inputs as in use, .npy (samples, ...), or .npz for several inputs by their names; a hundred samples are "
        "enough; needed for integers",
    )
    parser.add_argument("--weights", choices=tuple(NUMBER_FORMATS), default="int8", help="default: %(default)s")
    parser.add_argument(
        "--scales", choices=SCALES, default="gate", help="what weights share a scale; default: %(default)s"
    )
    parser.add_argument(
        "--target", choices=TARGETS, default="tflm", help="TensorFlow Lite Micro, or LiteRT only; default: %(default)s"
    )
    parser.add_argument("--batch-size", metavar="N", type=int, default=1, help="samples of one inference; default: 1")
    parser.add_argument(
        "--time-steps", metavar="N", type=int, help="length of an input, where the model leaves it open, or of a chunk"
    )
    parser.add_argument("--stateful", action="store_true", help="for streams: the state goes on between inferences")
    parser.add_argument(
        "--block-size", metavar="N", type=int, choices=BLOCKS, help="4, 8 or 16; default: the one with fewest bytes"
    )
    parser.add_argument(
        "--percentile", metavar="P", type=float, default=100, help="of the data that int8 ranges cover; default: 100"
    )
    parser.add_argument(
        "--ranges", metavar="JSON", help="of training for integers, as Ranges.save writes them: no data are needed then"
    )
    parser.add_argument("--labels", metavar="NAME", nargs="+", help="names of the classes, for the file's metadata")
    parser.add_argument(
        "--representative-labels", metavar="Y", help=".npy with the right classes of the data: reports the accuracy"
    )
    parser.add_argument(
        "--no-verify", dest="verify", action="store_false", help="do not compare the result with the Keras model"
    )
    parser.add_argument(
        "--max-relative-error",
        metavar="E",
        type=float,
        default=MAX_RELATIVE_ERROR,
        help="of an integer model's outputs, in standard deviations; default: %(default)s",
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
