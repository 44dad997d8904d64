"""One step of the event GRU as a Keras cell."""

import keras
from keras import ops

from keras_sparse_rnn.initializers import Beta
from keras_sparse_rnn.layers.event_recurrence import EventRecurrence, trace_step

READOUTS = ("event", "cell", "trace")
THRESHOLD_MODES = ("sigmoid", "clipped")


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class EventGRUCell(keras.layers.Layer):
    """A GRU cell whose units send their state only when it exceeds a threshold.

        a = x W + b_x ;  q = y' R + b_r ;  z = sigma(a_z + q_z) ;  r = sigma(a_r + q_r) ;  g = tanh(a_h + r * q_h)
        c~ = z * c' + (1 - z) * g ;  e = [c~ > theta] ;  y = e * c~ ;  c = c~ - e * theta

    (' = the step before.) Gates, weights and their order are those of `keras.layers.GRUCell(reset_after=True)`, whose
    weights load unchanged: `kernel` W (features, 3 * units), `recurrent_kernel` R (units, 3 * units) and `bias` b_x and
    b_r (2, 3 * units). Each unit has a threshold theta: the weight `threshold_logit` or `threshold` (units,) gives it.

    The derivative of e is replaced by the surrogate height * max(0, 1 - |c~ - theta| / width). Gradients flow
    everywhere, through the reset and into the thresholds too.

    Source: Subramoney et al., "Efficient recurrent architectures through activity sparsity and sparse back-propagation
    through time", ICLR 2023, arXiv:2206.06178, in the form of its authors' code (EvNN).

    Args:
        units: Positive integer, number of units.
        activation: Activation of the candidate g. None is linear.
        recurrent_activation: Activation of the gates z and r. None is linear.
        use_bias: Whether there is a bias.
        kernel_initializer: Initializer of W.
        recurrent_initializer: Initializer of R.
        bias_initializer: Initializer of both biases.
        threshold_mode: "sigmoid" trains rho with theta = sigmoid(rho), in (0, 1). "clipped" trains theta itself, put
            back into [0, 1] after each update of the optimizer.
        threshold_initializer: Initializer of rho or theta. By default rho ~ Normal(-3, 0.5), most thresholds between
            0.02 and 0.12, or theta ~ Beta of mean 0.3. Small thresholds learn better: for fewer events use
            `EventPenalty` on `EventGRU`.
        trainable_threshold: False freezes the thresholds.
        surrogate_height: Height of the surrogate, at least 0.
        surrogate_width: Half-width of the surrogate in units of the state, positive (1 / epsilon in the paper).
        reset: Whether an event subtracts the threshold from the state.
        readout: What the cell returns: "event" the events y, "cell" the state c after the reset, "trace" a decaying
            trace of the events, trace = trace_decay * trace' + (1 - trace_decay) * y. The recurrence reads y always.
        trace_decay: Decay of the trace, in [0, 1).
        kernel_regularizer: Regularizer of W.
        recurrent_regularizer: Regularizer of R.
        bias_regularizer: Regularizer of the biases.
        kernel_constraint: Constraint of W.
        recurrent_constraint: Constraint of R.
        bias_constraint: Constraint of the biases.
        seed: Integer, seed of the default `threshold_initializer`.

    Call arguments:
        inputs: Tensor (batch, features).
        states: List of y and c, (batch, units) each, and of the trace if that is the readout.
        training: Not used; cells have it.

    Returns:
        The readout (batch, units), and the list of the new states.

    Raises:
        ValueError: an argument is out of its range.

    Under a mask, `keras.layers.RNN` on JAX repeats the first state, y, at masked steps, whatever the readout. For the
    other readouts use `EventGRU`, which repeats the readout on every backend.

    Example:

    >>> rnn = keras.layers.RNN([EventGRUCell(32), EventGRUCell(32)])
    >>> rnn(np.random.random((8, 20, 4))).shape
    (8, 32)
    """

    gates = 3

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        threshold_mode="sigmoid",
        threshold_initializer=None,
        trainable_threshold=True,
        surrogate_height=0.7,
        surrogate_width=1.0,
        reset=True,
        readout="event",
        trace_decay=0.9,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        seed=None,
        **kwargs,
    ):
        if not (isinstance(units, int) and units > 0):
            raise ValueError(f"`units` must be a positive integer. Received: units={units!r}")
        if threshold_mode not in THRESHOLD_MODES:
            raise ValueError(f"`threshold_mode` must be one of {THRESHOLD_MODES}. Received: {threshold_mode!r}")
        if not surrogate_height >= 0:
            raise ValueError(f"`surrogate_height` must be at least 0. Received: {surrogate_height}")
        if not surrogate_width > 0:
            raise ValueError(f"`surrogate_width` must be positive. Received: {surrogate_width}")
        if readout not in READOUTS:
            raise ValueError(f"`readout` must be one of {READOUTS}. Received: {readout!r}")
        if not 0 <= trace_decay < 1:
            raise ValueError(f"`trace_decay` must be in [0, 1). Received: {trace_decay}")
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.threshold_mode = threshold_mode
        if threshold_initializer is None:
            if threshold_mode == "sigmoid":
                threshold_initializer = keras.initializers.RandomNormal(-3.0, 0.5, seed=seed)
            else:
                threshold_initializer = Beta(0.3, seed=seed)
        self.threshold_initializer = keras.initializers.get(threshold_initializer)
        self.trainable_threshold = trainable_threshold
        self.surrogate_height = surrogate_height
        self.surrogate_width = surrogate_width
        self.reset = reset
        self.readout = readout
        self.trace_decay = trace_decay
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.seed = seed
        self.state_size = [units] * (3 if readout == "trace" else 2)
        self.output_size = units
        self.recurrence = EventRecurrence(
            self.activation, self.recurrent_activation, surrogate_height, surrogate_width, reset
        )

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units * 3),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units * 3),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(2, self.units * 3),
                name="bias",
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        sigmoid = self.threshold_mode == "sigmoid"
        self._threshold = self.add_weight(
            shape=(self.units,),
            name="threshold_logit" if sigmoid else "threshold",
            initializer=self.threshold_initializer,
            constraint=None if sigmoid else _UnitInterval(),
            trainable=self.trainable_threshold,
        )
        self.built = True

    @property
    def threshold(self):
        """The thresholds theta (units,): a tensor in "sigmoid" mode, the weight itself in "clipped" mode."""
        return ops.sigmoid(self._threshold) if self.threshold_mode == "sigmoid" else self._threshold

    @property
    def threshold_logit(self):
        """The weight rho (units,) of "sigmoid" mode, theta = sigmoid(rho)."""
        if self.threshold_mode != "sigmoid":
            raise AttributeError("`threshold_logit` exists with threshold_mode='sigmoid' only.")
        return self._threshold

    def project(self, inputs):
        """What the inputs give to z, r and h: three tensors (..., units) for inputs (..., features).

        The recurrent biases of z and r are added here, once for a whole sequence.
        """
        kernel = ops.convert_to_tensor(self.kernel)
        # A split copies: of the product for one step, of the smaller kernel for a sequence.
        if len(inputs.shape) == 2:
            gates = ops.split(ops.matmul(inputs, kernel), 3, axis=-1)
        else:
            gates = [ops.matmul(inputs, part) for part in ops.split(kernel, 3, axis=-1)]
        if self.use_bias:
            (b_z, b_r, b_h), (recurrent_b_z, recurrent_b_r, _) = (ops.split(self.bias[i], 3) for i in range(2))
            biases = (b_z + recurrent_b_z, b_r + recurrent_b_r, b_h)
            gates = [gate + bias for gate, bias in zip(gates, biases, strict=True)]
        return tuple(gates)

    def recurrent_weights(self):
        """R, the recurrent bias of the candidate, and theta, as tensors in the compute dtype."""
        bias = self.bias[1, 2 * self.units :] if self.use_bias else ops.zeros((self.units,), self.compute_dtype)
        return tuple(
            ops.cast(ops.convert_to_tensor(weight), self.compute_dtype)
            for weight in (self.recurrent_kernel, bias, self.threshold)
        )

    def call(self, inputs, states, training=False):
        new_states, _ = self.recurrence.step(self.project(inputs), states[:2], self.recurrent_weights())
        if self.readout == "trace":
            new_states = (*new_states, trace_step(new_states[0], states[2], self.trace_decay))
        return new_states[READOUTS.index(self.readout)], list(new_states)

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "recurrent_activation": keras.activations.serialize(self.recurrent_activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "threshold_mode": self.threshold_mode,
            "threshold_initializer": keras.initializers.serialize(self.threshold_initializer),
            "trainable_threshold": self.trainable_threshold,
            "surrogate_height": self.surrogate_height,
            "surrogate_width": self.surrogate_width,
            "reset": self.reset,
            "readout": self.readout,
            "trace_decay": self.trace_decay,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": keras.regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "recurrent_constraint": keras.constraints.serialize(self.recurrent_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "seed": self.seed,
        }


class _UnitInterval(keras.constraints.Constraint):
    def __call__(self, threshold):
        return ops.clip(threshold, 0.0, 1.0)
