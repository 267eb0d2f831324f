"""Where the bytes went: from the float32 file to the zipped one, and what the file holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st
from paretoscope.artifact.size_parts import PARTS, SizeReport
from paretoscope.cli.results import SIZES

from ui.base import plot, words
from ui.base.plot import Figure, Shape, Trace, bar, drawing, line_across, scatter
from ui.base.theme import BAR_COLOURS, Theme, camera, here, layout
from ui.parts import provenance
from ui.parts.progress import result_or_progress
from ui.state.address import View
from ui.state.subject import Subject

_PATTERNS = ("", "/", "x", ".")


@dataclass(frozen=True)
class SizeChart:
    """Exactly what the chart of sizes draws: bars with parts in bytes, and a bound beside them."""

    title: str
    finding: str
    recipe: str
    bars: tuple[tuple[str, tuple[int, ...]], ...]
    entropy_bytes: float
    provenance: str

    @property
    def alt(self) -> str:
        told = "; ".join(f"{name}: {words.size(sum(parts))}" for name, parts in self.bars)
        return f"Bytes at each step for {self.recipe}: {told}."


def show(subject: Subject, view: View, arguments: dict[str, Any]) -> None:
    """The steps, the parts, the layers, and how to unzip."""
    result = result_or_progress(subject, SIZES, arguments, "Size")
    if result is None:
        return
    source = provenance.of_subject(subject, len(subject.baseline.rows))
    record = size_chart(subject, view, result, source)
    plot.chart(
        size_figure(record, here()),
        key="sizes",
        alt=record.alt,
        config=camera(f"paretoscope-{view.file_name}-bytes"),
    )
    st.markdown(
        f"**{result.n_nonzero:,} of {result.n_weights:,}** weights are not zero. Coding each "
        "stored weight by how often its value occurs could bring the weights to "
        f"{words.size(result.entropy_bytes)} at best (zero-order entropy, without its table); "
        "gzip finds repeated stretches too, and packs biases and graph along."
    )
    st.dataframe(_steps(result), hide_index=True, height="content")
    st.dataframe(_layers(result), hide_index=True, height="content")
    st.caption(
        "Ratios are against the same kind of number of the uncompressed model: file against file, "
        "zipped against zipped. Zipped is gzip at level 9: `gunzip model.onnx.gz`, or "
        "`gzip.decompress` in Python, gives the file back; the runtime reads it unzipped.  \n"
        + provenance.caption(source)
    )


def size_chart(subject: Subject, view: View, result: SizeReport, source: str) -> SizeChart:
    """What the chart draws."""
    first, zeros, codes, file = result.steps
    before, now = (
        tuple(of_file[part] for part in PARTS) for of_file in (result.baseline_parts, result.parts)
    )
    bars = (
        ("float32 file", before),
        ("with zeros, still float32", (zeros.size_bytes - sum(before[1:]), *before[1:])),
        ("weights as stored", (codes.size_bytes, 0, 0, 0)),
        ("whole file", now),
        ("float32 file, zipped", (0, 0, 0, first.gzip_bytes or 0)),
        ("with zeros, zipped", (0, 0, 0, zeros.gzip_bytes or 0)),
        ("whole file, zipped", (0, 0, 0, file.gzip_bytes or 0)),
    )
    disk = words.smaller(file.size_bytes, first.size_bytes)
    zipped = words.smaller(file.gzip_bytes or 0, first.gzip_bytes or 0)
    return SizeChart(
        f"{subject.dataset.title} · where the bytes are",
        f"on disk {disk}, zipped {zipped}",
        str(view.recipe),
        bars,
        result.entropy_bytes,
        source,
    )


def size_figure(record: SizeChart, theme: Theme) -> Figure:
    """Bars by step, stacked by part; zipped ones in one piece."""
    data: list[Trace] = []
    shapes: list[Shape] = []
    names = [name for name, _ in record.bars]
    zipped = [name.endswith("zipped") for name in names]
    for number, (part, colour, pattern) in enumerate(
        zip(PARTS, BAR_COLOURS, _PATTERNS, strict=True)
    ):
        values = [
            0 if z else parts[number] for z, (_, parts) in zip(zipped, record.bars, strict=True)
        ]
        data.append(_bar(names, values, part, colour, pattern))
    in_one = [sum(parts) if z else 0 for z, (_, parts) in zip(zipped, record.bars, strict=True)]
    data.append(_bar(names, in_one, "under gzip −9", "#CC79A7", "-"))
    data.append(
        scatter(
            x=[sum(parts) for _, parts in record.bars],
            y=names,
            mode="text",
            text=[f"  {words.size(sum(parts))}" for _, parts in record.bars],
            textposition="middle right",
            textfont={"color": theme.ink, "size": 12},
            cliponaxis=False,
            showlegend=False,
            hoverinfo="skip",
        )
    )
    dots = {"color": theme.quiet, "width": 1.4, "dash": "dot"}
    shapes.append(line_across("x", record.entropy_bytes, dots, "above"))
    lines = [record.finding, record.recipe, "dotted: entropy bound of the stored weights"]
    base = layout(theme, record.title, lines, 580, record.provenance, 176)
    base["margin"] |= {"r": 76, "t": base["margin"]["t"] + 50}
    base["legend"] |= {
        "traceorder": "normal",
        "x": -0.2,
        "entrywidth": 0.49,
        "entrywidthmode": "fraction",
    }
    return drawing(
        data,
        base,
        barmode="stack",
        xaxis={"title": {"text": "Bytes"}, "gridcolor": theme.grid, "zeroline": False},
        yaxis={"autorange": "reversed"},
        shapes=shapes,
    )


def _bar(names: list[str], values: list[int], name: str, colour: str, pattern: str) -> Trace:
    return bar(
        x=values,
        y=names,
        orientation="h",
        name=name,
        marker={"color": colour, "pattern": {"shape": pattern, "solidity": 0.25}},
        text=[f"{value:,} B" for value in values],
        textposition="none",
        hovertemplate=f"%{{y}}<br>{name}: %{{text}}<extra></extra>",
    )


def _steps(result: SizeReport) -> pd.DataFrame:
    first = result.steps[0]
    rows = []
    for step in result.steps:
        zipped = step.gzip_bytes
        rows.append(
            {
                "step": step.name,
                "bytes": f"{step.size_bytes:,}",
                "against float32": words.smaller(step.size_bytes, first.size_bytes),
                "bytes under gzip −9": "" if zipped is None else f"{zipped:,}",
                "against float32, zipped": ""
                if zipped is None
                else words.smaller(zipped, first.gzip_bytes or 0),
            }
        )
    return pd.DataFrame(rows)


def _layers(result: SizeReport) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "layer": layer.name,
                "weights": f"{layer.n_weights:,}",
                "not zero": f"{layer.n_nonzero:,}",
                "stored as": layer.storage,
                "bytes": f"{layer.size_bytes:,}",
                "entropy bound, bytes": f"{layer.entropy_bytes:,.0f}",
                "share of the file": words.percent(layer.size_bytes / result.steps[-1].size_bytes),
            }
            for layer in result.layers
        ]
    )
