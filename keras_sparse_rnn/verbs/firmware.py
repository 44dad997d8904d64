"""`keras-sparse-rnn firmware`: a `.tflite` model as a project for a microcontroller; its Python twin is
`ConvertedModel.save_firmware`."""

import argparse

FRAMEWORKS = ("plain-c", "tflm-cmake", "arduino", "esp-idf", "zephyr")


def add(verbs):
    parser = verbs.add_parser(
        "firmware",
        help="a converted model as C, or as a TensorFlow Lite Micro project",
        description="Writes the model as a C array, the kernel sources that it needs and no other, the registration of "
        "exactly its ops, and a main that runs one inference.",
        epilog="example:\n  python -m keras_sparse_rnn firmware model.tflite --out board --framework plain-c",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite file")
    parser.add_argument("--out", metavar="DIR", required=True, help="a new or empty folder")
    parser.add_argument("--framework", choices=FRAMEWORKS, default="plain-c", help="default: %(default)s, C alone")
    parser.add_argument("--name", default="model", help="what the model is called in the code; default: %(default)s")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=_run)


def _run(arguments):
    from keras_sparse_rnn.firmware import save_firmware

    print(save_firmware(arguments.model, arguments.out, arguments.framework, arguments.name))
