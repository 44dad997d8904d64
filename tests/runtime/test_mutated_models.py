"""A short run of the damaged models of `mutations.py`; `mutated_models.py` runs 10,000 as a command."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import mutated_models
import pytest
from mutated_models import build_sanitized_core, run_sanitized
from mutations import CHANGES, base_models, mutant

from keras_sparse_rnn import runtime

TOOL = Path(mutated_models.__file__)
HAS_TFLM = importlib.util.find_spec("tflite_micro") is not None
MANY = 400  # with `-m slow`


@pytest.mark.parametrize("count", [60, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "entries",
    [["native", "reference", "inspect", "firmware"], ["litert", "run", *(["tflm"] if HAS_TFLM else [])]],
    ids=" ".join,
)
def test_everything_that_takes_a_file_refuses_or_runs_it(entries, count):
    command = [sys.executable, TOOL, "--count", str(count), "--entries", *entries]
    run = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout
    _check(run.stdout, entries, count)


def _check(text, entries, count):
    results = re.findall(r"(\w+): (\d+) refused, (\d+) ran, (\d+) faults", text)
    assert [result[0] for result in results] == entries
    for _, refused, ran, faults in results:
        assert (int(refused) + int(ran), int(faults)) == (count, 0), text
        assert int(refused) > count // 3 and int(ran) > count // 10


@pytest.mark.slow
def test_the_core_under_sanitizers(tmp_path):
    try:
        core = build_sanitized_core(tmp_path)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no gcc with sanitizers: {error}")
    run = run_sanitized(["--count", str(MANY)], core)
    assert run.returncode == 0, run.stdout
    _check(run.stdout, ["native"], MANY)


def test_a_fault_is_seen(monkeypatch):
    """A child that dies, or raises something else than ValueError, is a fault, and the others go on."""

    def run(engine, number):
        if number == 2:
            raise AssertionError("number 2 raised TypeError")
        if number == 4:
            mutated_models.os.kill(mutated_models.os.getpid(), 9)
        return "ran"

    monkeypatch.setattr(mutated_models, "run", run)
    counts, faults = mutated_models.run_all("native", 6)
    assert counts == {"ran": 4, "refused": 0} and len(faults) == 2
    assert "raised TypeError" in faults[0] and "exit status -9" in faults[1]


def test_the_corpus_is_varied_and_its_bases_are_sound():
    labels = [mutant(number)[1] for number in range(300)]
    assert {label.split(", ")[-1] for label in labels} == {change.__name__ for change in CHANGES}
    for name, data in base_models():
        assert runtime.load(data, "litert").outputs, name
