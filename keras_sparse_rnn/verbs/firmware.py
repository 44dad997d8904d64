"""`keras-sparse-rnn firmware`: a `.tflite` model as a project for a microcontroller; its Python twin is
`ConvertedModel.save_firmware`."""

import dataclasses
import json

from keras_sparse_rnn.verbs import add_verb
from keras_sparse_rnn.verbs.files import load_arrays, load_tflite

FRAMEWORKS = ("plain-c", "tflm-cmake", "arduino", "esp-idf", "zephyr")


def add(verbs):
    parser = add_verb(
        verbs,
        "firmware",
        _run,
        help="a converted model as C, or as a TensorFlow Lite Micro project",
        description="Writes the model as a C array, the kernel sources that it needs and no other, the registration of "
        "exactly its ops, and a main that runs one inference.",
        examples=["keras-sparse-rnn firmware model.tflite --out board --framework plain-c"],
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite file; a .keras file is converted first")
    parser.add_argument("--data", metavar="X", help="inputs of a .keras file, .npy: converts it to int8, else float32")
    parser.add_argument("-o", "--out", metavar="DIR", required=True, help="a new or empty folder")
    parser.add_argument("--framework", choices=FRAMEWORKS, default="plain-c", help="default: %(default)s, C alone")
    parser.add_argument("--name", default="model", help="what the model is called in the code; default: %(default)s")
    parser.add_argument("--json", action="store_true", help="what was written as JSON")


def _run(arguments):
    from keras_sparse_rnn.firmware import save_firmware
    from keras_sparse_rnn.progress import Progress

    with Progress("firmware") as progress:
        progress.show(f"reading {arguments.model}")
        model = load_tflite(arguments.model, arguments.data and load_arrays(arguments.data))
        progress.show(f"writing {arguments.out}")
        written = save_firmware(model, arguments.out, arguments.framework, arguments.name)
    print(json.dumps(dataclasses.asdict(written), indent=2, default=str) if arguments.json else written)
