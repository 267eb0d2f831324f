"""How often the 95 % intervals of scores hold the truth, and how often equal models are told apart.

Claims: at least 93 % from n = 100 on, for scores and for their changes, with errors that are normal
or have the tails of Student's t with 3 degrees, and with 3, 20 and 50 % of the rows of one class.
An RMSE by itself does not under such tails (no interval of a mean can: Bahadur and Savage 1956, The
Annals of Mathematical Statistics 27:1115); its change does. Models are pairs of the same skill that
share most of their mistakes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from paretoscope.problems.classification import Classification
from paretoscope.problems.problem import Problem
from paretoscope.problems.regression import Regression
from paretoscope.problems.score import Predicted, Score

NS = (100, 360, 1_000)
SHARES = (0.03, 0.2, 0.5)
DRAWS = 4_000
PAIRS = 200
_POPULATION = 1_000_000
_SHARED, _OWN = 1.0, 0.5  # spread of what two models have in common, and of each by itself
_TOLERANCE = 1.5

Draw = Callable[[np.random.Generator, int], tuple[Predicted, Predicted, Any]]


def run() -> None:
    print(f"share of {DRAWS:,} simulations whose interval holds the truth, and of {PAIRS} pairs of")
    print("equal models the number called worse or better; '-' where no interval is given")
    lowest: dict[str, float] = {}
    for tails in ("normal", "t3"):
        _of(f"errors {tails}", Regression(tolerance=_TOLERANCE), _numbers(tails), lowest)
    for share in SHARES:
        _of(f"{share:.0%} positives", Classification(("no", "yes")), _classes(share), lowest)
    _of("5 classes", Classification(tuple("abcde")), _several, lowest)
    print("\nlowest of all:")
    for name, covered in lowest.items():
        print(f"  {name:<28}{covered:8.3f}")


def _of(what: str, problem: Problem, draw: Draw, lowest: dict[str, float]) -> None:
    print(f"\n{what:<34}" + "".join(f"{f'n = {n:,}':>24}" for n in NS))
    now, _, targets = draw(np.random.default_rng(99), _POPULATION)
    for score in problem.scores:
        truth = _value(score, now, targets)
        cells = [_cover(score, draw, n, truth) for n in NS]
        print(f"  {score.title:<32}" + "".join(f"{_text(cell):>24}" for cell in cells))
        for cell in cells:
            for kind, covered in zip(("", ", change"), cell[:2], strict=True):
                if covered is not None:
                    name = f"{score.title}{kind}"
                    lowest[name] = min(lowest.get(name, 1.0), covered)


def _value(score: Score, now: Predicted, targets: Any) -> float:
    return score.figure(now, targets).value


def _cover(
    score: Score, draw: Draw, n: int, truth: float
) -> tuple[float | None, float | None, int | None]:
    rng = np.random.default_rng(n)
    held, changes, told = [], [], 0
    for i in range(DRAWS):
        now, before, targets = draw(rng, n)
        figure, change = score.figure(now, targets), score.difference(now, before, targets)
        if figure.interval is not None:
            held.append(figure.interval[0] <= truth <= figure.interval[1])
        if change.interval is not None:
            low, high = change.interval
            changes.append(low <= 0 <= high)
            told += i < PAIRS and not low <= 0 <= high
    few = DRAWS // 2
    return (
        float(np.mean(held)) if len(held) > few else None,
        float(np.mean(changes)) if len(changes) > few else None,
        told if len(changes) > few else None,
    )


def _text(cell: tuple[float | None, float | None, int | None]) -> str:
    held, change, told = cell
    parts = ["-" if v is None else f"{v:.3f}" for v in (held, change)]
    return f"{parts[0]}  {parts[1]}  {'-' if told is None else told:>3}"


def _numbers(tails: str) -> Draw:
    def draw(rng: np.random.Generator, n: int) -> tuple[Predicted, Predicted, Any]:
        def some() -> np.ndarray:
            return rng.standard_normal(n) if tails == "normal" else rng.standard_t(3, n)

        y, common = 3 * rng.standard_normal(n), _SHARED * some()
        now, before = (Predicted((y + common + _OWN * some())[:, None]) for _ in range(2))
        return now, before, y

    return draw


def _classes(share: float) -> Draw:
    problem = Classification(("no", "yes"))

    def draw(rng: np.random.Generator, n: int) -> tuple[Predicted, Predicted, Any]:
        y = np.zeros(n, np.int64)
        y[: round(share * n)] = 1  # splits are stratified
        odds = np.log(share / (1 - share)) + 2 * (y - 0.5) * 2
        common = _SHARED * rng.standard_normal(n)
        both = [odds + common + _OWN * rng.standard_normal(n) for _ in range(2)]
        now, before = (problem.predict(np.stack([0 * s, s], 1)) for s in both)
        return now, before, y

    return draw


def _several(rng: np.random.Generator, n: int) -> tuple[Predicted, Predicted, Any]:
    problem = Classification(tuple("abcde"))
    y = np.arange(n) % 5
    common = 2.5 * np.eye(5)[y] + _SHARED * rng.standard_normal((n, 5))
    both = [common + _OWN * rng.standard_normal((n, 5)) for _ in range(2)]
    now, before = (problem.predict(scores) for scores in both)
    return now, before, y


if __name__ == "__main__":
    run()
