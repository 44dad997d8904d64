"""`keras-sparse-rnn run`: runs a model on recorded inputs. Its Python counterparts are `predict` and `step` of the
engines that `keras_sparse_rnn.runtime.load` returns."""

import json

from keras_sparse_rnn.runtime import ENGINES
from keras_sparse_rnn.verbs import add_verb
from keras_sparse_rnn.verbs.files import check_out, is_keras, load_arrays, load_keras


def add(verbs):
    parser = add_verb(
        verbs,
        "run",
        _run,
        help="compute the outputs of a model for recorded inputs",
        description="Runs each sample from a clear state and writes or prints the outputs. A .keras model runs in "
        "Keras, a .tflite model in an engine. A stateful .tflite model takes sequences of any number of whole chunks, "
        "and returns one output per chunk.",
        examples=["keras-sparse-rnn run model.tflite --inputs x.npy --engine tflm -o y.npy"],
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite or .keras file")
    parser.add_argument("--inputs", metavar="X", required=True, help=".npy (samples, ...), or .npz for several inputs")
    parser.add_argument("--engine", choices=ENGINES, help="engine for a .tflite model; default: litert")
    parser.add_argument("-o", "--out", metavar="Y", help=".npy file to write, or .npz with the outputs by name")
    parser.add_argument("--json", action="store_true", help="print the outputs as JSON")


def _run(arguments):
    from keras_sparse_rnn.progress import Progress

    if arguments.out is not None:
        check_out(arguments.out, (".npy", ".npz"), arguments.model, arguments.inputs)
    x = load_arrays(arguments.inputs)
    with Progress("run") as progress:
        progress.show(f"reading {arguments.model}")
        run = _run_keras if is_keras(arguments.model) else _run_tflite
        outputs = run(arguments.model, arguments.engine, x, progress)
    if arguments.out is not None:
        _save(arguments.out, outputs)
    if arguments.json:
        print(json.dumps({name: values.tolist() for name, values in outputs.items()}))
    elif arguments.out is None:
        for name, values in outputs.items():
            print(f"{name} {values.shape}:\n{values}")


def _run_keras(path, engine, x, progress):
    """A dict of arrays by the outputs' names."""
    if engine is not None:
        raise ValueError("--engine is for a .tflite file; a Keras model runs in Keras. Leave it out.")
    import keras

    from keras_sparse_rnn.inputs import check_inputs

    model = load_keras(path)
    progress.show("running in Keras")
    outputs = model.predict(check_inputs("--inputs", model, x), verbose=0)
    return {f"output_{n}": values for n, values in enumerate(keras.tree.flatten(outputs))}


def _run_tflite(path, engine, x, progress):
    """A dict of arrays by the outputs' names."""
    import numpy as np

    from keras_sparse_rnn import runtime
    from keras_sparse_rnn.inputs import check_finite

    loaded = runtime.load(path, engine or "litert")
    names = [tensor.name for tensor in loaded.inputs]
    if isinstance(x, dict) and set(x) != set(names):
        raise ValueError(f"--inputs must hold the arrays {names}; given: {sorted(x)}.")
    columns = [x[name] for name in names] if isinstance(x, dict) else [x]
    if len({np.shape(values)[:1] for values in columns} | {(), (0,)}) != 3:
        raise ValueError(
            f"--inputs must hold samples, the same number for each input; given: {[c.shape for c in columns]}."
        )
    for name, values in zip(names, columns, strict=False):
        check_finite(f"--inputs for input '{name}'", values)
    stream = bool(loaded.model.metadata.get("stateful"))
    columns = [_chunks(values, loaded.inputs[0].shape[1]) if stream else values[:, None] for values in columns]
    batches = progress.count(range(0, len(columns[0]), loaded.batch_size), f"inferences in {engine or 'litert'}")
    results = [loaded.run_chunks([v[first : first + loaded.batch_size] for v in columns]) for first in batches]
    outputs = [np.concatenate(parts) for parts in zip(*results, strict=True)]
    for i, (values, tensor) in enumerate(zip(outputs, loaded.outputs, strict=True)):
        if not stream:
            outputs[i] = values[:, 0]
        elif (
            tensor.shape[1:2] == loaded.inputs[0].shape[1:2]
        ):  # a value at each step: chunks continue along its time axis
            outputs[i] = values.reshape(len(values), -1, *values.shape[3:])
    return dict(zip([tensor.name for tensor in loaded.outputs], outputs, strict=True))


def _chunks(values, size):
    """Reshapes sequences `(samples, steps, ...)` to `(samples, chunks, size, ...)`."""
    if values.ndim < 2 or not values.shape[1] or values.shape[1] % size:
        raise ValueError(f"a sample of --inputs must have a multiple of {size} steps; given: {values.shape[1:2]}.")
    return values.reshape(len(values), -1, size, *values.shape[2:])


def _save(path, outputs):
    import io

    import numpy as np

    from keras_sparse_rnn.files import write_file

    file = io.BytesIO()
    is_one = path.lower().endswith(".npy")
    if is_one and len(outputs) > 1:
        raise ValueError(f"a model of several outputs, {', '.join(outputs)}, needs an .npz file; given: '{path}'.")
    if is_one:
        np.save(file, *outputs.values())
    else:
        np.savez(file, **outputs)
    write_file(path, file.getvalue())
