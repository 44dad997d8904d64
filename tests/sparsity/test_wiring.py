"""Which weights belong to a unit. What is made of that: tests/test_shrink.py, tests/test_unit_group_lasso.py."""

import keras
import numpy as np
import pytest

from keras_sparse_rnn.sparsity import Wiring


def stack():
    """GRU of 4 units, Dense of 2."""
    return keras.Sequential([keras.Input((5, 3)), keras.layers.GRU(4), keras.layers.Dense(2)])


def units_of(wiring, layer):
    return wiring.units[id(layer)][1]


def test_a_unit_has_a_column_of_each_gate_a_row_and_a_row_in_its_reader():
    model = stack()
    wiring = Wiring(model)
    (root,) = wiring.roots(units_of(wiring, model.layers[0].cell)[[2]])
    lines = {
        (variable.name, len(places), axis): np.flatnonzero(places == 0)
        for variable, axis, places in wiring.lines([root])
    }
    assert {name: places.tolist() for name, places in lines.items()} == {
        ("kernel", 12, 1): [2, 6, 10],
        ("recurrent_kernel", 12, 1): [2, 6, 10],
        ("recurrent_kernel", 4, 0): [2],
        ("kernel", 4, 0): [2],  # of the Dense
    }


def test_inputs_and_outputs_of_the_model_stay():
    model = stack()
    wiring = Wiring(model)
    assert wiring.roots(wiring.inputs[id(model)][0]).tolist() == [0, 0, 0]
    assert wiring.roots(units_of(wiring, model.layers[1])).tolist() == [0, 0]


def test_units_that_are_added_go_together():
    x = keras.Input((5, 3))
    one, other = keras.layers.GRU(4), keras.layers.LSTM(4)
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Add()([one(x), other(x)])))
    wiring = Wiring(model)
    roots = [wiring.roots(units_of(wiring, layer.cell)) for layer in (one, other)]
    assert roots[0].tolist() == roots[1].tolist() and len(set(roots[0])) == 4


def test_needed_is_what_reaches_an_output_and_is_not_always_zero():
    model = stack()
    gru, dense = model.layers
    kernel = np.ones((4, 2))
    kernel[1] = 0  # nothing reads unit 1, but units that are read do
    dense.kernel.assign(kernel)
    recurrent_kernel = np.ones((4, 12))
    gru.cell.recurrent_kernel.assign(recurrent_kernel)
    wiring = Wiring(model)
    roots = wiring.roots(units_of(wiring, gru.cell))
    assert wiring.needed()[roots].all()
    recurrent_kernel[1, [0, 2, 3, 4, 6, 7, 8, 10, 11]] = 0  # it feeds itself alone
    gru.cell.recurrent_kernel.assign(recurrent_kernel)
    assert Wiring(model).needed()[roots].tolist() == [True, False, True, True]


def test_what_cannot_be_followed_stays_and_is_named():
    x = keras.Input((5, 3))
    y = keras.layers.GRU(4, return_sequences=True, name="gru")(x)
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.LayerNormalization(name="norm")(y)))
    wiring = Wiring(model)
    assert wiring.roots(units_of(wiring, model.get_layer("gru").cell)).tolist() == [0, 0, 0, 0]
    assert "'norm' (LayerNormalization) may mix features" in wiring.skipped["gru"]


def test_subclassed_models_are_refused():
    class Model(keras.Model):
        pass

    with pytest.raises(ValueError, match="must be Sequential or Functional"):
        Wiring(Model())
