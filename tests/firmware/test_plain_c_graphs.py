"""Random graphs in plain C, under AddressSanitizer and UndefinedBehaviorSanitizer, held to LiteRT and to NumPy."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import LiteRTOpByOp, random_graph

from keras_sparse_rnn.firmware import host_check
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.reference import ReferenceEngine

pytestmark = pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")

MANY = int(os.environ.get("KSR_GRAPHS", "40"))  # thousands find more
ANY = {
    "seed": st.integers(0, 2**32 - 1),
    "dtype": st.sampled_from([np.int8, np.float32]),
    "stateful": st.booleans(),
    "whole": st.sampled_from([False, False, True]),
}


@settings(max_examples=8, deadline=None, derandomize=True)
@given(**ANY)
def test_random_graphs_do_what_litert_does(kernels, tmp_path_factory, **graph):
    _check(kernels, tmp_path_factory, **graph)


@pytest.mark.slow
@settings(max_examples=MANY, deadline=None, derandomize=MANY < 1000)
@given(**ANY)
def test_many_random_graphs_do_what_litert_does(kernels, tmp_path_factory, **graph):
    _check(kernels, tmp_path_factory, **graph)


def _check(kernels, tmp_path_factory, seed, dtype, stateful, whole):
    data, made = random_graph(np.random.default_rng(seed), dtype, stateful, several=True)
    model = Model(data)
    code = PlainC(model, allow_streaming=not whole)
    folder = tmp_path_factory.mktemp("graph")
    kernels.write_beside(code, folder)
    for engine in (LiteRTOpByOp, ReferenceEngine):
        try:
            kernels.check(code, folder, engine=engine)
        except host_check.MismatchError as error:
            error.add_note(
                "\n".join([f"{engine.__name__}, streaming {code.is_streaming}: {code.time.obstacle}", *made])
            )
            raise
    shutil.rmtree(folder)
