"""int8 convolutions as calls of CMSIS-NN, which generated C makes where it is compiled with `KSR_CMSIS_NN=1`."""

import math

import numpy as np

from keras_sparse_rnn.firmware.dense_layers import fused_limits, scaling_numbers

_LANES = 16  # CMSIS-NN pads a column of values to whole vectors, of which it makes four at a time


def convolution_call(op, window, buffers):
    """Returns a CONV_2D or a DEPTHWISE_CONV_2D in C.

    Args:
        op: The `Operator`.
        window: Its `Window`.
        buffers: Its `Buffers`, which receives the constants.

    Returns:
        The statement.
    """
    x, weights, y = (buffers.tensors[i] for i in (*op.inputs[:2], op.outputs[0]))
    x_shape, y_shape = buffers.shape(op.inputs[0]), buffers.shape(op.outputs[0])
    is_depthwise = op.name == "DEPTHWISE_CONV_2D"
    outputs, channels, taps = y_shape[3], x_shape[3], math.prod(window.size)
    given = buffers.tensors[op.inputs[2]].data if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
    bias = np.zeros(outputs, np.int32) if given is None else given
    factors = np.broadcast_to(np.atleast_1d(x.scale * weights.scale / y.scale), outputs)
    multiplier, shift = zip(*map(scaling_numbers, factors), strict=True)
    low, high = fused_limits(op, y)

    def pair(rows_and_columns):
        return {"w": rows_and_columns[1], "h": rows_and_columns[0]}

    def size(shape):
        return dict(zip("nhwc", shape, strict=True))

    numbers = {"input_offset": -x.zero_point, "output_offset": y.zero_point}
    numbers |= {"ch_mult": outputs // channels} if is_depthwise else {}
    numbers |= {"stride": pair(window.strides), "padding": pair(window.before), "dilation": pair(window.dilation)}
    numbers |= {"activation": {"min": low, "max": high}}
    kind = "dw_conv" if is_depthwise else "conv"
    memory = f"KSR_CMSIS_NN_DEPTHWISE({taps}, {channels}, {outputs})"
    if not is_depthwise:
        memory = 4 * -(-taps * channels // _LANES) * _LANES
    scales = {
        name: f"(int32_t *){buffers.constant(f'cmsis_nn_{name}', np.array(values, np.int32))}"
        for name, values in (("multiplier", multiplier), ("shift", [31 - each for each in shift]))
    }
    context = {"buf": buffers.buffer("cmsis_nn_memory", memory, np.dtype(np.int8)), "size": memory}
    sizes = [size(x_shape), size(weights.shape), size((1, 1, 1, outputs)), size(y_shape)]
    structs = [
        buffers.struct(f"cmsis_nn_{c_type}", f"cmsis_nn_{part}", members)
        for c_type, part, members in (
            ("context", "context", context),
            (f"{kind}_params", "numbers", numbers),
            ("per_channel_quant_params", "scales", scales),
            *zip(["dims"] * 4, ("x", "filter", "outputs", "y"), sizes, strict=True),
        )
    ]
    context, numbers, scales, *sizes = (f"&{name}" for name in structs)
    x_size, filter_size, _, y_size = sizes
    values = (
        buffers.label(op.inputs[0]),
        buffers.constant("cmsis_nn_weights", weights.data),
        buffers.constant("cmsis_nn_bias", bias.astype(np.int32)),
        f"tensor_{op.outputs[0]}",
    )
    tensors = [part for of_tensor in zip(sizes, values, strict=True) for part in of_tensor]
    function = "arm_depthwise_conv_wrapper_s8" if is_depthwise else "arm_convolve_wrapper_s8"
    needed = f"{function}_get_buffer_size({numbers}, {x_size}, {filter_size}, {y_size})"
    buffers.checks.append(f"  if ({needed} > {memory}) return KSR_NOT_BUILT;\n")
    return f"{function}({', '.join([context, numbers, scales, *tensors])});"
