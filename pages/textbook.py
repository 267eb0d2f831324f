"""Textbook: the article's two programs on iris, and what happens when they are run as printed."""

import streamlit as st
from paretoscope.measurement.accuracy import Accuracy
from paretoscope.textbook import PRINTED_Q, Q_VALUES

from ui.base import plot, words
from ui.base.theme import camera, here
from ui.parts import frame, provenance, training
from ui.state import view
from ui.textbook import page

frame.require_router()

st.title("Textbook: the article's two programs")
st.markdown(
    "The article that Paretoscope implements shows pruning and quantization on the iris flowers "
    "with a logistic regression (a fifth of the rows for testing, random state 42). Here both "
    "programs are run as printed, then mended. All figures on this page were computed on this "
    "machine."
)
found = training.textbook_or_progress()
n = found.n


def result(label: str, correct: int, place: st.delta_generator.DeltaGenerator) -> None:
    """Accuracy with its interval."""
    accuracy = Accuracy(correct, n)
    place.metric(label, words.percent(accuracy.value))
    place.caption(f"{correct} of {n} test rows; {words.accuracy_interval(accuracy)}")


st.header("1. Pruning by importance", divider="gray")
st.latex(r"L_1(w) = \sum_{i=1}^{n} |w_i|")
st.markdown(
    "Each weight's importance is its share of this sum, $|w_i|$; the least important weights are "
    "removed, that is, set to zero."
)
printed, mended = st.columns(2)
printed.markdown("**As printed**")
printed.code(page.PRUNING_AS_PRINTED, language="python", wrap_lines=True)
for failure in found.failures:
    printed.error(f"`{failure.line}`  \n{view.plain(failure.error)}")
mended.markdown("**Mended**")
mended.code(page.PRUNING_MENDED, language="python", wrap_lines=True)
mended.markdown(
    "`saga` handles three classes; a fitted estimator is copied with `copy.deepcopy`; and a mask "
    "must multiply the weights, for indexing with it flattens them. Even then the printed mask, "
    f"which keeps a weight where the two fits differ by more than 0.01, cuts {found.pruned_zeros} "
    f"of 12 weights. What the L1 fit itself sets to zero is {found.l1_zeros} of 12."
)
before, after = mended.columns(2)
result("Baseline", found.baseline, before)
result(f"L1 fit, {found.l1_zeros} of 12 weights zero", found.l1_fit, after)

st.header("2. Quantization by Q", divider="gray")
st.latex(r"a_i = \mathrm{round}(w_i \cdot Q), \qquad w_i \approx a_i / Q")
printed, mended = st.columns(2)
printed.markdown("**As printed**")
printed.code(page.QUANTIZATION_AS_PRINTED, language="python", wrap_lines=True)
printed.error(
    f"`clf.copy()` fails as above. Copied otherwise, the codes at Q = {PRINTED_Q} stand beside an "
    "intercept on the old scale: the products are "
    f"{PRINTED_Q} times too large for it."
)
mended.markdown("**Mended**")
mended.code(page.QUANTIZATION_MENDED, language="python", wrap_lines=True)
mended.markdown(
    "The codes are divided by Q again before they meet the intercept. A file stores the codes and "
    "Q, so it stays small."
)

q = st.select_slider("Q", Q_VALUES, value=PRINTED_Q, key="textbook_q", persist_state="session")
point = page.at_q(found, q)
rescaled, unscaled = st.columns(2)
result(f"Q = {q}, codes divided by Q", point.rescaled, rescaled)
result(f"Q = {q}, codes as they are", point.unscaled, unscaled)

record = page.q_chart(found)
plot.chart(
    page.q_figure(record, here()),
    key="textbook-chart",
    alt=record.alt,
    config=camera("paretoscope-textbook"),
)
st.dataframe(
    page.weight_table(found, q).style.format(precision=3),
    hide_index=True,
    height="content",
)
st.caption(
    f"With {n} test rows one row is {100 / n:.1f} points, and no difference of a row or two means "
    "anything: the Explore page uses larger sets and says what they can tell.  \n"
    f"iris, random state 42, logistic regression  \n{provenance.caption(provenance.machine())}"
)
