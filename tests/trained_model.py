"""A model that is trained and pruned on whatever backend runs."""

from pathlib import Path

import keras
import numpy as np
from event_models import sequences

import keras_sparse_rnn as ksr


def save_to(folder):
    """Writes model.keras, and what it makes of `sequences(64)` as outputs.npy."""
    x = sequences(64)
    rnn = [ksr.layers.EventGRU(16, return_sequences=True, name="events"), keras.layers.GRU(12, name="gru")]
    model = keras.Sequential([keras.Input(x.shape[1:]), *rnn, keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    pruning = ksr.callbacks.MagnitudePruning(ksr.schedules.ConstantSparsity(0.8, begin_step=0, frequency=1))
    model.fit(x, np.arange(64) % 3, batch_size=64, verbose=0, callbacks=[pruning])
    model.save(Path(folder, "model.keras"))
    np.save(Path(folder, "outputs.npy"), model.predict(x, verbose=0))
