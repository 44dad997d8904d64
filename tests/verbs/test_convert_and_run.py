"""The verbs `convert` and `run` against their Python twins."""

import inspect
import json

import keras
import numpy as np
import pytest
from event_models import event_model, prune, sequences

import keras_sparse_rnn as ksr
from keras_sparse_rnn.cli import _parser, main
from keras_sparse_rnn.runtime import ENGINES

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="conversion needs TensorFlow")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a model, its inputs and what the verb made of them."""
    folder = tmp_path_factory.mktemp("verbs")
    model = event_model([ksr.layers.EventGRU(16, return_sequences=True, name="events"), keras.layers.Dense(3)])
    prune(model.layers[0])
    model.save(folder / "model.keras")
    np.save(folder / "x.npy", sequences())
    given = [str(folder / "model.keras"), "--data", str(folder / "x.npy")]
    assert main(["convert", *given, "-o", str(folder / "whole.tflite")]) == 0
    assert main(["convert", *given, "--stateful", "--time-steps", "2", "-o", str(folder / "stream.tflite")]) == 0
    return folder


def test_each_argument_of_convert_is_an_option():
    options = vars(_parser().parse_args(["convert", "model.keras", "-o", "model.tflite"]))
    twin = inspect.signature(ksr.convert).parameters
    assert set(twin) - {"model", "representative_data"} <= set(options)
    for name in set(twin) & set(options) - {"model"}:
        assert options[name] == twin[name].default


def test_convert_writes_what_its_twin_makes(files, tmp_path, capsys):
    made = ksr.convert(keras.models.load_model(files / "model.keras"), sequences())
    written = ksr.runtime.load(files / "whole.tflite")
    np.testing.assert_array_equal(written.predict(sequences()), made.predict(sequences()))
    labels = tmp_path / "labels.npy"
    np.save(labels, np.zeros(sequences().shape[:2], int))
    arguments = [str(files / "model.keras"), "--data", str(files / "x.npy"), "-o", str(tmp_path / "model.tflite")]
    options = ["--weights", "float32", "--labels", "a", "b", "c", "--representative-labels", str(labels), "--json"]
    assert main(["convert", *arguments, *options]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["weights"] == "float32" and 0 <= report["accuracy"] <= 1
    assert report["inspection"]["file_bytes"] == (tmp_path / "model.tflite").stat().st_size


@pytest.mark.parametrize("engine", ENGINES)
def test_run_gives_what_the_engine_gives(engine, files, tmp_path, capsys):
    if engine == "tflm":
        pytest.importorskip("tflite_micro")
    y = tmp_path / "y.npy"
    given = ["--inputs", str(files / "x.npy"), "--engine", engine, "-o", str(y)]
    assert main(["run", str(files / "whole.tflite"), *given]) == 0
    whole = ksr.runtime.load(files / "whole.tflite", engine).predict(sequences())
    np.testing.assert_array_equal(np.load(y), whole)
    assert main(["run", str(files / "stream.tflite"), *given]) == 0
    np.testing.assert_allclose(np.load(y), whole, atol=1e-6)
    assert capsys.readouterr().out == ""


def test_run_in_keras_and_as_json(files, capsys):
    assert main(["run", str(files / "model.keras"), "--inputs", str(files / "x.npy"), "--json"]) == 0
    [values] = json.loads(capsys.readouterr().out).values()
    expected = keras.models.load_model(files / "model.keras").predict(sequences(), verbose=0)
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert main(["run", str(files / "whole.tflite"), "--inputs", str(files / "x.npy")]) == 0
    assert "(24, " in capsys.readouterr().out


def test_inputs_that_do_not_fit(files, tmp_path, capsys):
    x = tmp_path / "x.npy"
    for values, words in (np.zeros((2, 3)), "must have"), (np.float32(1), "must hold samples"):
        np.save(x, values)
        assert main(["run", str(files / "whole.tflite"), "--inputs", str(x)]) == 1
        assert words in capsys.readouterr().err
    np.save(x, np.full_like(sequences(), np.nan))
    assert main(["run", str(files / "whole.tflite"), "--inputs", str(x)]) == 1
    assert "holds NaN or infinite values" in capsys.readouterr().err
    np.save(x, sequences()[:, :3])
    assert main(["run", str(files / "stream.tflite"), "--inputs", str(x)]) == 1
    assert "multiple of 2 steps; given: (3,)" in capsys.readouterr().err


def test_summary_shows_a_tflite_file(files, capsys):
    assert main(["summary", str(files / "whole.tflite")]) == 0
    assert "KsrEventGru" in capsys.readouterr().out


def test_verbs_for_tflite_convert_a_keras_model_first(files, tmp_path, capsys):
    given = [str(files / "model.keras"), "--data", str(files / "x.npy"), "--json"]
    assert main(["inspect", *given]) == 0
    assert [op["name"] for op in json.loads(capsys.readouterr().out)["ops"]] == ["KsrEventGru", "FULLY_CONNECTED"]
    assert main(["firmware", *given, "-o", str(tmp_path / "board")]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["framework"] == "plain-c" and (tmp_path / "board" / "model.c").exists()


def test_a_damaged_keras_file_is_refused(files, tmp_path, capsys):
    damaged = tmp_path / "half.keras"
    damaged.write_bytes((files / "model.keras").read_bytes()[:3000])
    assert main(["convert", str(damaged), "-o", str(tmp_path / "half.tflite")]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(f"'{damaged}' is not a .keras file, or only a part of one: save the model again.")
    assert [path.name for path in tmp_path.iterdir()] == ["half.keras"]
