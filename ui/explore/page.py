"""The main part of Explore: three large figures, two charts, the file to download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from random import random

import streamlit as st
from paretoscope.artifact.artifact import compress, zipped
from paretoscope.artifact.quick_latency import BATCHES, Latency
from paretoscope.base.store import default_store
from paretoscope.data.dataset import OPEN
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network
from streamlit.delta_generator import DeltaGenerator

from ui.base import plot, words
from ui.base.theme import Theme, camera, here
from ui.explore import panels, sharing, why_no_gain
from ui.explore.plan import ExplorePlan, plan_of
from ui.parts import charts, controls, figures, kernel_choice, pins, proper_times
from ui.parts.controls import Places
from ui.parts.frame import sync_widget
from ui.state import server
from ui.state.address import MARGINS, SIZES, View
from ui.state.measuring import Apart, MeasuringRequest, MeasuringService
from ui.state.session import session
from ui.state.subject import Subject
from ui.state.view import change, go_to, link, outdated, plain, publish, show_link

_POLL_S = 0.4
_POLL_AROUND_S = 1.0  # what stands below the main charts may come later
_WAIT_S = 0.3  # for the first figure of a network too large to compute within the page


def _welcome() -> None:
    """What a visitor who followed no link sees here, until it is put away."""
    place = st.container()  # so that all below keeps its place when this is put away
    if not session().first_visit:
        return
    with place.container(border=True):
        text, button = st.columns([6, 1], vertical_alignment="center")
        text.markdown(
            "Each filled point is this model in a smaller file that was run and weighed (hollow: "
            "only computed), beside the uncompressed one (star). Slide the threshold to cut small "
            "weights and Q to round the others: figures and charts follow, with what the data can "
            "and cannot tell. Click a point to go there, and download the very file whose figures "
            "you see."
        )
        button.button("Got it", on_click=_put_away, width="stretch")


def _put_away() -> None:
    session().first_visit = False


def show(network: Network, title: str, places: Places) -> None:
    """Draw what is known of the visitor's recipe and its curve, and let the rest fill in.

    With the sliders of its values, which it puts into their `places`: one that moves has only this
    drawn anew. Figures and the two charts come first, so that they answer it first.
    """
    session().polling.end()
    _show(network, title, places)


@st.fragment
def _show(network: Network, title: str, places: Places) -> None:
    view = session().view
    if outdated():
        st.rerun()
    publish()
    subject = server.subject(view.dataset, view.model, network)
    _look_up(subject, view.recipe)
    header = st.container(horizontal=True, vertical_alignment="center")
    header.markdown(f"#### {title} \u00b7 {network.n_parameters:,} parameters")
    _welcome()
    _draw(view, subject, title, header, places)


def _look_up(subject: Subject, recipe: Recipe) -> None:
    """Have something to show of a recipe: compute it, or wait a moment for it."""
    service = server.measuring()
    for needed in (Recipe(), recipe):
        service.compute(subject, needed)
        service.wait(subject, needed, 0 if needed.trains else _WAIT_S)


@server.one_page_at_a_time
def _draw(view: View, subject: Subject, title: str, header: DeltaGenerator, places: Places) -> None:
    plan = plan_of(view, subject, frozenset(_asked()))
    polling = not _ask(view, plan)
    with session().polling.drawing(needed=polling):
        st.fragment(_main, run_every=_every(_POLL_S, polling))(view, plan, title)
        with header:
            _share(view, subject, title, plan.curve)
        controls.value_controls(subject.network, view.recipe, places)
        st.fragment(panels.show, run_every=_every(_POLL_AROUND_S, polling))(view, plan, title)


def _ask(view: View, plan: ExplorePlan) -> bool:
    """Say what is to be measured, and, once that is known, what may help; whether all is there."""
    service, visitor, subject = server.measuring(), server.visitor(), plan.subject
    advice = f"{visitor} advice"
    service.ask(visitor, plan.request)
    finished = service.finished(visitor)
    request = why_no_gain.request(service, subject, view, _timing(plan)) if finished else None
    service.ask(advice, request or MeasuringRequest(subject, ()))
    return finished and service.finished(advice) and not kernel_choice.pending(subject)


def _timing(plan: ExplorePlan) -> Timing | None:
    """Of one row by protocol, of the recipe that is looked at, if it was taken."""
    known = server.measuring().known(plan.subject, plan.recipe)
    if known is None:
        return None
    arguments = proper_times.file_arguments(plan.subject, known)
    return proper_times.known_timings(plan.subject, arguments).get("batch 1")


def _every(seconds: float, polling: bool) -> float | None:
    """A timer's interval, each a little other than the last.

    A browser goes on with a timer of the same interval and starts another anew: so none fires while
    it draws what a slider asked for.
    """
    return seconds + random() / 1000 if polling else None


def _share(view: View, subject: Subject, title: str, curve: Sequence[Recipe]) -> None:
    """What can be downloaded. Not within what polls: a button that is drawn anew loses clicks."""
    service = server.measuring()
    known, failed = service.known(subject, view.recipe), service.failure(subject, view.recipe)
    show_link()
    sharing.share_button(view, subject, title, curve, link())
    if known is not None or not (view.recipe.trains or failed):
        _download(view, subject)


def _download(view: View, subject: Subject) -> None:
    """The file whose size is shown; of a zipped one, the file that is in it, too."""

    def file() -> bytes:
        return artifact_bytes(subject, view.recipe, server.measuring().known(subject, view.recipe))

    if view.zipped:
        st.download_button(
            "Download zipped",
            data=lambda: zipped(file()),
            file_name=f"{view.file_name}.onnx.gz",
            mime="application/gzip",
            on_click="ignore",
            help="This model under gzip −9, of the size that is shown.",
        )
    st.download_button(
        "Download",
        data=file,
        file_name=f"{view.file_name}.onnx",
        mime="application/octet-stream",
        on_click="ignore",
        help="This model as ONNX, ready to run.",
    )


@server.one_page_at_a_time
def _main(view: View, plan: ExplorePlan, title: str) -> None:
    """Figures and charts: what answers a slider first, and fills in while files are measured."""
    if session().view != view:  # of a fragment's own control only the fragment would run
        st.rerun()
    service, visitor, subject = server.measuring(), server.visitor(), plan.subject
    finished = _ask(view, plan)
    runs, large, both = (st.container() for _ in range(3))  # what is below them keeps its place
    with runs:
        why_no_gain.show_where_it_runs(service, subject, view)
    with large:
        _figures(view, subject)
    service.compute_line(subject, plan.curve)
    baseline = service.before(subject)
    with both:
        if baseline is not None and baseline.latency() is not None:
            _charts(service, view, plan, title)
        elif service.failure(subject, Recipe()) is None:
            st.caption("Measuring the uncompressed model")
    _below(service, subject, view, visitor)
    if session().polling.active and finished:
        st.rerun()


# --- figures ----------------------------------------------------------------------------------


def _figures(view: View, subject: Subject) -> None:
    """The three large figures; for a recipe that trains, how far that is."""
    service, recipe = server.measuring(), view.recipe
    failure = service.failure(subject, recipe) or service.failure(subject, Recipe())
    if failure is not None:
        st.error(plain(failure))
        if recipe.trains:
            _asked().discard(str(recipe))
            _offer_training(service, subject, recipe)
        return
    now, before = service.known(subject, recipe), service.before(subject)
    accuracy, size, time = st.columns(3)
    if now is None and recipe.trains:
        _training(service, subject, recipe)
        return
    if now is None or before is None:
        for column, label in ((accuracy, "Accuracy"), (size, "Size"), (time, "Inference time")):
            column.metric(label, "…")
            column.caption("measuring")
        return
    with accuracy:
        st.metric("Accuracy", words.percent(now.accuracy.value), help=_flips(now))
        st.caption(
            f"{words.change_words(now.change, view.margin / 100)}  \n"
            f"{words.accuracy_interval(now.accuracy)}"
            + ("  \ncomputed, not yet run" if now.computed else "")
            + _learned(subject, recipe)
        )
    with size:
        brought = subject.network.brought is not None
        _size_figure(now, before, zipped=view.zipped, brought=brought)
    with time:
        proper = proper_times.known_timings(subject, proper_times.file_arguments(subject, now))
        if proper:
            _proper_time_figure(proper, _before(subject))
        else:
            _time_figure(now, _before(subject))


def _learned(subject: Subject, recipe: Recipe) -> str:
    """What of the rows that are counted the recipe has seen."""
    told = "  \nthe best epoch was chosen on these rows" if recipe.trains else ""
    if subject.baseline.split != OPEN:
        return told
    told = "  \nall rows but those kept for the end" + told
    if recipe.needs_no_rows:
        return told
    return f"{told}  \nthe recipe learned from {len(subject.dataset.train):,} of them"


def _training(service: MeasuringService, subject: Subject, recipe: Recipe) -> None:
    """A recipe that trains starts when asked, shows how far it is, and can be ended early."""
    if str(recipe) not in _asked():
        st.info("This recipe trains the compressed model, which takes seconds to minutes.")
        _offer_training(service, subject, recipe)
        return
    running = service.running(subject, recipe)
    fraction, text = running or (0.0, "waiting for its turn, or in its first epoch")
    st.progress(fraction or 0.0, text=text)
    if running is not None:
        st.button("Keep the best so far", on_click=service.interrupt, args=(subject, recipe))


def _offer_training(service: MeasuringService, subject: Subject, recipe: Recipe) -> None:
    if st.button("Train it"):
        service.try_again(subject, recipe)
        _asked().add(str(recipe))
        st.rerun()


def _asked() -> set[str]:
    """The trainings that this visitor started."""
    return session().asked


def _size_figure(now: Measurement, before: Measurement, *, zipped: bool, brought: bool) -> None:
    """The size that is shown everywhere, and the other one beneath."""
    sizes = {
        "zipped": (now.gzip_bytes, before.gzip_bytes),
        "on disk": (now.size_bytes, before.size_bytes),
    }
    first, second = ("zipped", "on disk") if zipped else ("on disk", "zipped")
    n_bytes, n_before = sizes[first]
    exact = "; ".join(f"{n:,} bytes {kind}" for kind, (n, _) in sizes.items() if n is not None)
    st.metric(
        f"Size, {first}",
        "…" if n_bytes is None else words.size(n_bytes),
        help=f"{exact}. Zipped is gzip −9. The switch below the charts changes which size is "
        "shown: here, in the charts and their titles, and in what is downloaded.",
    )
    told = "measuring"
    if n_bytes is not None and n_before is not None:
        told = words.smaller(n_bytes, n_before)
        told += f" than the {words.size(n_before)} that you brought" if brought else ""
    n_other, n_other_before = sizes[second]
    other = f"{second}: measuring"
    if n_other is not None and n_other_before is not None:
        other = f"{second}: {words.size(n_other)}, {words.smaller(n_other, n_other_before)}"
    st.caption(f"{told}  \n{other}")


def _flips(now: Measurement) -> str:
    change = now.change
    return (
        f"{change.newly_wrong:,} of {change.n:,} rows are newly wrong, {change.newly_right:,} "
        f"newly right (McNemar's exact p = {words.probability(change.p_value)}). "
        "Which ones: page Evidence."
    )


def _before(subject: Subject) -> str:
    """Which model a time is compared with: of one that was brought the copy whose weights are
    float32, which it need not be itself."""
    return "before" if subject.network.brought is None else "as float32"


def _proper_time_figure(timings: Mapping[str, Timing], before: str) -> None:
    """The figure by protocol."""
    one = timings["batch 1"]
    several = {rows: timings.get(f"batch {rows}") for rows in BATCHES[1:]}
    st.metric(
        "Inference time",
        words.duration(one.median_us),
        help="Median of one call with one row, on one thread, by protocol: five processes of their "
        "own, beside an identical copy of the uncompressed model. More on the page Evidence.",
    )
    low, high = one.noise_interval
    st.caption(
        f"{words.faster(one)}, {words.duration(one.baseline_median_us)} {before}  \n"
        f"measured properly: {words.ratio(one)} of its time, a copy of it {low:.2f} to {high:.2f}  "
        f"\n{_several(several)}"
    )


def _time_figure(now: Measurement, before: str) -> None:
    latency = now.latency()
    if latency is None:
        st.metric("Inference time", "…")
        st.caption("measuring")
        return
    low, high = latency.quartiles_us
    st.metric(
        "Inference time",
        words.duration(latency.median_us),
        help="Median of one call with one row, on one thread, in turn with the uncompressed model "
        "(quick: within one process).",
    )
    st.caption(
        f"{words.faster(latency)}, {words.duration(latency.baseline_median_us)} {before}  \n"
        f"quartiles {words.three_digits(low)} to {words.three_digits(high)} µs; "
        f"{words.ratio(latency)} of its time (quick)  \n"
        + _several({rows: now.latency(rows) for rows in BATCHES[1:]})
    )


def _several(times: Mapping[int, Latency | Timing | None]) -> str:
    """Times of calls with several rows."""
    told = [
        f"{rows} rows: "
        + ("measuring" if t is None else f"{words.duration(t.median_us)}, {words.faster(t)}")
        for rows, t in times.items()
    ]
    return "  \n".join(told)


# --- charts -----------------------------------------------------------------------------------


def _charts(service: MeasuringService, view: View, plan: ExplorePlan, title: str) -> None:
    subject = plan.subject
    timing = _timing(plan)
    size_axis: charts.Axis = "gzip" if view.zipped else "size"
    axes: tuple[charts.Axis, charts.Axis] = (size_axis, "time")
    version, theme = service.version(subject), here()
    kernels = kernel_choice.known(subject)
    told = "" if kernel_choice.may_differ(subject.network) else None
    told = told if kernels is None else kernel_choice.short(kernels)
    for column, axis in zip(st.columns(2), axes, strict=True):
        plot.chart(
            _trade_off(plan, version, axis, title, timing, view.budget, theme, told),
            key=f"chart-{axis}",
            config=camera(f"paretoscope-{view.file_name}-{axis}"),
            on_pick=go_to,
            place=column,
        )


@lru_cache(maxsize=128)
def _trade_off(
    plan: ExplorePlan,
    version: int,
    axis: charts.Axis,
    title: str,
    timing: Timing | None,
    budget: Budget,
    theme: Theme,
    kernels: str | None,
) -> plot.Drawn:
    """A main chart, at a version of what the service knows."""
    service, subject = server.measuring(), plan.subject
    baseline = service.before(subject)
    assert baseline is not None
    record = charts.trade_off(
        axis,
        title,
        plan.recipe,
        _known(service, subject, plan.curve),
        [
            (charts.line_name(line[0]), _known(service, subject, line))
            for line in plan.context_lines
        ],
        baseline,
        charts.line_name(plan.recipe),
        timing,
        budget,
        pins.known(service, subject, plan.pins),
        service.everything(subject),
        kernels,
    )
    return plot.drawn(figures.trade_off_figure(record, theme), record.alt)


@lru_cache(maxsize=128)
def _standing(subject: Subject, version: int, axis: charts.Axis, recipe: Recipe) -> str:
    """Where a recipe stands, at a version of what the service knows."""
    service = server.measuring()
    known = service.known(subject, recipe)
    return "" if known is None else charts.standing(axis, known, service.everything(subject))


def _known(
    service: MeasuringService, subject: Subject, line: Sequence[Recipe]
) -> list[Measurement]:
    return [m for recipe in line if (m := service.known(subject, recipe)) is not None]


def _below(service: MeasuringService, subject: Subject, view: View, visitor: str) -> None:
    measured, failed, total = service.progress(visitor)
    axis: charts.Axis = "gzip" if view.zipped else "size"
    stands = _standing(subject, service.version(subject), axis, view.recipe)
    bar = st.container()  # with or without it, the margin stands where it stood
    if measured + failed < total:
        bar.progress(measured / total, text=f"{measured} of {total} files measured")
        told = ""
    elif failed:
        told = f"{measured} files of this curve measured, {failed} could not be made. "
    else:
        told = f"All {total} files of this curve measured. "
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.caption(
            f"{told}Filled points are files that were run through ONNX Runtime, hollow ones are "
            f"computed. {_apart(service.apart(subject), subject)} Click a point to go there.  \n"
            f"{plain(stands)}  \n{plain(str(view.recipe))}"
        )
        st.number_input(
            "Margin, points",
            MARGINS.low,
            MARGINS.high,
            sync_widget("margin", view.margin),
            step=0.1,
            format="%.3g",
            key="margin",
            width=140,
            on_change=lambda: change(margin=float(st.session_state.margin)),
            help="The figures say whether accuracy dropped by less than this, or how many rows "
            "it would take to tell.",
        )
        st.segmented_control(
            "Size shown",
            list(SIZES),
            default=sync_widget("size", view.size),
            format_func=SIZES.__getitem__,
            key="size",
            required=True,
            on_change=lambda: change(size=st.session_state.size),
        )


def _apart(apart: Apart, subject: Subject) -> str:
    """How far what was computed lies from what was measured."""
    if apart.files == 0:
        return ""
    n = len(subject.baseline.rows)
    files = "1 file was" if apart.files == 1 else f"{apart.files} files were"
    if apart.rows == 0:
        return f"{files} computed and then run: as many of {n:,} rows were right."
    rows = "1 row" if apart.rows == 1 else f"{apart.rows} rows"
    return f"{files} computed and then run: at most {rows} of {n:,} more or fewer were right."


def artifact_bytes(subject: Subject, recipe: Recipe, known: Measurement | None) -> bytes:
    """The file whose figures are shown: kept where it was trained, else made again, the same."""
    kept = None if known is None else default_store().read(known.file_sha256 or "")
    if kept is not None:
        return kept
    data = subject.dataset
    return compress(subject.network, recipe, data.train, data.validation).onnx_bytes
