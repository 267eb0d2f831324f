"""Learn: the article's ideas one after the other, each with a picture that moves."""

from __future__ import annotations

import streamlit as st
from paretoscope.problems.accuracy import Accuracy
from paretoscope.textbook import PRINTED_Q, Q_VALUES, Textbook
from streamlit.delta_generator import DeltaGenerator

from ui.base import plot, words
from ui.base.theme import camera, here
from ui.learn import article, pictures
from ui.parts import frame, provenance
from ui.state import view

_FIRST_CUT = 4


def show(found: Textbook) -> None:
    """From the finding to the article's programs."""
    free = max(k for k, right in enumerate(found.cut) if right >= found.baseline)
    q = next(point.q for point in found.quantized if point.rescaled >= found.baseline)
    frame.say(
        st.container(key="headline"),
        f"{free} of 12 weights can go, or all be rounded to {_fractions(q)}, at no cost on "
        f"{found.n} test rows",
        "The article's two ideas on a logistic regression that tells three iris flowers apart",
    )
    _prune(found)
    _quantize(found)
    _smaller_is_not_faster()
    _programs(found)


def _fractions(q: int) -> str:
    return "whole numbers" if q == 1 else {2: "halves", 3: "thirds"}.get(q, f"{q}ths")


def _prune(found: Textbook) -> None:
    st.subheader("1. Prune: small weights matter little", anchor="prune")
    text, picture = st.columns([2, 3], gap="medium")
    with text:
        st.latex(r"L_1(w) = \sum_{i=1}^{n} \lvert w_i \rvert")
        st.markdown(
            r"A weight's importance is its share of this sum, $\lvert w_i \rvert$. The least "
            "important are set to zero: zeros take no room in a zipped file, and what is left "
            "still decides."
        )
        count = st.slider(
            "Weights cut", 0, 12, _FIRST_CUT, key="learn-cut", persist_state="session"
        )
        _result(f"{count} of 12 cut", found.cut[count], found.n, st.container())
    record = pictures.cut(found, count)
    plot.chart(
        pictures.cut_figure(record, here()), key="learn-weights", alt=record.alt,
        config=camera("paretoscope-prune"), place=picture,
    )  # fmt: skip


def _quantize(found: Textbook) -> None:
    st.subheader("2. Quantize: few different numbers are enough", anchor="quantize")
    text, picture = st.columns([2, 3], gap="medium")
    with text:
        st.latex(r"a_i = \mathrm{round}(w_i \cdot Q), \qquad w_i \approx a_i / Q")
        st.markdown(
            "Each weight moves to the nearest multiple of $1/Q$, an error of at most $1/(2Q)$. The "
            "file stores the whole numbers $a_i$, which need few bits, and $Q$. **Divided by $Q$ "
            "again** they stand on the scale of the intercept; as they are they are $Q$ times too "
            "large for it."
        )
        q = st.select_slider(
            "Q", Q_VALUES, value=PRINTED_Q, key="textbook_q", persist_state="session"
        )
        point = article.at_q(found, q)
        rescaled, unscaled = st.columns(2)
        _result("Codes divided by Q", point.rescaled, found.n, rescaled)
        _result("Codes as they are", point.unscaled, found.n, unscaled)
    record = pictures.rounded(found, q)
    plot.chart(
        pictures.rounded_figure(record, here()), key="learn-grid", alt=record.alt,
        config=camera("paretoscope-quantize"), place=picture,
    )  # fmt: skip
    with st.expander("Every Q, and every weight with its code"):
        chart = article.q_chart(found)
        plot.chart(
            article.q_figure(chart, here()), key="textbook-chart", alt=chart.alt,
            config=camera("paretoscope-textbook"),
        )  # fmt: skip
        st.dataframe(
            article.weight_table(found, q).style.format(precision=3),
            hide_index=True,
            height="content",
        )


def _smaller_is_not_faster() -> None:
    st.subheader("3. Smaller is not always faster", anchor="faster")
    st.markdown(
        "A zero takes no room once the file is zipped, but a processor multiplies by it as by any "
        "other number. Codes must become floats again before they are multiplied, unless the "
        "runtime has a kernel for whole numbers. Time falls when whole neurons go, or where such a "
        "kernel pays. Explore times each file beside the uncompressed model, and says why it "
        "gains nothing where it does not."
    )
    st.page_link("pages/explore.py", label="See it on Explore")


def _programs(found: Textbook) -> None:
    st.subheader("4. The article's two programs, mended", anchor="programs")
    st.markdown(
        "As printed neither runs. Here are both with what stops them, and mended. A fifth of the "
        "flowers is for testing (random state 42); all figures were computed on this machine."
    )
    printed, mended = st.columns(2)
    printed.markdown("**Pruning, as printed**")
    printed.code(article.PRUNING_AS_PRINTED, language="python", wrap_lines=True)
    for failure in found.failures:
        printed.error(f"`{failure.line}`  \n{view.plain(failure.error)}")
    mended.markdown("**Pruning, mended**")
    mended.code(article.PRUNING_MENDED, language="python", wrap_lines=True)
    mended.markdown(
        "`saga` handles three classes; a fitted estimator is copied with `copy.deepcopy`; and a "
        "mask must multiply the weights, for indexing with it flattens them. Even then the printed "
        f"mask, which keeps a weight where the two fits differ by more than 0.01, cuts "
        f"{found.pruned_zeros} of 12 weights. What the L1 fit itself sets to zero is "
        f"{found.l1_zeros} of 12."
    )
    before, after = mended.columns(2)
    _result("Baseline", found.baseline, found.n, before)
    _result(f"L1 fit, {found.l1_zeros} of 12 zero", found.l1_fit, found.n, after)
    printed, mended = st.columns(2)
    printed.markdown("**Quantization, as printed**")
    printed.code(article.QUANTIZATION_AS_PRINTED, language="python", wrap_lines=True)
    printed.error(
        f"`clf.copy()` fails as above. Copied otherwise, the codes at Q = {PRINTED_Q} stand beside "
        f"an intercept on the old scale: the products are {PRINTED_Q} times too large for it."
    )
    mended.markdown("**Quantization, mended**")
    mended.code(article.QUANTIZATION_MENDED, language="python", wrap_lines=True)
    n = found.n
    st.caption(
        f"With {n} test rows one row is {100 / n:.1f} points, and no difference of a row or two "
        "means anything: Explore uses larger sets and says what they can tell.  \n"
        "iris, random state 42, logistic regression  \n"
        f"{provenance.caption(provenance.machine())}"
    )


def _result(label: str, correct: int, n: int, place: DeltaGenerator) -> None:
    """Accuracy with its interval."""
    accuracy = Accuracy(correct, n)
    place.metric(label, words.percent(accuracy.value))
    place.caption(f"{correct} of {n} test rows; {words.quality_interval(accuracy)}")
