"""The table of the demo, for the terminal, as Markdown and as JSON."""

import dataclasses
import json

import rich.box
import rich.table

from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.demo.contest import ENGINES
from keras_sparse_rnn.experiments.training import BLOCK, SPARSITY


class Table:
    """A table with one column per net, one row per figure, and notes.

    Args:
        contest: A `Contest`.
        data, recipe: The `Data` and the `Recipe` of the training.
        quick: Whether the figures are meaningless.
    """

    def __init__(self, contest, data, recipe, quick):
        self._contest, self._data, self._recipe, self._quick = contest, data, recipe, quick

    @property
    def title(self):
        data = self._data
        return (
            f"{data.title}: {len(data.test)} test sequences, {len(data.classes)} classes, {data.inputs} every "
            f"{data.step_ms:g} ms"
        )

    @property
    def columns(self):
        """Name and kind of each net."""
        contest, pruned = self._contest, f"{100 * SPARSITY:g} % pruned"
        kinds = [(contest.event, pruned), (contest.dense, "dense"), (contest.pruned, pruned)]
        if contest.smallest:
            kinds.append((contest.smallest, "smallest dense, as accurate"))
        return [(f"{net.kind} {net.units}", kind) for net, kind in kinds]

    @property
    def rows(self):
        """Pairs of a label and a list with a text for each net."""
        nets = self._contest.shown

        def row(label, figure, form="{:,.0f}"):
            return label, [form.format(net.mean(figure)) for net in nets]

        percent = "{:.1%}"
        return [
            row("accuracy, float32", lambda run: run.accuracy, percent),
            *(
                row(f"accuracy, int8, {title}", lambda run, name=name: run.int8_accuracy[name], percent)
                for name, title in ENGINES.items()
            ),
            row("test loss, float32", lambda run: run.loss, "{:.3f}"),
            row("weights that are zero", lambda run: run.macs.sparsity, percent),
            row("units active in a step [1]", lambda run: run.macs.activity, percent),
            row("MACs per step, dense [1]", lambda run: run.macs.dense),
            row("MACs per step, effective [1]", lambda run: run.macs.effective),
            row("float32 parameters, bytes", lambda run: sum(weights.nbytes for weights in run.weights)),
            row("int8 .tflite file, bytes", _file_bytes),
            row("TFLM arena, bytes [2]", lambda run: run.converted.report.arena_bytes),
        ]

    @property
    def notes(self):
        """Notes that explain the figures."""
        contest, recipe = self._contest, self._recipe
        block = "x".join(map(str, BLOCK))
        means = f"means of {len(recipe.seeds)} runs" if len(recipe.seeds) > 1 else "of one run"
        tried = ", ".join(str(net.units) for net in contest.tried)
        found = "the last" if contest.smallest else "none"
        return [
            f"All nets were trained alike, {recipe.epochs} epochs, by a recipe that was chosen for the EventGRU; "
            f"figures are {means}. Pruned: both kernels, in {block} blocks, during fit.",
            f"As accurate: at most one standard error, {100 * contest.margin:.1f} points, below the EventGRU. Dense "
            f"GRUs of {tried} units were tried and {found} passed, judged on the test set itself, which favours them.",
            "[1] Of the recurrent layer, over the real steps of the test set, without the padding before a sequence. "
            "Effective: the non-zero weights fed by non-zero sources, counted step by step. In a GRU all sources "
            "count: its state is never zero. Besides, each net has 3 non-linearities per unit, which no sparsity "
            "saves.",
            "[2] On this machine, whose pointers have 64 bits: less on a microcontroller.",
        ]

    @property
    def verdict(self):
        """Sentences that compare the EventGRU with each of the other nets."""
        event, sentences = self._contest.event, []
        for net, (name, kind) in zip(self._contest.shown[1:], self.columns[1:], strict=True):
            ratio = net.effective_macs / event.effective_macs
            compared = f"{ratio:.1f} times fewer" if ratio >= 1 else f"{1 / ratio:.1f} times MORE"
            points = 100 * (event.accuracy - net.accuracy)
            size = event.mean(_file_bytes) / net.mean(_file_bytes)
            sentences.append(
                f"{compared} effective MACs than {name} ({kind}), {points:+.1f} points of accuracy, a file {size:.1f} "
                "times as large."
            )
        if self._contest.smallest is None:
            sentences.append("No smaller dense GRU that was tried is as accurate.")
        if self._quick:
            sentences.append("--quick trains for a moment only: these figures mean nothing.")
        return [f"{event.kind} {event.units} against the others:", *(f"- {sentence}" for sentence in sentences)]

    def show(self, console):
        """Prints the table."""
        table = rich.table.Table(title=self.title, title_justify="left", box=rich.box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("", no_wrap=True)
        for name, kind in self.columns:
            table.add_column(f"{name}\n[dim]{kind}[/dim]", justify="right")
        for label, texts in self.rows:
            table.add_row(rich.markup.escape(label), *texts)
        console.print(table)
        for note in self.notes:
            console.print(note, markup=False, style="dim")
        console.print()
        for line in self.verdict:
            console.print(line, markup=False, style="bold")

    def markdown(self):
        """Returns the table in Markdown."""
        lines = [f"**{self.title}**", ""]
        lines.append("| | " + " | ".join(f"{name}, {kind}" for name, kind in self.columns) + " |")
        lines.append("|---|" + "---:|" * len(self.columns))
        lines += [f"| {label} | " + " | ".join(texts) + " |" for label, texts in self.rows]
        verdict, *sentences = self.verdict
        return "\n\n".join(["\n".join(lines), *self.notes, verdict, "\n".join(sentences)]) + "\n"

    def json(self):
        """Returns all figures of all runs, including those of the smaller GRUs that were not accurate enough."""
        contest = self._contest
        nets = [contest.event, contest.dense, contest.pruned, *contest.tried]
        figures = {
            "version": __version__,
            "quick": self._quick,
            "data": self._data.title,
            "step_ms": self._data.step_ms,
            "recipe": dataclasses.asdict(self._recipe),
            "margin": contest.margin,
            "smallest": contest.smallest and contest.smallest.name,
            "nets": {net.name: [_figures(run) for run in net.runs] for net in nets},
        }
        return json.dumps(figures, indent=1)


def _file_bytes(run):
    return len(run.converted.data)


def _figures(run):
    figures = {
        "accuracy": run.accuracy,
        "loss": run.loss,
        "sparsity": run.macs.sparsity,
        "activity": run.macs.activity,
        "dense_macs": run.macs.dense,
        "effective_macs": run.macs.effective,
        "float_bytes": sum(weights.nbytes for weights in run.weights),
    }
    if run.converted:
        figures["int8_accuracy"] = run.int8_accuracy
        figures["tflite_bytes"] = _file_bytes(run)
        figures["arena_bytes"] = run.converted.report.arena_bytes
    return figures
