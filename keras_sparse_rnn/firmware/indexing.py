"""Indices of values in a tensor, as C expressions."""


def index(shape, view, counter="i"):
    """Returns the C expression for the index of a value.

    Args:
        shape: Shape that the counter runs over, the last axis first.
        view: A `runtime.views.View` of that shape.
        counter: The C variable.

    Returns:
        An expression such as `"6 + i / 4 * 12 + i % 4"`.
    """
    axes = []  # [size, stride], those that go on where the last one ends as one
    for size, stride in zip(shape, view.strides, strict=True):
        if size == 1:
            continue
        if axes and axes[-1][1] == size * stride:
            axes[-1] = [axes[-1][0] * size, stride]
        else:
            axes.append([size, stride])
    terms, inner = [], 1
    for place, (size, stride) in enumerate(reversed(axes)):
        term = counter if inner == 1 else f"{counter} / {inner}"
        term += f" % {size}" if place < len(axes) - 1 else ""
        terms += [term if stride == 1 else f"{term} * {stride}"] if stride else []
        inner *= size
    if view.offset or not terms:
        terms.append(str(view.offset))
    return " + ".join(reversed(terms))
