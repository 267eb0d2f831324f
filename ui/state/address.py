"""What a visitor looks at, as one value: it is in the URL whole, so a link shows the same.

    ?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold=0.09)%2Bq(8)
        &size=gzip&margin=0.5&section=rows&drop=1&kb=none&us=none&heat=accuracy&pins=...

The address holds every part, also those that are at their default now: a default that changes
later does not change old links. A part is one field of `View`: its default, how it is read and
checked, how it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import Number, format_value
from paretoscope.data.dataset import datasets, find_source
from paretoscope.data.own_data import is_own
from paretoscope.measurement.budget import Budget
from paretoscope.methods.pruning import CRITERIA
from paretoscope.methods.recipe import Recipe
from paretoscope.methods.recovery import RECOVERIES
from paretoscope.problems.classification import Classification
from paretoscope.problems.score import Score
from paretoscope.training.training import fits, models

Read = Callable[["View", str], Any]

VERSION = "1"
MARGINS = Number(0.1, 20.0)  # points
LOSSES = Number(1e-9, 1e9)  # of other scores, in their own unit
DROPS = Number(0, 1e9)
_LONGEST_DECISION = 500
USUAL = "usual"  # of a margin or a drop: what is asked about where nothing is said
WHOLE = "all"
SECTIONS = {
    WHOLE: "Whole report",
    "rows": "Rows and classes",
    "scores": "Other scores",
    "test": "Test rows",
    "time": "Time",
    "size": "Size",
    "robustness": "Robustness",
    "seeds": "Other seeds",
}
SIZES = {"gzip": "zipped", "file": "on disk"}
ACROSS = {"size": "size", "ratio": "compression ratio"}
SPANS = {"near": "Last ten points", "whole": "Whole range"}
HEATS = {"accuracy": "Accuracy", "size": "Size", "time": "Time"}
AIMS = {"gzip": "smallest, zipped", "file": "smallest, on disk", "time": "fastest"}
CURVES = {c.name: c.title for c in CRITERIA}
RECOVER = {r.name: r.title for r in RECOVERIES if not r.needs_validation_rows} | {
    "layers": "Coarser codes layer by layer"
}
RECOVER.pop("project")
# What Compare puts in place of the recipe's own.
QUANTIZERS = {
    "float32": "No quantization",
    "q(4)": "Q = 4",
    "q(8)": "Q = 8",
    "q(16)": "Q = 16",
    "symmetric(4)": "4 bits",
    "kmeans(8)": "8 clusters",
}
RECOVERIES_COMPARED = {r.name: r.title for r in RECOVERIES if not r.needs_validation_rows}
RECOVERIES_COMPARED["project"] = "No recovery"
VARIANTS = QUANTIZERS | RECOVERIES_COMPARED
LIMITS = {"drop": Number(0, 100), "kb": Number(0.001, 1e9), "us": Number(0.001, 1e9)}
NO_LIMIT = "none"
BETWEEN = "|"  # stands in no recipe
MOST_PINS = 6
_DEFAULT_RECIPE = Recipe.parse("magnitude(sparsity=0.4)+q(8)")


def _dataset(_: View, text: str) -> str:
    if is_own(text):
        find_source(text)  # says so where it is not kept here
    elif text not in datasets():
        raise one_of("dataset", text, datasets())
    return text


def _model(view: View, text: str) -> str:
    if not fits(text, view.dataset):
        allowed = models(view.dataset)
        raise one_of(f"model for {find_source(view.dataset).title}", text, allowed)
    return text


def _beside(view: View, text: str) -> tuple[str, ...]:
    names, allowed = _split(text), models(view.dataset)
    for name in names:
        if name not in allowed:
            raise one_of(f"beside (models of {find_source(view.dataset).title})", name, allowed)
    return names


def _decision(view: View, text: str) -> str:
    if text and find_source(view.dataset).problem is not Classification:
        raise ParetoscopeError(f"decision is for classes; {view.dataset} has none")
    if len(text) > _LONGEST_DECISION:
        raise ParetoscopeError(f"decision must be at most {_LONGEST_DECISION} letters")
    return text


def _score(view: View, text: str) -> str:
    names = [score.name for score in _offered(view)]
    if text and text not in names:
        raise one_of(f"score for {find_source(view.dataset).title}", text, names)
    return text


def _offered(view: View) -> tuple[type[Score], ...]:
    return find_source(view.dataset).problem.offers


def _in_points(view: View) -> bool:
    """Whether losses are points of a share."""
    known = {score.name: score for score in _offered(view)}
    return known.get(view.score, _offered(view)[0]).unit == "%"


def _margin(view: View, text: str) -> float | str:
    if text == USUAL:
        return USUAL
    allowed = MARGINS if _in_points(view) else LOSSES
    margin = allowed.parse("margin", text)
    allowed.check("margin", margin)
    return margin


def _limit_text(limit: float | str | None) -> str:
    if limit is None or isinstance(limit, str):
        return NO_LIMIT if limit is None else limit
    return format_value(limit)


def _drop(view: View, text: str) -> float | str | None:
    if text == USUAL:
        return USUAL
    if text == NO_LIMIT:
        return None
    allowed = LIMITS["drop"] if _in_points(view) else DROPS
    drop = allowed.parse("drop", text)
    allowed.check("drop", drop)
    return drop


def _together(parts: tuple[object, ...]) -> str:
    return BETWEEN.join(map(str, parts))


def _limit(name: str) -> Callable[[View, str], float | None]:
    def check(_: View, text: str) -> float | None:
        if text == NO_LIMIT:
            return None
        value = LIMITS[name].parse(name, text)
        LIMITS[name].check(name, value)
        return value

    return check


def _word(name: str, words: Mapping[str, str]) -> Callable[[View, str], str]:
    """One of a few words."""

    def check(_: View, text: str) -> str:
        if text not in words:
            raise one_of(name, text, list(words))
        return text

    return check


def _several(name: str, words: Mapping[str, str]) -> Callable[[View, str], tuple[str, ...]]:
    """Some of a few words."""
    one = _word(name, words)

    def check(view: View, text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one(view, part) for part in text.split(BETWEEN) if part))

    return check


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in text.split(BETWEEN) if part))


def _pins(_: View, text: str) -> tuple[Recipe, ...]:
    parts = [part for part in text.split(BETWEEN) if part]
    if len(parts) > MOST_PINS:
        raise ParetoscopeError(f"a link holds at most {MOST_PINS} pins; got {len(parts)}")
    return tuple(dict.fromkeys(map(Recipe.parse, parts)))


def _part(default: Any, read: Read, write: Callable[[Any], str] = str) -> Any:
    """A part of the address. `read` is given the view so far, and raises a ParetoscopeError."""
    return field(default=default, metadata={"read": read, "write": write})


class Judged(Protocol):
    """What is looked at, and the score that it is judged by."""

    @property
    def score(self) -> Score: ...

    @property
    def usual_loss(self) -> float: ...


def _loss(asked: float | str, judged: Judged, usual: float) -> float:
    if isinstance(asked, str):
        return usual
    return asked / 100 if judged.score.unit == "%" else asked


@dataclass(frozen=True)
class View:
    """What a visitor looks at, a field for each part of the address, in the order in which they are
    read: which models there are depends on the dataset.

    `across` is what the size chart shows from left to right, `span` how much of its accuracy.
    `decision` is how classes are decided for, or nothing: by the largest score.
    `score` is what quality is judged by, or nothing: what suits the data. `margin` is the loss that
    is asked about, and `drop`, `kb` and `us` are the budget: points, or the score's own unit,
    kilobytes and microseconds. `section` is the evidence, `heat` the heatmap, `curves`, `variants`
    and `beside` (other models) what Compare draws, `aim`, `over` and `recover` what Search is
    asked.
    """

    dataset: str = _part("digits", _dataset)
    model: str = _part("mlp-64-32", _model)
    recipe: Recipe = _part(_DEFAULT_RECIPE, lambda _, text: Recipe.parse(text))
    size: str = _part("gzip", _word("size", SIZES))
    decision: str = _part("", _decision)
    score: str = _part("", _score)
    margin: float | str = _part(USUAL, _margin, _limit_text)
    section: str = _part(WHOLE, _word("section", SECTIONS))
    drop: float | str | None = _part(USUAL, _drop, _limit_text)
    kb: float | None = _part(None, _limit("kb"), _limit_text)
    us: float | None = _part(None, _limit("us"), _limit_text)
    heat: str = _part("accuracy", _word("heat", HEATS))
    pins: tuple[Recipe, ...] = _part((), _pins, _together)
    curves: tuple[str, ...] = _part(("magnitude", "random"), _several("curves", CURVES), _together)
    aim: str = _part("gzip", _word("aim", AIMS))
    over: tuple[str, ...] = _part(("magnitude",), _several("over", CURVES), _together)
    recover: tuple[str, ...] = _part((), _several("recover", RECOVER), _together)
    variants: tuple[str, ...] = _part((), _several("variants", VARIANTS), _together)
    layer: str = _part("", lambda _, text: text)
    across: str = _part("size", _word("across", ACROSS))
    span: str = _part("near", _word("span", SPANS))
    beside: tuple[str, ...] = _part((), _beside, _together)

    @property
    def has_own_model(self) -> bool:
        """Whether the model was brought, so that its name opens it."""
        return self.model.startswith("own-model-")

    @property
    def zipped(self) -> bool:
        """Whether the size that is shown everywhere is that of the zipped file."""
        return self.size == "gzip"

    def margin_of(self, judged: Judged) -> float:
        """The loss that is asked about, in the score's unit."""
        return _loss(self.margin, judged, judged.usual_loss)

    def drop_of(self, judged: Judged) -> float | None:
        """The loss that the budget allows, in the score's unit; None where any is."""
        return None if self.drop is None else _loss(self.drop, judged, 2 * judged.usual_loss)

    def budget_of(self, judged: Judged) -> Budget:
        """The limits, on the score and the size that are shown."""
        limit = None if self.kb is None else 1000 * self.kb
        drop = self.drop_of(judged)
        sizes = {"gzip_bytes" if self.zipped else "file_bytes": limit}
        return Budget(drop=drop, time_us=self.us, **sizes)

    @property
    def file_name(self) -> str:
        """How files of this dataset and model begin. The name of own data is their key, and goes
        nowhere but into links."""
        model = "own-model" if self.has_own_model else self.model
        return f"{'own-data' if is_own(self.dataset) else self.dataset}-{model}"

    def query(self) -> dict[str, str]:
        """The parts of the address."""
        written = {f.name: f.metadata["write"](getattr(self, f.name)) for f in fields(self)}
        return {"v": VERSION} | written


def parse_query(query: Mapping[str, str]) -> tuple[View, list[str]]:
    """The view of an address, and a sentence for each part that is wrong and was replaced."""
    view, complaints = View(), []
    unknown = [name for name in query if name not in view.query()]
    if unknown:
        names = ", ".join(short(name) for name in unknown)
        complaints.append(f"this page does not know {names}, so it was left out.")
    if query.get("v", VERSION) != VERSION:
        complaints.append(
            f"v must be {VERSION}; got {short(repr(query['v']))}. It was read as if it were."
        )
    for part in fields(View):
        if part.name not in query:
            continue
        try:
            value = part.metadata["read"](view, query[part.name])
            view = replace(view, **{part.name: value})
        except ParetoscopeError as error:
            complaints.append(f"{short(str(error), 300)}. The default is shown instead.")
    if not fits(view.model, view.dataset):
        view = replace(view, model=models(view.dataset)[-1])
    return view, complaints


def short(text: str, length: int = 60) -> str:
    """A text of somebody's address, cut where it is long."""
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"
