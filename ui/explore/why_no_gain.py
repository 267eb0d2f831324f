"""Why no gain? One sentence a cause, with this recipe's own figures, and what to try instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st
from paretoscope.artifact.portability import portable, runs_in, width
from paretoscope.measurement.diagnosis import Reason, offered, reasons, shown_size
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import Compensation, NoRecovery

from ui.base import words
from ui.parts import charts, kernel_choice
from ui.state.address import View
from ui.state.measuring import MeasuringRequest, MeasuringService
from ui.state.subject import Subject
from ui.state.view import go_to, plain

Figures = Mapping[str, Any]


def request(
    service: MeasuringService, subject: Subject, view: View, timing: Timing | None
) -> MeasuringRequest:
    """What may help a recipe that gains nothing: nothing is offered before it was computed."""
    now, before = service.known(subject, view.recipe), service.before(subject)
    if now is None or before is None or now.computed:
        return MeasuringRequest(subject, ())
    found = _found(subject, now, before, timing, view)
    remedies = dict.fromkeys(r for reason in found for r in reason.remedies if not r.trains)
    better = compensated(view.recipe)
    if better is not None:
        remedies[better] = None
    other = portable(view.recipe)
    if other is not None and not view.recipe.trains and fails_somewhere(now):
        service.compute(subject, other)  # of a small network at once, so that no timer waits for it
        remedies[other] = None
    return MeasuringRequest(subject, (), tuple(remedies), zipped=view.zipped, patient=True)


def _found(
    subject: Subject, now: Measurement, before: Measurement, timing: Timing | None, view: View
) -> list[Reason]:
    kernels = kernel_choice.known(subject)
    return reasons(subject.network, now, before, timing, zipped=view.zipped, kernels=kernels)


def fails_somewhere(m: Measurement) -> bool:
    """Whether a file's codes are of a type that not every runtime takes."""
    return bool(runs_in(storage for *_, storage in m.bits)[1])


def compensated(recipe: Recipe) -> Recipe | None:
    """The same recipe with compensation; None where it has a recovery already."""
    if recipe.recovery != NoRecovery() or recipe == Recipe():
        return None
    return replace(recipe, recovery=Compensation())


def show_where_it_runs(service: MeasuringService, subject: Subject, view: View) -> None:
    """Where the file that can be downloaded runs, and one click to one that runs everywhere."""
    now = service.known(subject, view.recipe)
    if now is None:
        return
    runs, fails = runs_in(storage for *_, storage in now.bits)
    if not fails:
        told = f"Runs in all of {words.listed(runs)}."
        if subject.network.brought is not None:
            told = (
                f"Its codes run in all of {words.listed(runs)}; its operators were not tried there."
            )
        st.caption(told)
        return
    bits = width(storage for *_, storage in now.bits)
    row = st.container(horizontal=True, vertical_alignment="center")
    row.caption(f"{bits}-bit codes run in {words.listed(runs)}; not in {words.listed(fails)}.")
    other = portable(view.recipe)
    known = None if other is None else service.known(subject, other)
    if other is not None and known is not None:
        row.button(
            f"8-bit codes run there too: {_more(known, now)}",
            key="portable",
            type="tertiary",
            on_click=go_to,
            args=(other,),
            help=f"{plain(str(other))}: the same codes, a byte for each.",
        )


def _more(other: Measurement, now: Measurement) -> str:
    """What another file takes more, on disk and zipped."""
    told = [_signed(other.size_bytes - now.size_bytes) + " on disk"]
    if other.gzip_bytes is not None and now.gzip_bytes is not None:
        told.append(_signed(other.gzip_bytes - now.gzip_bytes) + " zipped")
    return ", ".join(told)


def _signed(n_bytes: int) -> str:
    return f"{words.MINUS if n_bytes < 0 else '+'}{words.size(abs(n_bytes))}"


def show(
    service: MeasuringService,
    subject: Subject,
    now: Measurement,
    before: Measurement,
    timing: Timing | None,
    view: View,
) -> None:
    """The panel; nothing where there is a gain in size and in time."""
    found = _found(subject, now, before, timing, view)
    if not found:
        return
    known = partial(service.known, subject)
    told: set[Recipe] = set()
    with st.container(border=True):
        st.markdown("**Why no gain?**")
        for number, reason in enumerate(found):
            row = st.container(horizontal=True, vertical_alignment="center")
            row.markdown(f"*{reason.about.capitalize()}:* {sentence(reason)}")
            help_ = offered(reason, now, view.budget_of(subject), known, zipped=view.zipped)
            if help_ is None or help_.recipe in told:
                continue
            told.add(help_.recipe)
            change = words.differing(help_.change.value, help_.change.unit)
            row.button(
                f"Try {_difference(now.recipe, help_.recipe)}: {change}",
                key=f"try-{number}",
                on_click=go_to,
                args=(help_.recipe,),
                help=f"{plain(str(help_.recipe))}: {words.change_interval(help_.change)} "
                f"against the uncompressed model, {_size(help_, zipped=view.zipped)}, computed in "
                "float arithmetic.",
            )


def _size(m: Measurement, *, zipped: bool) -> str:
    n_bytes = shown_size(m, zipped=zipped)
    zipped = zipped and n_bytes is not None
    return words.sized(n_bytes or m.size_bytes, zipped=zipped)


