"""What a step of a layer executes on emulated boards is what is recorded."""

import json
import sys
from pathlib import Path

import pytest

from keras_sparse_rnn.firmware.targets import TARGETS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import kernel_mcu

RECORDED = json.loads(kernel_mcu.RECORD.read_text())
FAST = [("GRU dense 24/12", "M4"), ("GRU dense 24/12", "M55"), ("LSTM dense 24/12", "M4"), ("GRU dense 24/12", "RV32")]
CASES = [(name, core) for name, cores in RECORDED.items() for core in cores]


def test_every_layer_of_the_table_is_recorded():
    assert {name: tuple(cores) for name, cores in RECORDED.items()} == dict.fromkeys(
        kernel_mcu.TABLE, kernel_mcu.TABLE_CORES
    )


@pytest.mark.parametrize(
    ("name", "core"), [pytest.param(*case, marks=[] if case in FAST else [pytest.mark.slow]) for case in CASES]
)
def test_instructions_of_a_step_are_as_recorded(name, core):
    """A change that saves more than that is to be recorded: `python benchmarks/kernel_mcu.py --table --record`."""
    target = TARGETS[kernel_mcu.CORES[core][0]]
    if missing := target.missing_tools():
        pytest.skip(f"{', '.join(missing)} not installed ({target.toolchain.install})")
    assert kernel_mcu.measure(name, core).mean_instructions == pytest.approx(RECORDED[name][core], rel=0.02)


@pytest.mark.parametrize("cell", ["GRU", pytest.param("LSTM", marks=pytest.mark.slow)])
def test_a_small_net_takes_little(cell):
    if missing := TARGETS["cortex-m4"].missing_tools():
        pytest.skip(f"{', '.join(missing)} not installed")
    seen = kernel_mcu.measure(f"{cell} dense 24/12", "M4", optimization="-Os", small=True)
    assert (seen.flash_bytes < 8000) and (seen.ram_bytes < 700)
