"""`keras-sparse-rnn firmware`: writes `.tflite` models as a project for a microcontroller. Its Python counterpart is
`ConvertedModel.save_firmware`."""

import dataclasses
import json
from pathlib import Path

from keras_sparse_rnn.verbs import add_verb
from keras_sparse_rnn.verbs.files import load_arrays, load_tflite

FRAMEWORKS = ("plain-c", "library", "tflm-cmake", "arduino", "esp-idf", "zephyr")


def add(verbs):
    parser = add_verb(
        verbs,
        "firmware",
        _run,
        help="write models as C, or as a TensorFlow Lite Micro project",
        description="Writes models as C, exactly the kernel sources and op registrations that they need, and a main "
        "that runs them. Models of one program go into one project.",
        examples=[
            "keras-sparse-rnn firmware model.tflite --out board --framework plain-c",
            "keras-sparse-rnn firmware wake.tflite command.tflite --out board",
            "keras-sparse-rnn firmware model.tflite --out src --single-file --cpu cortex-m4",
        ],
    )
    parser.add_argument("models", metavar="MODEL", nargs="+", help=".tflite files; a .keras file is converted first")
    parser.add_argument(
        "--data",
        metavar="X",
        help="recorded inputs, .npy, to convert a .keras file to int8 (without them to float32), and to compare the C "
        "of a .tflite file with the NumPy engine (without them on noise)",
    )
    parser.add_argument("-o", "--out", metavar="DIR", required=True, help="a new or empty folder")
    parser.add_argument(
        "--framework",
        choices=FRAMEWORKS,
        default="plain-c",
        help="kind of project; default: %(default)s, without an interpreter",
    )
    parser.add_argument(
        "--name",
        nargs="+",
        metavar="NAME",
        help="name of each model in the code; default: model, or the files' names for several models",
    )
    parser.add_argument(
        "--single-file", action="store_true", help="write plain C as one header and one source, for the processor --cpu"
    )
    parser.add_argument("--cpu", help="processor of a single file: cortex-m4, cortex-m0plus, rv32imc, x86-64, any, ...")
    parser.add_argument("--small", action="store_true", help="use kernels that take less flash and more instructions")
    parser.add_argument(
        "--threshold-scale",
        action="store_true",
        help="add NAME_set_threshold to plain C of delta networks, which scales the thresholds at run time",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _run(arguments):
    from keras_sparse_rnn.firmware import save_firmware
    from keras_sparse_rnn.progress import Progress

    names = arguments.name or (
        ["model"] if len(arguments.models) == 1 else [Path(path).stem for path in arguments.models]
    )
    if len(names) != len(arguments.models):
        raise ValueError(f"--name must give a name for each model; given: {len(names)} for {len(arguments.models)}.")
    if len(set(names)) < len(names):
        raise ValueError(f"--name must give each model a name of its own; given: {' '.join(names)}.")
    with Progress("firmware") as progress:
        data = None if arguments.data is None else load_arrays(arguments.data)
        models = {}
        for name, path in zip(names, arguments.models, strict=True):
            progress.show(f"reading {path}")
            models[name] = load_tflite(path, data)
        progress.show(f"writing {arguments.out}")
        inputs = data if data is None else _recorded(models, data, arguments.framework)
        options = {"single_file": arguments.single_file, "cpu": arguments.cpu, "small": arguments.small}
        options["threshold_scale"] = arguments.threshold_scale
        written = save_firmware(models, arguments.out, arguments.framework, inputs=inputs, **options)
    print(json.dumps(dataclasses.asdict(written), indent=2, default=str) if arguments.json else written)


def _recorded(models, data, framework):
    """Returns the inputs of each model on which plain C is compared, as for `save_firmware`."""
    if framework in ("plain-c", "library"):
        return {name: data if isinstance(model, bytes) else model.samples for name, model in models.items()}
    if all(isinstance(model, bytes) for model in models.values()):
        raise ValueError(
            "--data is for .keras files, which it converts, and for plain C, which is compared on it; "
            f"given: .tflite files and --framework {framework}. Leave it out."
        )
    return None