def _difference(now: Recipe, remedy: Recipe) -> str:
    """In a few words, what a remedy changes."""
    told = []
    if remedy.quantizer != now.quantizer:
        told.append(charts.line_name(remedy))
    if remedy.units != now.units:
        told.append("fewer neurons")
    if remedy.kernel != now.kernel:
        told.append(remedy.kernel.title.lower())
    if remedy.recovery not in (now.recovery, NoRecovery()):
        told.append(remedy.recovery.title.lower())
    return " with ".join(told)


def sentence(reason: Reason) -> str:
    """The reason in words."""
    return SENTENCES[reason.cause](reason.figures)


def _zeros_in_file(f: Figures) -> str:
    zipped = ""
    if "gzip" in f:
        zipped = f" Zipped they pay: {words.smaller(f['gzip'], f['gzip_before'])}."
    return (
        f"{words.percent(f['zeros'])} of the weights are zero, but the file is dense and stores a "
        f"zero in 4 bytes like any other number: {words.size(f['size'])} on disk.{zipped} "
        "Codes of fewer bits make the file itself smaller."
    )


def _wide_codes(f: Figures) -> str:
    return (
        f"at Q = {f['q']:g} codes need {f['bits']} bits, and the narrowest type that holds them is "
        f"{f['storage']}, so {f['stored_bits'] - f['bits']} of its {f['stored_bits']} bits are "
        f"spent on nothing: {words.size(f['size'])} on disk. A smaller Q fits {f['narrower']}."
    )


def _trees(f: Figures) -> str:
    return (
        f"{words.size(f['bytes'])} of the model's {words.size(f['before'])} are trees. They have "
        "no weights, so no recipe touches them; fewer or shallower trees would help."
    )


def _doubles(f: Figures) -> str:
    return (
        f"{words.size(f['bytes'])} of the model's {words.size(f['before'])} are float64 weights, "
        "which no recipe touches. Export the model with float32 weights."
    )


def _graph(f: Figures) -> str:
    return (
        f"the weights are {words.size(f['weights'])} of a file of {words.size(f['before'])}; the "
        "rest are operators, names and metadata, which no recipe shortens. A model this small has "
        "little to win."
    )


def _dequantizes(f: Figures) -> str:
    return (
        f"the model came with {words.size(f['bytes'])} of codes that {f['nodes']} operator"
        f"{'s' if f['nodes'] != 1 else ''} DequantizeLinear turn{'' if f['nodes'] != 1 else 's'} "
        "into floats at every call, and no recipe touches them. Export it with float weights and "
        "quantize it here, where codes are unpacked once or run as integers."
    )


def _call(f: Figures) -> str:
    return (
        f"the model is so small that the call dominates: one row takes "
        f"{words.duration(f['one'])}, a row among 256 only {words.duration(f['among'])}. "
        "No recipe makes the call itself faster; predict rows in batches."
    )


def _integers(f: Figures) -> str:
    return (
        "8-bit activations add operators that round between the layers, and on layers this small "
        f"they cost more than integer products save: {f['ratio']:.2f} of the time before. Weights "
        "in codes, run as floats, take as long as float32."
    )


def _zeros_in_time(f: Figures) -> str:
    return (
        f"{words.percent(f['zeros'])} of the weights are zero, and ONNX Runtime multiplies by "
        f"them as by any other number: {f['ratio']:.2f} of the time before. Removing whole neurons "
        "or filters makes products smaller; a sparse runtime may pay where most weights are zero "
        "(page Evidence, Time, measures it here)."
    )


def _at_rows(f: Figures) -> str:
    """Ratios of integer kernels to float32, as they were measured here."""
    return (
        f"{f['batch1']:.2f} of float32's time for one row, {f['batch16']:.2f} for 16 and "
        f"{f['batch256']:.2f} for 256 on this processor ({f['processor']})"
    )


def _integers_cost(f: Figures) -> str:
    return f"integer kernels take {_at_rows(f)}. As floats the same codes take as long as float32."


def _integers_would_pay(f: Figures) -> str:
    return f"these codes run as floats; integer kernels would take {_at_rows(f)}."


def _floats(f: Figures) -> str:
    return (
        f"the {f['bits']}-bit codes ({f['storage']}) are unpacked once, when the file is loaded, "
        f"and run as floats: {f['ratio']:.2f} of the time before. Integer kernels are used "
        "only for whole-number codes of up to 8 bits in dense layers with at least 512 inputs and "
        "200,000 weights."
    )


def _noise(f: Figures) -> str:
    told = f"{f['low']:.2f} to {f['high']:.2f} of the time before"
    if f["how"] == "quick":
        return f"the quick figure cannot tell: {told}. *Measure properly* takes about ten seconds."
    return f"the protocol cannot tell: {told}. The page Evidence, Time, says what disturbed it."


SENTENCES: Mapping[str, Callable[[Figures], str]] = {
    "zeros in a dense file": _zeros_in_file,
    "codes wider than a type": _wide_codes,
    "trees": _trees,
    "float64 weights": _doubles,
    "more graph than weights": _graph,
    "dequantizes at every call": _dequantizes,
    "the call dominates": _call,
    "integer steps cost more": _integers,
    "zeros are multiplied": _zeros_in_time,
    "integers cost": _integers_cost,
    "integers would pay": _integers_would_pay,
    "codes run as floats": _floats,
    "too noisy to tell": _noise,
}
