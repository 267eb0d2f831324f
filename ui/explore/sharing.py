"""What leaves the page: the link, a report as one file, the raw rows as tables."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st
from paretoscope.artifact.artifact import compress, zipped
from paretoscope.data.own_data import is_own
from paretoscope.measurement.measurement import Measured, Measurement, measure
from paretoscope.measurement.provenance import to_json
from paretoscope.methods.recipe import Recipe
from paretoscope.network.outline import Outline
from paretoscope.problems.problems import spoken
from paretoscope.sweeps.export import ENDINGS, per_repeat, table

from ui.base import plot, words
from ui.base.plot import SCRIPT
from ui.base.theme import DARK, LIGHT, camera, here
from ui.parts import charts, figures, grid, pins, provenance
from ui.parts.headline import headline, sentence
from ui.state import server
from ui.state.address import View
from ui.state.measuring import MeasuringService
from ui.state.subject import Subject
from ui.state.view import link_to_copy

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a}table{border-collapse:collapse;font-size:14px}td,th{border:1px solid #ddd;"
    "padding:.3rem .6rem;text-align:left}code{background:#f4f6f8;padding:.1rem .3rem}"
    ".quiet{color:#5f5f5f;font-size:13px}.wide{overflow-x:auto}code{overflow-wrap:anywhere}"
    "@page{size:A4;margin:14mm}@media print{body{margin:0;font-size:12px}h1{font-size:20px}"
    ".plotly-graph-div{break-inside:avoid}table{font-size:10px}}"
)
_MIMES = {".csv": "text/csv", ".parquet": "application/octet-stream", ".json": "application/json"}


def share_button(
    view: View,
    subject: Subject,
    title: str,
    curve: Sequence[Recipe],
    link: str,
    file: Callable[[], bytes] | None,
) -> None:
    """A menu of what can be taken along: the link, and files that are made when asked for; `file`
    makes the model's, if there is one."""
    name = f"paretoscope-{view.file_name}"
    with st.popover("Share", key="share", on_change="rerun") as menu:
        if not menu.open:
            return
        st.markdown("**Link**")
        link_to_copy()
        _pictures(view, subject, title, curve, name)
        st.markdown("**Files**")
        if file is not None:
            st.download_button(
                "Zipped model",
                data=lambda: zipped(file()),
                file_name=f"{view.file_name}.onnx.gz",
                mime="application/gzip",
                on_click="ignore",
                help="The model under gzip \u22129, of the size that is called zipped.",
            )
        st.download_button(
            "Report (HTML)",
            data=lambda: report(server.measuring(), subject, view, title, curve, link).encode(),
            file_name=f"{name}.html",
            mime="text/html",
            on_click="ignore",
            help="One file with these charts, which stay interactive without a network.",
        )
        st.download_button(
            "Its figures (JSON)",
            data=partial(_figures, subject, view.recipe),
            file_name=f"{view.file_name}.json",
            mime="application/json",
            on_click="ignore",
            help="Accuracy, sizes and times of this file with its provenance. Keep it beside the "
            "model: `python -m paretoscope measure MODEL.onnx` compares with it.",
        )
        for ending in ENDINGS:
            st.download_button(
                f"Raw rows ({ending[1:].upper()})",
                data=partial(_rows, subject, view, curve, ending),
                file_name=f"{name}{ending}",
                mime=_MIMES[ending],
                on_click="ignore",
                help="All that is known of this curve, the grid and the pins, a row a repeat.",
            )


def _pictures(view: View, subject: Subject, title: str, curve: Sequence[Recipe], name: str) -> None:
    """The chart of accuracy against size as pictures, which the browser draws."""
    service = server.measuring()
    baseline = service.before(subject)
    if baseline is None:
        return
    record = _trade_off(
        service, subject, view, title, curve, charts.size_asked(view, subject), baseline
    )
    st.markdown("**Picture**")
    plot.save_buttons(
        [
            plot.Picture("Light", figures.picture(record, LIGHT)),
            plot.Picture("Dark", figures.picture(record, DARK)),
            plot.Picture("Square", figures.picture(record, here(), square=True)),
            plot.Picture("SVG", figures.picture(record, LIGHT), "svg"),
        ],
        name=name,
        key="pictures",
    )
    st.caption("1200 \u00d7 630 or 1080 \u00d7 1080 pixels, twice that sharp.")


def _trade_off(
    service: MeasuringService,
    subject: Subject,
    view: View,
    title: str,
    curve: Sequence[Recipe],
    asked: charts.Asked,
    baseline: Measurement,
) -> charts.TradeOff:
    """A chart as it stands alone."""
    known = [m for r in curve if (m := service.known(subject, r)) is not None]
    return charts.trade_off(
        asked, title, view.recipe, known, baseline, None,
        pins.known(service, subject, view.pins), service.everything(subject),
    )  # fmt: skip


