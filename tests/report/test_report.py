"""The page, read as HTML and in a browser; its figures against those of the parts that measure."""

import html.parser
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from event_models import event_model, prune, sequences

import keras_sparse_rnn as ksr
from keras_sparse_rnn.cli import main
from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.progress import Progress
from keras_sparse_rnn.report.facts import gather

pytest.importorskip("bokeh")
pytest.importorskip("matplotlib")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="conversion needs TensorFlow")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def model_of(*layers):
    model = event_model([*layers, keras.layers.Dense(3, name="out")])
    for layer in layers:
        prune(layer, 0.7)
    return model


@pytest.fixture(scope="module")
def model():
    return model_of(ksr.layers.EventGRU(16, return_sequences=True, name="events"), keras.layers.GRU(8, name="gru"))


@pytest.fixture(scope="module")
def page(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert ksr.report(model, sequences(), path, cpu=None) == path
    return path


def facts_of(model, data=None, cpu=None, **options):
    return gather(model, data, cpu, options, Progress("report"))


class Reader(html.parser.HTMLParser):
    """Rows of the tables, and what the page would fetch."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.fetched, self._cell = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.fetched += [value for name, value in attributes if name in ("src", "srcset", "href")]
        if tag == "tr":
            self.rows.append([])
        self._cell = tag in ("td", "th") or (self._cell and tag == "button")
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self._cell:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag):
        self._cell = self._cell and tag not in ("td", "th")


def test_the_page_holds_everything_and_fetches_nothing(page, model):
    text = page.read_text()
    read = Reader(text)
    assert read.fetched and all(target.startswith("data:image/png;base64,") for target in read.fetched)
    rows = {(row[0], len(row)): row for row in read.rows}
    profile = ksr.profile(model, sequences())
    assert rows["events (EventGRU)", 12][1:3] == [
        f"{n:,}" for n in (profile.layers[0].weights, profile.layers[0].nonzero)
    ]
    assert rows["KsrGru", 10][1] == "gru" and rows["FULLY_CONNECTED", 10][4].endswith("%")
    assert [row[0] for row in read.rows].count("z") == 2
    for words in (
        "Memory map",
        "Ops to register",
        "<code>KsrEventGru</code>",
        "Drift",
        "events: first sample",
        "width=device-width",
    ):
        assert words in text
    assert "instructions: not asked for" in text
    assert len(re.findall("<figure>", text)) == 5


def test_effective_macs_are_those_that_count_macs_counts(model):
    facts = facts_of(model, sequences(4), weights="float32")
    counted = ksr.profiling.count_macs(model, sequences(4))
    assert [op.layer for op in facts.ops] == ["events", "gru", ""]
    for op, layer in zip(facts.ops, counted, strict=False):
        assert op.macs == pytest.approx(layer.dense) and op.effective_macs == pytest.approx(layer.effective)
    recorded = ksr.profiling.record_events(model, sequences(1))["events"][0]
    [(name, active)] = facts.events
    assert name == "events" and np.mean(active == recorded) > 0.99
    assert facts.ops[0].events == pytest.approx(recorded.mean(), abs=0.1)
    assert facts.drift.shape == (12,) and facts.drift.max() < 1e-4 and facts.drift_of == "gru"


def test_held_inputs_and_states_are_counted_too():
    model = model_of(ksr.layers.DeltaGRU(8, 0.8, 0.2, name="delta"))
    facts = facts_of(model, sequences(4), weights="float32", verify=False)
    [counted] = ksr.profiling.count_macs(model, sequences(4))
    assert facts.ops[0].effective_macs == pytest.approx(counted.effective, rel=0.02)
    assert facts.ops[0].events == pytest.approx(counted.activity, rel=0.02)


def test_a_tflite_file_without_data(model, tmp_path):
    path = tmp_path / "stream.tflite"
    ksr.convert(model, sequences(), stateful=True, time_steps=2, verify=False).save(path)
    assert main(["report", str(path), "-o", str(tmp_path / "page.html"), "--cpu", "none"]) == 0
    text = (tmp_path / "page.html").read_text()
    assert "effective MACs: no data given" in text and "needs the Keras model" in text
    facts = facts_of(path, sequences(2))
    assert facts.ops[0].effective_macs < facts.ops[0].macs and facts.events[0][1].shape == (12, 16)


@pytest.mark.slow
@pytest.mark.skipif(bool(qemu.missing_tools()), reason=f"{', '.join(qemu.missing_tools())} not installed")
def test_instructions_are_counted_by_op(model):
    facts = facts_of(ksr.convert(model, sequences(), verify=False).data, sequences(1), "m4")
    assert facts.bench.cpu == "cortex-m4" and all(op.instructions > 10 for op in facts.ops)
    assert facts.total("instructions") == pytest.approx(facts.bench.builds["-O2"].instructions, rel=0.1)


def test_without_the_tools_instructions_are_not_known(model, monkeypatch):
    monkeypatch.setattr(qemu, "missing_tools", lambda: ["qemu-system-arm"])
    facts = facts_of(ksr.convert(model, weights="float32", verify=False).data, cpu="m4")
    assert facts.unknown["instructions"] == "qemu-system-arm not installed" and facts.total("instructions") is None


def test_a_model_that_does_not_convert_is_shown_as_keras_has_it(tmp_path):
    model = event_model([keras.layers.GRU(8, activation=keras.ops.sin, name="waves"), keras.layers.Dense(3)])
    text = ksr.report(model, sequences(), tmp_path / "page.html").read_text()
    assert "the .tflite model: it does not convert: " in text and "waves (GRU)" in text
    assert "Memory map" not in text and "<figure>" in text


def test_bad_arguments(model, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="cpu must be None or one of .*; given: 'z80'"):
        ksr.report(model, path=tmp_path / "page.html", cpu="z80")
    with pytest.raises(FileNotFoundError, match="missing"):
        ksr.report(model, path=tmp_path / "missing" / "page.html")
    (tmp_path / "text.tflite").write_text("no model")
    with pytest.raises(ValueError, match=r"no \.tflite file"):
        ksr.report(tmp_path / "text.tflite", path=tmp_path / "page.html")
    monkeypatch.delitem(sys.modules, "keras_sparse_rnn.report.page", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)  # comes with bokeh
    with pytest.raises(ImportError, match=r'pip install "keras-sparse-rnn\[report\]"'):
        ksr.report(model, path=tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


# Sorts the last table by its second column, and says in the page's title what a reader would see.
LOOK = """
<script>
  addEventListener("load", () => setTimeout(() => {
    const table = [...document.querySelectorAll("table.sortable")].at(-1);
    const names = () => [...table.tBodies].map((body) => body.rows[0].cells[0].textContent + ":" + body.rows.length);
    const before = names();
    table.querySelectorAll("th button")[1].click();
    const down = names();
    table.querySelectorAll("th button")[1].click();
    const canvases = document.querySelectorAll("[data-root-id]").length;
    const drawn = Bokeh.documents.flatMap((d) => d.roots()).length;
    const ink = Bokeh.documents[0].roots()[0].xaxis?.[0]?.axis_label_text_color ?? "";
    document.title = JSON.stringify({ before, down, up: names(), canvases, drawn,
      wide: document.documentElement.scrollWidth > innerWidth, fetched: performance.getEntriesByType("resource")
        .filter((entry) => !entry.name.startsWith("data:")).length });
  }, 500));
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(page, width, tmp_path):
    looked = tmp_path / "looked.html"
    looked.write_text(page.read_text().replace("</body>", LOOK + "</body>"))
    options = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=20000"),
        *(f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},2000", "--dump-dom"),
        "--host-resolver-rules=MAP * ~NOTFOUND",
    )
    done = subprocess.run([CHROMIUM, *options, looked.as_uri()], capture_output=True, text=True, timeout=300)
    [title] = re.findall("<title>(.*?)</title>", done.stdout)
    seen = html.unescape(title)
    assert seen.startswith("{"), done.stderr[-2000:]
    assert '"before":["events (EventGRU):4","gru (GRU):4","out (Dense):1"]' in seen
    assert '"down":["events (EventGRU):4","gru (GRU):4","out (Dense):1"]' in seen
    assert '"up":["out (Dense):1","gru (GRU):4","events (EventGRU):4"]' in seen
    assert re.search(r'"canvases":(\d+),"drawn":\1,"wide":false,"fetched":0', seen), seen


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x[:0], r"data must have the shape \(samples, 2, 5\) with at least one sample"),
        (lambda x: x[..., :4], r"data must have the shape \(samples, 2, 5\) .*; given: \(3, 4, 4\)"),
        (lambda x: x[:, :3], r"data must have the shape \(samples, 2, 5\) .*; given: \(3, 3, 5\)"),
        (lambda x: x * np.nan, "data holds NaN or infinite values"),
    ],
    ids=["no samples", "other features", "part of a chunk", "NaN"],
)
def test_data_that_do_not_fit_a_tflite_model_are_refused(change, said, tmp_path):
    model = keras.Sequential([keras.Input((2, 5)), keras.layers.GRU(4)])
    data = ksr.convert(model, weights="float32", stateful=True, time_steps=2, verify=False).data
    x = np.ones((3, 4, 5), "float32")
    with pytest.raises(ValueError, match=said):
        ksr.report(data, change(x), tmp_path / "page.html", cpu=None)
    assert not list(tmp_path.iterdir())
