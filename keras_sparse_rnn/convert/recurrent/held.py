"""Converts a DeltaHold in front of a recurrent or a Dense layer to a part of that layer's op."""

from dataclasses import replace

from keras_sparse_rnn.convert.recurrent.converter import LayerConverter, call_copy, check_layer, to_float32
from keras_sparse_rnn.convert.recurrent.holds import THRESHOLD_TYPES, change_rate, compare_held, counts
from keras_sparse_rnn.layers import DeltaDense


class HeldConverter(LayerConverter):
    """A recurrent layer that reads the output of a DeltaHold. Its states are the layer's own and the held x.

    Attributes:
        hold: The DeltaHold.
        reader: The `LayerConverter` behind it.
    """

    def __init__(self, hold, reader):
        super().__init__(reader.layer, reader.in_order)
        self.hold = hold
        self.reader = reader
        self.SENDS_EVENTS, self.STATES = reader.SENDS_EVENTS, reader.STATES

    @property
    def ranged(self):
        return self.reader.ranged

    def check(self, stateful):
        self.reader.check(stateful)
        if self.reader.HOLDS_INPUTS:
            raise ValueError(
                f"layer '{self.name}' ({type(self.layer).__name__}) holds its inputs itself: remove the DeltaHold "
                f"'{self.hold.name}' in front of it."
            )
        if getattr(self.layer, "rank", None) is not None:
            raise ValueError(
                f"layer '{self.name}' has rank={self.layer.rank!r}, so the DeltaHold '{self.hold.name}' in front of it "
                "cannot be converted: the values between two factors change in every step. Take it out, or train a "
                "layer without a rank."
            )
        check_layer(self.hold, {"return_state": False, "return_sequences": True}, stateful)
        if self.hold.go_backwards or self.layer.go_backwards:
            raise ValueError(
                f"layer '{self.hold.name}' and layer '{self.name}' behind it must both run forwards; one has "
                "go_backwards=True."
            )

    def check_initial(self):
        raise ValueError(
            f"layer '{self.name}' behind the DeltaHold '{self.hold.name}' is called with an initial state, which "
            "cannot be converted: the sums of its held values are part of the state. Let it begin at zero, or "
            "remove the DeltaHold."
        )

    def observe(self, x, name, stateful, initial=None, mask=None):
        held = call_copy(self.hold, x, mask=mask, name=f"{name}_held_x", activity_regularizer=None, stateful=stateful)
        return {**self.reader.observe(held, name, stateful, initial, mask), "held_x": held}

    def float32_op(self, block):
        return replace(self.reader.float32_op(block), input_threshold=to_float32(self.hold.threshold))

    def integer_op(self, block, x, output, seen, options):
        op = self.reader.integer_op(block, replace(x, is_held=True), output, seen, options)
        return replace(op, input_threshold=counts(to_float32(self.hold.threshold), x.scale, THRESHOLD_TYPES[x.bits]))

    def event_rate(self, states):
        return self.reader.event_rate(states)

    def input_rate(self, states):
        return change_rate(states["held_x"])

    def compare(self, op, ours, keras, x_scale):
        own = self.reader.compare(op, ours, keras, x_scale)
        return compare_held(op, own, [(ours["held_x"], keras["held_x"], x_scale)])


def dense_behind(hold, dense):
    """Returns a DeltaDense that does the same as a DeltaHold and the Dense behind it."""
    if hold.return_state or not hold.return_sequences:
        check_layer(hold, {"return_state": False, "return_sequences": True}, hold.stateful)
    thresholds = to_float32(hold.threshold).tolist()
    options = {"go_backwards": hold.go_backwards, "stateful": hold.stateful}
    return DeltaDense.from_dense(dense, input_threshold=thresholds, zero_output_for_mask=False, **options)