def _figures(subject: Subject, recipe: Recipe) -> bytes:
    known = server.measuring().known(subject, recipe)
    if not isinstance(known, Measured) and isinstance(subject.network, Outline):
        asked = subject.arguments(recipe) | {"stage": "measure", "zipped": True}
        known = Measured.from_dict(server.at_once("measure_task", asked))
    elif not isinstance(known, Measured):  # only computed yet
        data = subject.dataset
        artifact = compress(subject.network, recipe, data.train, data.validation)
        known = measure(artifact, data, baseline=subject.baseline)
    return to_json(known)


def _rows(subject: Subject, view: View, curve: Sequence[Recipe], ending: str) -> bytes:
    return table(per_repeat(known_of(server.measuring(), subject, view, curve)), ending)


def known_of(
    service: MeasuringService, subject: Subject, view: View, curve: Sequence[Recipe]
) -> list[Measurement]:
    """What is known by now of the curve, the grid and the pins."""
    lines = grid.lines_of(subject.network, view.recipe)
    asked = [Recipe(), view.recipe, *curve, *view.pins, *(r for line in lines for r in line)]
    return [m for r in dict.fromkeys(asked) if (m := service.known(subject, r)) is not None]


def report(
    service: MeasuringService,
    subject: Subject,
    view: View,
    title: str,
    curve: Sequence[Recipe],
    link: str,
) -> str:
    """One HTML file that needs nothing else: figures, charts, pins, provenance."""
    import plotly.graph_objects as go  # late: no page needs it to be drawn

    baseline, now = service.before(subject), service.known(subject, view.recipe)
    if baseline is None or now is None:
        return _page(title, "<p>Nothing was measured yet when this report was made.</p>")
    pinned = pins.known(service, subject, view.pins)
    drawn = [
        go.Figure(
            figures.standing_alone(
                _trade_off(service, subject, view, title, curve, asked, baseline), LIGHT
            )
        )
        for asked in (charts.size_asked(view, subject), charts.time_asked(view, subject))
    ]
    lines = grid.lines_of(subject.network, view.recipe)
    if lines:
        every = {str(m.recipe): m for m in known_of(service, subject, view, curve)}
        record_of_grid = grid.heat(
            "accuracy", title, lines, every, baseline, view.recipe, view.budget_of(subject),
            view.zipped,
        )  # fmt: skip
        drawn.append(go.Figure(grid.heat_figure(record_of_grid, LIGHT, clicks=False)))
    about = {"zipped": view.zipped}
    finding = headline(now, baseline, now.latency(), margin=view.margin_of(subject), **about)
    parts = [
        f"<p>{html.escape(sentence(title, now, baseline, now.latency(), **about))}</p>",
        f"<p><code>{html.escape(str(view.recipe))}</code></p>",
        _table([("", baseline), ("this recipe", now), *pinned]),
    ]
    parts.append(f"<script>{SCRIPT.read_text('utf-8')}</script>")
    for figure in drawn:
        parts.append(
            figure.to_html(
                full_html=False,
                include_plotlyjs=False,
                config=camera("report"),
                default_width="100%",
            )
        )
    source = "<br>".join(provenance.lines(now, file=now.file_sha256))
    same_view = f"<a href='{html.escape(link)}'>the same view</a>"
    if is_own(view.dataset) or view.has_own_model:  # the link opens them
        same_view = "of somebody's own data or model: their link is not in this report"
    parts.append(f"<p class='quiet'>{source}<br>{same_view}</p>")
    return _page(finding, "\n".join(parts))


def _table(named: Sequence[tuple[str, Measurement]]) -> str:
    head = (
        "",
        "recipe",
        spoken(named[0][1].score),
        "change",
        "on disk",
        "zipped",
        "one row",
        "how",
    )
    rows = ["<tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>"]
    for name, m in named:
        latency = m.latency()
        cells = (
            name or "uncompressed",
            str(m.recipe),
            f"{words.quality(m.quality)}, {words.quality_interval(m.quality)}",
            words.change_interval(m.change),
            words.size(m.size_bytes),
            "" if m.gzip_bytes is None else words.size(m.gzip_bytes),
            "" if latency is None else words.duration(latency.median_us),
            "computed" if m.computed else "measured on its file",
        )
        rows.append("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>")
    return f"<div class='wide'><table>{''.join(rows)}</table></div>"


def _page(title: str, body: str) -> str:
    safe = html.escape(title)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{safe}</title>"
        "<meta name='viewport' content='width=device-width'>"
        f"<style>{_STYLE}</style></head><body><h1>{safe}</h1>{body}</body></html>"
    )
