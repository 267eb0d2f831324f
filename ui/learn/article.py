"""The article's two programs, printed and mended, and what each Q does to the second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from paretoscope.problems.accuracy import Accuracy
from paretoscope.textbook import Quantized, Textbook, quantize

from ui.base import words
from ui.base.plot import Figure, Shape, Trace, dashed, drawing, line_across, scatter
from ui.base.theme import CURSOR, Theme, layout
from ui.parts import provenance

PRUNING_AS_PRINTED = """\
clf = LogisticRegression()
clf.fit(X_train, y_train)
clf_l1 = LogisticRegression(penalty='l1', solver='liblinear')
clf_l1.fit(X_train, y_train)
mask = np.abs(clf.coef_ - clf_l1.coef_) > 0.01
clf_pruned = clf.copy()
clf_pruned.coef_ = clf_pruned.coef_[mask]
y_pred = clf_pruned.predict(X_test)"""

PRUNING_MENDED = """\
clf_l1 = LogisticRegression(l1_ratio=1, solver='saga', max_iter=10_000)
clf_l1.fit(X_train, y_train)          # the L1 penalty itself sets weights to zero
y_pred = clf_l1.predict(X_test)"""

QUANTIZATION_AS_PRINTED = """\
Q = 10
clf_quantized = clf.copy()
clf_quantized.coef_ = np.round(clf_quantized.coef_ * Q).astype(np.int32)
y_pred = clf_quantized.predict(X_test)"""

QUANTIZATION_MENDED = """\
Q = 10
clf_quantized = copy.deepcopy(clf)
clf_quantized.coef_ = np.round(clf.coef_ * Q) / Q   # back on the scale of the intercept
y_pred = clf_quantized.predict(X_test)"""

_HEIGHT = 480


@dataclass(frozen=True)
class QChart:
    """Accuracy at each Q, of the codes divided by Q again and of the codes as they are."""

    q: tuple[int, ...]
    rescaled: tuple[Accuracy, ...]
    unscaled: tuple[Accuracy, ...]
    baseline: Accuracy

    @property
    def alt(self) -> str:
        return (
            "Accuracy on iris against Q: with the codes divided by Q it stays near "
            f"{words.percent(self.baseline.value)}, with the codes as they are it falls to "
            f"{words.percent(self.unscaled[-1].value)}."
        )


def q_chart(textbook: Textbook) -> QChart:
    def accuracies(correct: Sequence[int]) -> tuple[Accuracy, ...]:
        return tuple(Accuracy(c, textbook.n) for c in correct)

    return QChart(
        tuple(point.q for point in textbook.quantized),
        accuracies([point.rescaled for point in textbook.quantized]),
        accuracies([point.unscaled for point in textbook.quantized]),
        Accuracy(textbook.baseline, textbook.n),
    )


def q_figure(record: QChart, theme: Theme) -> Figure:
    data: list[Trace] = []
    shapes: list[Shape] = []
    shapes.append(line_across("y", record.baseline.value, dashed(theme.quiet), "above"))
    series = (
        ("codes divided by Q", record.rescaled, theme.curve, "circle", "solid"),
        ("codes as they are, as printed", record.unscaled, CURSOR, "square", "dot"),
    )
    for name, accuracies, colour, symbol, dash in series:
        values = [a.value for a in accuracies]
        data.append(
            scatter(
                x=record.q,
                y=values,
                name=name,
                mode="lines+markers",
                line={"color": colour, "dash": dash},
                marker={"symbol": symbol, "size": 9},
                error_y={
                    "array": [a.interval[1] - a.value for a in accuracies],
                    "arrayminus": [a.value - a.interval[0] for a in accuracies],
                    "thickness": 0.8,
                    "width": 3,
                },
                text=[f"{a.correct} of {a.n} rows right" for a in accuracies],
                hovertemplate=f"{name}, Q = %{{x}}<br>%{{y:.1%}}, %{{text}}<extra></extra>",
            )
        )
    lines = [
        f"n = {record.baseline.n} test rows, whiskers: 95 %, dashed: not quantized",
    ]
    source = f"iris, random state 42, logistic regression<br>{provenance.machine()}"
    base = layout(theme, "Iris: undo the scale of the codes", lines, _HEIGHT, source)
    base["margin"]["t"] += 17
    return drawing(
        data,
        base,
        xaxis={
            "title": {"text": "Q (log scale)"},
            "type": "log",
            "tickvals": record.q,
            "ticktext": [str(q) for q in record.q],
            "gridcolor": theme.grid,
        },
        yaxis={
            "title": {"text": "Accuracy"},
            "tickformat": ".0%",
            "range": [0.0, 1.05],
            "gridcolor": theme.grid,
            "zeroline": False,
        },
        shapes=shapes,
    )


def at_q(textbook: Textbook, q: int) -> Quantized:
    return next(point for point in textbook.quantized if point.q == q)


def weight_table(textbook: Textbook, q: int) -> pd.DataFrame:
    """Each weight of the model, its code at this Q, and the value the code stands for."""
    weights = np.array(textbook.coefficients)
    codes = quantize(weights, q)
    rows = [
        {
            "class": class_name,
            "feature": feature,
            "weight w": weights[i, j],
            "code a = round(w · Q)": int(codes[i, j]),
            "a / Q": codes[i, j] / q,
            "error": codes[i, j] / q - weights[i, j],
        }
        for i, class_name in enumerate(textbook.class_names)
        for j, feature in enumerate(textbook.feature_names)
    ]
    return pd.DataFrame(rows)
