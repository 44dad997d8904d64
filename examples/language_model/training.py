"""Training of a preset from epoch to epoch, with checkpoints that survive a kill."""

import dataclasses
import json
import math
import time

import keras
import numpy as np

import keras_sparse_rnn as ksr
from language_model.corpus import in_rows, windows
from language_model.network import build
from language_model.report import cost, line
from language_model.steps import LONGEST_RUN, STEPS

VALIDATION_ROWS = 10  # read side by side


def train(preset, corpus, folder, seed=0, start=None, resume=False):
    """Trains a network; the weights of its best validation are left in `folder/best.weights.h5`.

    Args:
        preset: A `Preset`.
        corpus: A `Corpus`.
        folder: Path of an existing folder.
        seed: Integer.
        start: File of weights to begin with, or None.
        resume: Whether to go on after the last checkpoint in `folder`, if there is one; else there must be none.
    """
    keras.utils.set_random_seed(seed)
    model = build(preset, len(corpus.words), preset.batch)
    if preset.bias_by_frequency:
        model.layers[-1].start_at(np.bincount(corpus.train, minlength=len(corpus.words)))
    if start:
        model.load_weights(start)
    validation = Evaluation(preset, corpus, corpus.valid, VALIDATION_ROWS)
    text = in_rows(corpus.train, preset.batch)
    steps = len(windows(text.shape[1], preset.window, preset.random_windows, np.random.default_rng(0))[0])
    callbacks = sparsifiers(preset, model, steps)
    model.compile(optimizer(preset, model))
    model.optimizer.build(model.trainable_variables)
    checkpoint = Checkpoint(folder, model, {"preset": described(preset), "seed": seed})
    if checkpoint.path.exists() and not resume:
        raise SystemExit(f"{folder} holds a run: go on with it by --resume, or give another folder by --out.")
    # The callbacks count from the beginning of the run: they meet the model before a checkpoint brings in its count.
    listed = keras.callbacks.CallbackList(callbacks, model=model, epochs=preset.epochs, steps=steps)
    first, best = checkpoint.restore()

    training = STEPS[keras.backend.backend()](model, text, model.optimizer)
    save, measure = Sparingly(checkpoint.save), Sparingly(cost)
    listed.on_train_begin()
    for epoch in range(first, preset.epochs):
        began = time.perf_counter()
        rng = np.random.default_rng([seed, epoch])
        starts, lengths = windows(text.shape[1], preset.window, preset.random_windows, rng)
        rates = (preset.rate * preset.decay(epoch, preset.epochs) * lengths / preset.window).astype("float32")
        listed.on_epoch_begin(epoch)
        training.masked = [kernel.variable for c in callbacks if hasattr(c, "masks") for kernel in c.masks.kernels]
        training.reset()
        total = 0.0
        for i, run in enumerate(training.runs(lengths)):
            total += training.train(starts[run], lengths[run], rates[run])
            listed.on_train_batch_end(i, {})
        words = len(text) * int(lengths.sum())
        logs = {"loss": float(total) / words, "words_a_second": words / (time.perf_counter() - began)}
        if not math.isfinite(logs["loss"]):
            raise SystemExit(f"The loss of epoch {epoch + 1} is {logs['loss']}: training has diverged.")
        listed.on_test_begin()
        logs["val_loss"] = validation.loss(model)
        listed.on_epoch_end(epoch, logs)
        # An epoch before the last weights are pruned does not count.
        if logs["val_loss"] < best and logs.get("sparsity", 1) > preset.sparsity - 0.005:
            best = logs["val_loss"]
            checkpoint.save_best()
        last = epoch + 1 == preset.epochs
        save(epoch + 1, best, always=last)
        costs = measure(preset, model, corpus, corpus.valid[:5000], always=last)
        print(line(epoch, preset, logs, costs), flush=True)
    listed.on_train_end()


class Sparingly:
    """Calls a function the first time, and then only so often that it takes at most a twentieth of the time."""

    def __init__(self, function):
        self.function = function
        self.began = time.perf_counter()
        self.spent = 0.0

    def __call__(self, *arguments, always):
        now = time.perf_counter()
        if not always and self.spent > (now - self.began) / 20:
            return None
        result = self.function(*arguments)
        self.spent += time.perf_counter() - now
        return result


class Checkpoint:
    """All that training goes on from after an epoch, in one file that is replaced as a whole."""

    def __init__(self, folder, model, run):
        self.path = folder / "training.npz"
        self.best_path = folder / "best.weights.h5"
        self.model = model
        self.run = run

    def save(self, epoch, best):
        slots = {}
        self.model.optimizer.save_own_variables(slots)
        arrays = {f"model/{i}": variable for i, variable in enumerate(self.model.variables)}
        arrays |= {f"optimizer/{name}": value for name, value in slots.items()}
        arrays = {name: keras.ops.convert_to_numpy(value) for name, value in arrays.items()}
        new = self.path.with_suffix(".new.npz")
        np.savez(new, progress=json.dumps({**self.run, "epoch": epoch, "best": best}), **arrays)
        new.replace(self.path)

    def save_best(self):
        new = self.best_path.with_name("new.weights.h5")
        self.model.save_weights(new)
        new.replace(self.best_path)

    def restore(self):
        """The number of complete epochs and the best validation loss; (0, inf) if nothing was saved yet."""
        if not self.path.exists():
            return 0, math.inf
        with np.load(self.path) as saved:
            progress = json.loads(str(saved["progress"]))
            for name, value in self.run.items():
                if progress[name] != value:
                    raise SystemExit(f"--resume: {self.path} is of {name}={progress[name]}, not {value}.")
            for i, variable in enumerate(self.model.variables):
                variable.assign(saved[f"model/{i}"])
            slots = {name.split("/")[1]: saved[name] for name in saved.files if name.startswith("optimizer/")}
        self.model.optimizer.load_own_variables(slots)
        return progress["epoch"], progress["best"]


