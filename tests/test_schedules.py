import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_sparse_rnn
from keras_sparse_rnn.schedules import ConstantSparsity, PolynomialDecay

ROOT = Path(keras_sparse_rnn.__file__).parents[1]

CONFIGS = [
    ("ConstantSparsity", {"target_sparsity": 0.5, "begin_step": 0}),
    ("ConstantSparsity", {"target_sparsity": 0.9, "begin_step": 3, "end_step": 20, "frequency": 4}),
    ("PolynomialDecay", {"initial_sparsity": 0.0, "final_sparsity": 0.9, "begin_step": 0, "end_step": 250}),
    (
        "PolynomialDecay",
        {"initial_sparsity": 0.3, "final_sparsity": 0.8, "begin_step": 7, "end_step": 40, "power": 1, "frequency": 5},
    ),
    (
        "PolynomialDecay",
        {"initial_sparsity": 0.8, "final_sparsity": 0.1, "begin_step": 2, "end_step": 30, "power": 2.5, "frequency": 1},
    ),
]


def in_new_process(code, *args):
    """Runs `code` apart: importing tfmot makes tensorflow use Keras 2 from then on."""
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_equal_to_tfmot_at_every_step():
    theirs = in_new_process(
        """
import json, sys
import tensorflow_model_optimization as tfmot
def run(name, config):
    schedule = getattr(tfmot.sparsity.keras, name)(**config)
    return [[bool(due), float(value)] for due, value in map(schedule, range(300))]
print(json.dumps([run(*c) for c in json.loads(sys.argv[1])]))
""",
        json.dumps(CONFIGS),
    )
    for (name, config), expected in zip(CONFIGS, theirs, strict=True):
        schedule = getattr(keras_sparse_rnn.schedules, name)(**config)
        due, value = zip(*map(schedule, range(300)), strict=True)
        assert list(due) == [e[0] for e in expected]
        np.testing.assert_allclose(value, [e[1] for e in expected], atol=1e-6)


def test_tfmot_schedule_in_place_of_ours():
    sparsity = in_new_process(
        """
import json
import tensorflow_model_optimization as tfmot
import keras, numpy as np
from keras_sparse_rnn import callbacks, sparsity
model = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(8)])
model.compile("adam", "mse")
schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.75, begin_step=0, end_step=6, frequency=4)
pruning = callbacks.MagnitudePruning(schedule)
model.fit(np.ones((16, 4, 3)), np.ones((16, 8)), batch_size=2, verbose=0, callbacks=[pruning])
print(json.dumps(sparsity.measure(model)))
"""
    )
    assert sparsity == 0.75


@pytest.mark.parametrize(("name", "config"), CONFIGS)
def test_survives_serialization(name, config):
    schedule = getattr(keras_sparse_rnn.schedules, name)(**config)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(copy) is type(schedule)
    assert [copy(n) for n in range(60)] == [schedule(n) for n in range(60)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantSparsity(1.0, 0), r"target_sparsity=1.0: must be in \[0, 1\)"),
        (lambda: ConstantSparsity(-0.1, 0), "target_sparsity=-0.1"),
        (lambda: ConstantSparsity(float("nan"), 0), "target_sparsity=nan"),
        (lambda: ConstantSparsity(0.5, -1), "begin_step=-1: must be an integer >= 0"),
        (lambda: ConstantSparsity(0.5, 0.5), "begin_step=0.5"),
        (lambda: ConstantSparsity(0.5, 10, end_step=9), "ends before it begins: begin_step=10, end_step=9"),
        (lambda: ConstantSparsity(0.5, 0, frequency=0), "frequency=0: must be an integer >= 1"),
        (lambda: PolynomialDecay(0.0, 0.9, 0, -1), "must end"),
        (lambda: PolynomialDecay(0.0, 1.5, 0, 10), "final_sparsity=1.5"),
        (lambda: PolynomialDecay(2, 0.5, 0, 10), "initial_sparsity=2"),
        (lambda: PolynomialDecay(0.0, 0.5, 0, 10, power=0), "power=0: must be > 0"),
    ],
)
def test_refuses_what_makes_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()
