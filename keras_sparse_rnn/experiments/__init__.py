"""What the demo, the examples and the benchmarks share: data sets, features, training, costs on a board.

    data      data sets for classification, split and standardised
    log_mel   the features of sound
    training  the nets, and the recipe by which all of them are trained
    board     bytes and instructions of a trained net on an emulated board

The library itself needs none of this.
"""
