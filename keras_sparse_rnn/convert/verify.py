"""Holds a converted model to its Keras model.

Event layers are discontinuous: where a state lies within rounding of its threshold, one engine fires and another does
not, and from there the trajectories part, both right. So layers are compared step by step from the same state, and
whole sequences by statistics that a few such flips cannot move.
"""

import importlib.util

import numpy as np

from keras_sparse_rnn.runtime.event_gru import EventGruOptions
from keras_sparse_rnn.runtime.native import NativeOp

FLOAT_TOLERANCE = 1e-5
INT8_STEP_ERROR = 0.03  # mean distance of a state in [-1, 1]
INT8_EVENT_AGREEMENT = 0.9
OUTPUT_ERROR = 0.5  # mean distance of an output, in mean distances of Keras's outputs from their own mean
_STEPS = 256
_SAMPLES = 32


class VerificationError(Exception):
    """A converted model does not do what its Keras model does."""


def verify_layer(op, seen, report):
    """Compares an op with its Keras layer, each step from Keras's own state, and fills the layer's `report`.

    Raises:
        VerificationError: A step differs by more than rounding explains.
    """
    is_int8 = op.x_scale is not None
    single = EventGruOptions(**{**vars(op.options), "return_sequences": 0, "readout": 1})
    units, inputs = op.options.units, seen.x.shape[-1]
    y = np.zeros(units, np.int8 if is_int8 else np.float32)
    c = np.zeros(units, np.int16 if is_int8 else np.float32)
    x = np.zeros((1, 1, inputs), y.dtype)
    run = NativeOp("KsrEventGru", single.to_bytes(), [x, *op.constants, y, c], (1, units), y.dtype)

    threshold = op.constants[7] / 2**15 if is_int8 else op.constants[7]
    errors, distances, flips = [], [], []
    for x_t, events, cells, events_before, cells_before in _steps(seen, op.options.go_backwards):
        if is_int8:
            x[...] = np.clip(np.rint(x_t / op.x_scale.scale) + op.x_scale.zero_point, -128, 127)
            y[...] = np.clip(np.rint(events_before / op.event_scale), 0, 255) - 128
            c[...] = np.clip(np.rint(cells_before * 2**15), -(2**15), 2**15 - 1)
        else:
            x[...], y[...], c[...] = x_t, events_before, cells_before
        run([x, *op.constants, y, c])
        fired = y != (-128 if is_int8 else 0)
        after = c / 2**15 if is_int8 else c
        before_threshold = after + threshold * fired if op.options.reset else after
        expected = np.where(events != 0, events, cells)
        errors.append(np.abs(before_threshold - expected))
        distances.append(np.abs(expected - threshold))
        flips.append(fired != (events != 0))
    errors, distances, flips = np.array(errors), np.array(distances), np.array(flips)
    report.step_error, report.largest_step_error = float(errors.mean()), float(errors.max())
    report.event_agreement = float(1 - flips.mean())

    if is_int8:
        wrong = report.step_error > INT8_STEP_ERROR or report.event_agreement < INT8_EVENT_AGREEMENT
        allowed = f"a mean of {INT8_STEP_ERROR} and {INT8_EVENT_AGREEMENT:.0%} equal events"
    else:
        tolerance = FLOAT_TOLERANCE * max(1.0, float(np.abs(seen.x).max()))
        wrong = errors.max() > tolerance or (flips & (distances > tolerance)).any()
        allowed = f"at most {tolerance:.2g}"
    if wrong:
        raise VerificationError(
            f"layer '{report.name}' does not do what Keras does: from the same state, one step differs by "
            f"{report.step_error:.3g} in the mean and {report.largest_step_error:.3g} at most, with "
            f"{report.event_agreement:.2%} equal events; allowed: {allowed}. Check that representative_data covers the "
            "inputs in use; convert(..., verify=False) returns the model as it is."
        )


def _steps(seen, go_backwards):
    """`x, events, cells, events before, cells before` of single steps, spread over the samples."""
    per_sample = max(1, _STEPS // len(seen.x))
    for x, events, cells in zip(seen.x, seen.events, seen.cells, strict=True):
        x = x[::-1] if go_backwards else x
        zeros = np.zeros_like(events[:1])
        before = np.concatenate([zeros, events[:-1]]), np.concatenate([zeros, cells[:-1]])
        for t in np.unique(np.linspace(0, len(x) - 1, per_sample).astype(int)):
            yield x[t], events[t], cells[t], before[0][t], before[1][t]


def verify_outputs(converted, data, expected):
    """Runs the whole model in the interpreters, compares its outputs with Keras's and fills `converted.report`.

    Raises:
        VerificationError: The outputs have little to do with Keras's.
    """
    report = converted.report
    data, expected = [array[:_SAMPLES] for array in data], [array[:_SAMPLES] for array in expected]
    engines = ["litert"]
    if report.target == "tflm" and importlib.util.find_spec("tflite_micro"):
        engines.append("tflm")
    for name in engines:
        engine = converted.engine(name)
        outputs = engine.predict(data)
        outputs = [outputs] if len(engine.outputs) == 1 else outputs
        for tensor, ours, keras in zip(engine.outputs, outputs, expected, strict=True):
            _compare(report, name, tensor, ours, keras)
        report.engines.append(name)
    if "tflm" in engines:
        report.arena_bytes = converted.engine("tflm").memory["arena_size"]


def _compare(report, engine, tensor, ours, keras):
    error = np.abs(ours - keras)
    if not np.isfinite(error).all():
        raise VerificationError(f"output '{tensor.name}' in {engine} holds NaN or infinite values.")
    report.output_error = max(report.output_error or 0.0, float(error.mean()))
    if report.weights == "float32":
        # A flip changes the samples in which it happens, a fault changes all.
        by_sample = error.reshape(len(error), -1).max(axis=1)
        wrong = np.median(by_sample) > 1e-3 * max(1.0, float(np.abs(keras).max()))
    else:
        spread = np.abs(keras - keras.mean(axis=0)).mean() + 4 * tensor.scale
        wrong = error.mean() > OUTPUT_ERROR * spread + 4 * tensor.scale
    if wrong:
        raise VerificationError(
            f"output '{tensor.name}' in {engine} differs from Keras's by {error.mean():.3g} in the mean, "
            f"{error.max():.3g} at most, while every recurrent layer is right on its own. Try weights='float32', or "
            "more and more varied representative_data; convert(..., verify=False) returns the model as it is."
        )
    if keras.ndim == 2 and keras.shape[1] > 1:
        equal = float(np.mean(ours.argmax(axis=1) == keras.argmax(axis=1)))
        report.equal_decisions = equal if report.equal_decisions is None else min(report.equal_decisions, equal)
