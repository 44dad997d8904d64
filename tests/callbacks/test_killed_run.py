"""A run that is killed and started again, with BackupAndRestore, ends as one that was not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse_rnn.callbacks import MagnitudePruning, RigL, SelfishRNN
from keras_sparse_rnn.schedules import CosineDecay, PolynomialDecay

STEPS, EPOCHS = 4, 5  # steps an epoch


class Kill(keras.callbacks.Callback):
    """As the system does it: no exception, no clean-up."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 3 * STEPS + 2:
            os.kill(os.getpid(), signal.SIGKILL)


def train(folder, *more):
    """One fit with all methods, each on its layer; the masks of two have just moved when the backup is written."""
    keras.utils.set_random_seed(7)
    first = layers.Dense(6, name="pruned"), layers.GRU(6, name="selfish")
    model = keras.Sequential([keras.Input((4, 3)), *first, layers.Dense(8, "relu", name="rigl"), layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.02), "mse")
    cosine = CosineDecay(0.5, 0.1, 0, STEPS * EPOCHS, frequency=STEPS)
    methods = [
        MagnitudePruning(PolynomialDecay(0.1, 0.75, 2, 18, frequency=3), layers="pruned"),
        SelfishRNN(0.25, cosine, layers="selfish"),
        RigL(0.25, cosine, layers="rigl"),
    ]
    backup = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    x, y = np.split(np.random.default_rng(0).normal(size=(16, 4, 5)).astype("float32"), [3], axis=2)
    history = model.fit(
        x, y[:, 0], batch_size=4, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[*methods, backup, *more]
    )
    return model.get_weights(), history.history["sparsity"]


@pytest.mark.slow
def test_killed_and_started_again_it_ends_as_if_it_never_stopped(tmp_path):
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_killed_run as test; "
    code += f"test.train({str(tmp_path / 'killed')!r}, test.Kill())"
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed, schedule = train(tmp_path / "killed")
    whole, whole_schedule = train(tmp_path / "whole")
    assert len(schedule) == 2
    assert schedule == whole_schedule[-2:]
    assert whole_schedule[0] < whole_schedule[-1]
    for a, b in zip(resumed, whole, strict=True):
        assert np.array_equal(a != 0, b != 0)
        np.testing.assert_allclose(a, b, atol=1e-6)
