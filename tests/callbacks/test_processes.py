"""Masks in a training that two processes share: each has its share of the data, and both the same masks."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_sparse_rnn

# One process: the whole batch on one device. Two: half of it each; ModelParallel splits the units between them, too.
TRAIN = """
import sys, keras, numpy as np
from keras_sparse_rnn import callbacks, schedules, sparsity
kind, rank, processes, port, results = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
if processes > 1:
    keras.distribution.initialize(f"127.0.0.1:{port}", processes, rank)
    devices = keras.distribution.list_devices()
    assert len(devices) == processes
    if kind == "DataParallel":
        distribution = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    else:
        mesh = keras.distribution.DeviceMesh((1, processes), ["batch", "model"], devices)
        layout = keras.distribution.LayoutMap(mesh)
        layout[".*gru_cell/.*kernel"] = (None, "model")
        layout[".*conv/kernel"] = (None, None, "model")
        distribution = keras.distribution.ModelParallel(
            layout_map=layout, batch_dim_name="batch", auto_shard_dataset=False
        )
    keras.distribution.set_distribution(distribution)
keras.utils.set_random_seed(3)
model = keras.Sequential([
    keras.Input((4, 3)),
    keras.layers.Conv1D(8, 2, name="conv"),
    keras.layers.GRU(8, return_sequences=True, name="first"),
    keras.layers.GRU(8, name="second"),
    keras.layers.Dense(2),
])
model.compile(keras.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9), "mse")
pruning = callbacks.MagnitudePruning(schedules.PolynomialDecay(0.0, 0.75, 1, 6, frequency=1), (1, 2), layers="first")
convolution = callbacks.MagnitudePruning(schedules.ConstantSparsity(0.5, 2), layers="conv", pattern=(1, 2))
growing = callbacks.RigL(0.25, 0.3, frequency=3, layers="second")
x, y = np.split(np.random.default_rng(0).normal(size=(32, 4, 5)).astype("float32"), [3], axis=2)
batch = 8
if kind == "DataParallel":
    batch //= processes
    x, y = (a.reshape(4, processes, batch, 4, -1)[:, rank].reshape(4 * batch, 4, -1) for a in (x, y))
model.fit(x, y[:, 0], batch_size=batch, epochs=2, verbose=0, shuffle=False, callbacks=[pruning, convolution, growing])
if kind == "ModelParallel" and processes > 1:
    assert [not w.value.is_fully_replicated for w in model.weights[:4]] == [True, False, True, True]
if processes > 1:
    from jax.experimental import multihost_utils
    weights = [multihost_utils.process_allgather(w.value, tiled=True) for w in model.weights]
else:
    weights = model.get_weights()
np.savez(results, *weights)
"""

# `MultiWorkerMirroredStrategy` in a loop of its own: Keras's `fit` fails under it.
LOOP = """
import sys, numpy as np, tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy() if len(sys.argv) > 2 else tf.distribute.get_strategy()
import keras
import keras_sparse_rnn as ksr
x, y = np.split(np.random.default_rng(0).normal(size=(32, 4, 5)).astype("float32"), [3], axis=2)
keras.utils.set_random_seed(3)
with strategy.scope():
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(8), keras.layers.Dense(2)])
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
pruner = ksr.Pruner(model, ksr.schedules.PolynomialDecay(0.0, 0.75, 1, 6, frequency=1), optimizer=optimizer)

@tf.function
def train(batch):
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(x, training=True) - y)) / 8
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
    strategy.run(step, batch)

data = tf.data.Dataset.from_tensor_slices((x, y[:, 0])).batch(8).repeat(2)
for batch in strategy.experimental_distribute_dataset(data):
    train(batch)
    pruner.step()
pruner.finish()
np.savez(sys.argv[1], *model.get_weights())
"""


def start(script, *arguments, **variables):
    folder = Path(keras_sparse_rnn.__file__).parents[1]
    command = [sys.executable, "-c", script, *map(str, arguments)]
    environment = {**os.environ, **variables}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=-1, stderr=subprocess.STDOUT, text=True)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()
    return ports


def weights_of(runs, paths):
    """What each process has saved."""
    for run in runs:
        text, _ = run.communicate(timeout=300)
        assert run.returncode == 0, text
    return [list(np.load(path).values()) for path in paths]


def assert_alike(first, second, alone):
    for one, other, single in zip(first, second, alone, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one != 0, single != 0)
        np.testing.assert_allclose(one, single, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["DataParallel", "ModelParallel"])
def test_two_processes_have_the_same_masks_and_the_weights_of_one(kind, tmp_path):
    pytest.importorskip("jax")
    [port], paths = free_ports(1), [tmp_path / f"{n}.npz" for n in range(3)]
    jax = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    runs = [start(TRAIN, kind, n, 2, port, paths[n], **jax) for n in range(2)]
    first, second, alone = weights_of([*runs, start(TRAIN, kind, 0, 1, port, paths[2], **jax)], paths)
    assert_alike(first, second, alone)
    assert [np.mean(weights == 0) for weights in first if weights.ndim > 1] == [0.5, 0.75, 0.75, 0, 0.75, 0.75, 0, 0]


@pytest.mark.slow
def test_a_loop_under_multi_worker_mirrored_strategy(tmp_path):
    pytest.importorskip("tensorflow")
    paths = [tmp_path / f"{n}.npz" for n in range(3)]
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    tasks = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": n}} for n in range(2)]
    tensorflow = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    runs = [start(LOOP, paths[n], "shared", TF_CONFIG=json.dumps(task), **tensorflow) for n, task in enumerate(tasks)]
    first, second, alone = weights_of([*runs, start(LOOP, paths[2], **tensorflow)], paths)
    assert_alike(first, second, alone)
    assert [np.mean(weights == 0) for weights in first if weights.ndim > 1][:2] == [0.75, 0.75]
