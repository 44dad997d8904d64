"""Masks under distributed training, on two virtual devices, in a process of its own: Keras fixes its devices early."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import keras_sparse_rnn

BACKEND = keras.backend.backend()
TRAIN = """
import json, keras, numpy as np
from keras_sparse_rnn import callbacks, schedules, sparsity
class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []
    def on_train_batch_end(self, batch, logs=None):
        self.seen.append([sparsity.measure(self.model, "first"), sparsity.measure(self.model, "second")])
def build():
    keras.utils.set_random_seed(3)
    gru = keras.layers.GRU(8, return_sequences=True, name="first"), keras.layers.GRU(8, name="second")
    model = keras.Sequential([keras.Input((4, 3)), *gru, keras.layers.Dense(2)])
    model.compile(keras.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9), "mse")
    return model
def train(model):
    pruning = callbacks.MagnitudePruning(schedules.ConstantSparsity(0.75, begin_step=1), (1, 2), layers="first")
    growing = callbacks.RigL(0.25, 0.3, frequency=3, layers="second")
    x, y = np.split(np.random.default_rng(0).normal(size=(32, 4, 5)).astype("float32"), [3], axis=2)
    watch = Watch()
    both = [pruning, growing, watch]
    model.fit(x, y[:, 0], batch_size=8, epochs=2, verbose=0, shuffle=False, callbacks=both)
    return watch.seen
"""
MIRRORED = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = build()
seen = train(model)
replicas = [strategy.experimental_local_results(k.variable.value) for k in sparsity.find_kernels(model)[0]]
copies = [[w.numpy() for w in replica] for replica in replicas]
"""
DATA_PARALLEL = """
import jax
assert len(jax.devices()) == 2
keras.distribution.set_distribution(keras.distribution.DataParallel())
model = build()
seen = train(model)
shards = [k.variable.value.addressable_shards for k in sparsity.find_kernels(model)[0]]
copies = [[np.array(s.data) for s in shard] for shard in shards]
keras.distribution.set_distribution(None)
"""
REPORT = """
equal = all(len(c) == 2 and np.array_equal(*c) for c in copies)
alone = build()
train(alone)
distance = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), alone.get_weights(), strict=True))
same_masks = all(np.array_equal(a != 0, b != 0) for a, b in zip(model.get_weights(), alone.get_weights(), strict=True))
print(json.dumps([seen, equal, [float(np.mean(c[0] == 0)) for c in copies], float(distance), same_masks]))
"""


@pytest.mark.slow
@pytest.mark.backend_slow
@pytest.mark.skipif(BACKEND == "torch", reason="Keras on torch has no distribution within one process")
def test_masks_hold_on_every_replica_and_training_is_that_of_one_device():
    code = TRAIN + {"tensorflow": MIRRORED, "jax": DATA_PARALLEL}[BACKEND] + REPORT
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(keras_sparse_rnn.__file__).parents[1],
        env={**os.environ, "KERAS_BACKEND": BACKEND, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen, replicas_equal, zeros, distance, same_masks = json.loads(done.stdout.splitlines()[-1])
    assert seen == 8 * [[0.75, 0.75]]
    assert replicas_equal
    assert zeros == 4 * [0.75]
    assert distance < 1e-4
    assert same_masks