def described(preset):
    """What a preset has of numbers and names, as JSON keeps it."""
    values = dataclasses.asdict(dataclasses.replace(preset, cell_options={}, last_cell_options={}))
    return json.loads(json.dumps({name: value for name, value in values.items() if not callable(value)}))


class Evaluation:
    """The loss of a text, read in rows from zero states and in windows as in training."""

    def __init__(self, preset, corpus, text, rows):
        self.model = build(preset, len(corpus.words), rows)
        self.steps = STEPS[keras.backend.backend()](self.model, in_rows(text, rows))
        self.starts, self.lengths = self._windows(in_rows(text, rows).shape[1], preset.window)

    def loss(self, model):
        """The mean negative log-likelihood of a word under a model with the same weights, by all words."""
        self.model.set_weights(model.get_weights())
        self.steps.reset()
        runs = self.steps.runs(self.lengths)
        total = sum(float(self.steps.evaluate(self.starts[run], self.lengths[run])) for run in runs)
        return total / (self.model.input_shape[0] * int(self.lengths.sum()))

    @staticmethod
    def _windows(columns, window):
        starts = np.arange(0, columns - 1, window, dtype="int32")
        return starts, np.minimum(window, columns - 1 - starts).astype("int32")


def evaluate(preset, corpus, weights):
    """Perplexities and cost of the weights in a file; the test is read in one row, as in the papers."""
    model = build(preset, len(corpus.words))
    model.load_weights(weights)
    losses = {
        "valid": Evaluation(preset, corpus, corpus.valid, VALIDATION_ROWS).loss(model),
        "test": Evaluation(preset, corpus, corpus.test, 1).loss(model),
    }
    perplexities = {part: math.exp(loss) for part, loss in losses.items()}
    return {**perplexities, **cost(preset, model, corpus, corpus.test[:20_000])}


def sparsifiers(preset, model, steps):
    """The callbacks that make a model sparse, for a training of so many steps an epoch."""
    total, layers = steps * preset.epochs, (lambda layer: True) if preset.everything else None
    schedules, density, method = ksr.schedules, 1 - preset.sparsity, preset.method
    after = [ksr.callbacks.NonMonotonicTrigger()] if preset.optimizer == "snt-asgd" else []
    if method == "unit-lasso":
        ksr.regularizers.UnitGroupLasso(preset.lasso).add_to(model)
    if method in (None, "unit-lasso"):
        return after
    if method == "magnitude":
        begin, end = (round(share * total) for share in preset.ramp)
        schedule = schedules.PolynomialDecay(0.0, preset.sparsity, begin, end, frequency=LONGEST_RUN)
        return [ksr.callbacks.MagnitudePruning(schedule, layers=layers), *after]
    # Weights are exchanged at the beginning of an epoch: what has just grown is not evaluated yet.
    if method == "selfish":
        schedule = schedules.CosineDecay(preset.drop_fraction, 0.005, steps + 1, max(steps + 1, total), frequency=steps)
        return [ksr.callbacks.SelfishRNN(density, schedule, layers=layers), *after]
    if method == "set":
        schedule = schedules.CosineDecay(0.3, 0.3, steps + 1, max(steps + 1, total), frequency=steps)
        return [ksr.callbacks.SET(density, schedule, layers=layers), *after]
    schedule = schedules.CosineDecay(0.3, 0.0, 0, round(0.75 * total), frequency=100)
    return [ksr.callbacks.RigL(density, schedule, layers=layers), *after]


def optimizer(preset, model):
    """The optimizer of a preset, with what it adds to the weights of a model; thresholds have no weight decay."""
    for variable in model.trainable_variables if preset.zero_below else []:
        if len(variable.shape) == 2:
            variable.constraint = ZeroBelow(preset.zero_below)
    arguments = {"global_clipnorm": preset.clip}
    if preset.optimizer == "snt-asgd":
        return ksr.optimizers.SNTASGD(preset.rate, weight_decay=preset.weight_decay, **arguments)
    if preset.optimizer == "sgd":
        return keras.optimizers.SGD(preset.rate, **arguments)
    arguments |= {"beta_1": preset.beta_1, "beta_2": 0.999, "epsilon": 1e-8}
    if preset.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(preset.rate, weight_decay=preset.weight_decay, **arguments)
        optimizer.exclude_from_weight_decay(var_names=["threshold"])
        return optimizer
    for variable in model.trainable_variables:
        if "threshold" not in variable.name:
            variable.regularizer = keras.regularizers.L2(preset.weight_decay / 2)
    return keras.optimizers.Adam(preset.rate, **arguments)


class ZeroBelow(keras.constraints.Constraint):
    """Sets weights of smaller magnitude to zero after each update, as ISS does."""

    def __init__(self, smallest):
        self.smallest = smallest

    def __call__(self, w):
        w = keras.ops.convert_to_tensor(w)
        return keras.ops.where(keras.ops.abs(w) < self.smallest, 0.0, w)
