"""Why no gain? One sentence a cause, with this recipe's own figures, and what to try instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st
from paretoscope.diagnosis import Reason, reasons
from paretoscope.measurement import Measurement
from paretoscope.pruning import UnitNorm
from paretoscope.quantization import FixedPoint
from paretoscope.recipe import Recipe
from paretoscope.timing import Timing

from ui import view, words
from ui.bench import Subject

Figures = Mapping[str, Any]


def show(subject: Subject, now: Measurement, before: Measurement, timing: Timing | None) -> None:
    """The panel; nothing where there is a gain in size and in time."""
    found = reasons(subject.network, now, before, timing)
    if not found:
        return
    with st.container(border=True):
        st.markdown("**Why no gain?**")
        for number, reason in enumerate(found):
            row = st.container(horizontal=True, vertical_alignment="center")
            row.markdown(f"*{reason.about.capitalize()}:* {sentence(reason)}")
            if reason.remedy is not None:
                row.button(
                    _label(now.recipe, reason.remedy),
                    key=f"try-{number}",
                    on_click=view.go_to,
                    args=(reason.remedy,),
                    help=f"Sets the recipe to {view.plain(str(reason.remedy))}",
                )


def _label(now: Recipe, remedy: Recipe) -> str:
    if remedy.quantizer != now.quantizer and isinstance(remedy.quantizer, FixedPoint):
        return f"Try Q = {remedy.quantizer.q:g}"
    if isinstance(remedy.units, UnitNorm):
        return "Try fewer neurons"
    return "Try it"


def sentence(reason: Reason) -> str:
    """The reason in words."""
    return SENTENCES[reason.cause](reason.figures)


def _zeros_in_file(f: Figures) -> str:
    zipped = ""
    if "gzip" in f:
        zipped = f" Zipped they pay: {words.smaller(f['gzip'], f['gzip_before'])}."
    return (
        f"{words.percent(f['zeros'])} of the weights are zero, but the file is dense and stores a "
        f"zero in 4 bytes like any other number: {words.size(f['size'])}.{zipped} "
        "Codes of fewer bits make the file itself smaller."
    )


def _wide_codes(f: Figures) -> str:
    return (
        f"at Q = {f['q']:g} codes need {f['bits']} bits, and the narrowest type that holds them is "
        f"{f['storage']}, so {f['stored_bits'] - f['bits']} of its {f['stored_bits']} bits are "
        f"spent on nothing: {words.size(f['size'])}. A smaller Q fits {f['narrower']}."
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
        "in codes, activations in floats are not slower."
    )


def _zeros_in_time(f: Figures) -> str:
    return (
        f"{words.percent(f['zeros'])} of the weights are zero, and ONNX Runtime multiplies by "
        f"them as by any other number: {f['ratio']:.2f} of the time before. Removing whole neurons "
        "or filters makes products smaller; a sparse runtime pays from about nine zeros in ten "
        "(page Evidence, Time)."
    )


def _floats(f: Figures) -> str:
    return (
        f"the {f['bits']}-bit codes ({f['storage']}) are unpacked once, when the file is loaded, "
        f"and run as floats: {f['ratio']:.2f} of the time before. Integer kernels are used for "
        "codes of up to 8 bits in dense layers with at least 512 inputs; elsewhere they are slower."
    )


def _noise(f: Figures) -> str:
    told = f"{f['low']:.2f} to {f['high']:.2f} of the time before"
    if f["how"] == "quick":
        return f"the quick figure cannot tell: {told}. *Measure properly* takes about ten seconds."
    return f"the machine is too busy to tell: {told}. Measure again when it is not."


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
    "codes run as floats": _floats,
    "too noisy to tell": _noise,
}
