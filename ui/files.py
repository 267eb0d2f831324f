"""Uploads: a table becomes a dataset once its owner has confirmed its reading; models are judged.

Nothing of an upload is shown but as plain text, and nothing of it is kept before it is confirmed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st
from paretoscope.accuracy import Accuracy
from paretoscope.dataset import Dataset, Raw, find_source, keep_own
from paretoscope.errors import ParetoscopeError
from paretoscope.store import sha256
from paretoscope.training import keep_own_model
from paretoscope.uploads.checking import (
    MODEL_ENDINGS,
    Checked,
    UnknownLabelsError,
    check,
    rows_of,
)
from paretoscope.uploads.csvs import Table
from paretoscope.uploads.gate import as_name, shown
from paretoscope.uploads.importing import network_for, skops_network_for
from paretoscope.uploads.kinds import MOST_BYTES
from paretoscope.uploads.labelled import (
    Constant,
    Labelled,
    Missing,
    guess_label,
    require_trainable,
    with_label,
)
from paretoscope.uploads.models import read_model
from paretoscope.uploads.sandbox import SandboxError, limits_hold
from paretoscope.uploads.tables import ENDINGS, read_table

from ui import server, view, words

T = TypeVar("T")
_MOST_ROWS_SHOWN = 8
_FEW_COLUMNS = 40  # pills for more would fill the page
_KEPT = 32
_MOST_NAMED, _MOST_LABELS = 20, 100  # classes and labels that a form has room for
_MOST_KEPT = 20  # of one visit; the proxy limits those of an address
_MISSING: dict[Missing, str] = {
    "leave-out": "Leave them out",
    "median": "Fill with the column's median",
    "zero": "Fill with 0",
}
_CONSTANT: dict[Constant, str] = {"leave-out": "Leave them out", "keep": "Keep them"}
_TITLE = re.compile(r"[^A-Za-z0-9 .-]")


def table() -> None:
    """Upload a table, choose its label, see what is done to its rows, and use it."""
    st.markdown(
        "A table: CSV with a header (also with tabs or semicolons), Parquet, or NPZ. Columns of "
        "numbers are features, one column is the label. It stays on this server, and nobody finds "
        "it without its link."
    )
    given = st.file_uploader(
        f"Table, at most {MOST_BYTES // 1_000_000} MB", type=list(ENDINGS), key="own-table"
    )
    if given is None:
        return
    data = given.getvalue()
    try:
        found = _read(sha256(data), data)
    except ParetoscopeError as error:
        st.error(view.plain(_sentence(error)))
        return
    _choose(found, given.name)


@st.cache_resource(show_spinner="Reading the table", max_entries=_KEPT, scope="session")
def _read(digest: str, _data: bytes) -> Table:
    return read_table(_data)


def _choose(found: Table, name: str) -> None:
    """The columns, the label, what is left out, and the notes; then the button."""
    names = found.names
    guess = guess_label(found)
    left, right = st.columns(2)
    label = left.selectbox(
        "Label", names, index=names.index(guess), format_func=_plain, key="own-label"
    )
    text = [c.name for c in found.columns if c.kind != "number" and c.name != label]
    choices = [n for n in names if n != label]
    asked: dict[str, Any] = {
        "default": [n for n in text if n in choices],
        "format_func": _plain,
        "key": f"own-leave-{label}",
        "help": "Text and dates cannot be features: such columns are left out unless you insist.",
    }
    leave_out: list[str]
    if len(choices) <= _FEW_COLUMNS:
        leave_out = right.pills("Leave out", choices, selection_mode="multi", wrap=True, **asked)
    else:
        leave_out = right.multiselect("Leave out", choices, **asked)
    st.dataframe(_columns(found, str(label), leave_out), hide_index=True, height="content")
    left_out = {str(label), *leave_out}
    numbers = [c for c in found.columns if c.kind == "number" and c.name not in left_out]
    missing: Missing = "leave-out"
    if any(c.n_missing for c in numbers):
        missing = _treatment("Rows that miss features", _MISSING, "own-missing")
    constant: Constant = "leave-out"
    if any(c.is_constant for c in numbers):
        constant = _treatment(
            "Columns with one value in all rows",
            _CONSTANT,
            "own-constant",
            "They tell nothing apart. Keep them for a model of your own that was trained on them, "
            "as on the edges of images.",
        )
    try:
        rows = with_label(found, label, leave_out, missing, constant)
        _notes([*found.notes, *rows.notes])
        require_trainable(rows)
    except ParetoscopeError as error:
        st.error(view.plain(_sentence(error)))
        return
    raw = _raw(rows)
    _preview(raw, rows)
    st.button(
        "Use these data",
        on_click=_use,
        args=(raw, _title(name), (*found.notes, *rows.notes)),
    )
    _say_wrong()
    if st.session_state.pop("own-used", False):
        st.switch_page("pages/explore.py", query_params=st.session_state.view.query())


def _treatment(label: str, choices: Mapping[T, str], key: str, about: str | None = None) -> T:
    """What becomes of rows or columns, of choices with their titles; the first by default."""
    return st.segmented_control(
        label,
        tuple(choices),
        default=next(iter(choices)),
        required=True,
        format_func=choices.__getitem__,
        key=key,
        help=about,
    )


def _columns(found: Table, label: str, leave_out: Sequence[str]) -> list[dict[str, object]]:
    """Each column in a row: its part, what it holds, how much of it, and its first cells."""
    parts = dict.fromkeys(leave_out, "left out") | {label: "label"}
    return [
        {
            "column": shown(c.name),
            "part": parts.get(c.name, "feature"),
            "holds": {"number": "numbers", "date": "dates", "empty": "nothing"}.get(c.kind, c.kind),
            "missing": c.n_missing,
            "different": c.n_different,
            "first": ", ".join(shown(cell) for cell in c.cells[:_MOST_ROWS_SHOWN]),
        }
        for c in found.columns
    ]


def _notes(notes: Sequence[str]) -> None:
    if notes:
        st.warning("  \n".join(view.plain(note[:1].upper() + note[1:] + ".") for note in notes))


def _preview(raw: Raw, rows: Labelled) -> None:
    """The split, and what its size lets one tell."""
    data = Dataset("own", "", raw, server.SPLIT_SEED)
    n = len(data.validation)
    low, high = Accuracy(round(0.9 * n), n).interval
    classes = ", ".join(_plain(name) for name in raw.class_names[:10])
    more = f" and {len(raw.class_names) - 10} more" if len(raw.class_names) > 10 else ""
    st.markdown(
        f"**{len(data.train):,}** rows to train on, **{n:,}** to choose by, **{len(data.test):,}** "
        f"kept for the end; {len(raw.feature_names)} features; {len(raw.class_names)} classes: "
        f"{classes}{more}."
    )
    st.caption(
        f"An accuracy of 90 % on {n:,} rows would be known to lie between {words.percent(low)} and "
        f"{words.percent(high)}."
    )


def _count() -> None:
    """One more file of this visitor is to be kept."""
    kept = st.session_state.get("own-kept", 0)
    if kept >= _MOST_KEPT:
        raise ParetoscopeError(
            f"this visit has kept {_MOST_KEPT} files, the limit; open the page anew to go on"
        )
    st.session_state["own-kept"] = kept + 1


def _use(raw: Raw, title: str, notes: Sequence[str]) -> None:
    try:
        _count()
        name = keep_own(raw, title, notes)
    except ParetoscopeError as error:
        st.session_state["own-wrong"] = _sentence(error)
        return
    view.change(dataset=name, model="logistic-regression", pins=())
    st.session_state["own-used"] = True


def model() -> None:
    """Upload a model and be told what it is, or why it is refused."""
    st.markdown(
        "An ONNX classifier, or a scikit-learn model as `.skops`. It is run only in a process of "
        "its own with limits. Pickles are never loaded."
    )
    if not limits_hold():
        st.warning("This system cannot hold a model to limits of memory and processor time.")
    given = st.file_uploader(
        f"Model, at most {MOST_BYTES // 1_000_000} MB", type=list(MODEL_ENDINGS), key="own-model"
    )
    beside = st.file_uploader(
        "Table to judge it on, if you like", type=list(ENDINGS), key="own-rows"
    )
    if given is None:
        return
    fix = st.checkbox(
        "Take the number of features from the weights, where the model states another",
        key="own-fix",
    )
    data, rows = given.getvalue(), None if beside is None else beside.getvalue()
    about = f"{sha256(data)} {given.name[-6:]} {fix} {None if rows is None else sha256(rows)}"
    names = _names_given(about)
    output: str | None = None
    try:
        try:
            outputs = _checked(about, data, given.name, rows, fix, None, ()).outputs
        except UnknownLabelsError as error:
            outputs = error.outputs
        if len(outputs) > 1:
            output = st.selectbox(
                "Output that holds the scores",
                outputs,
                index=None,
                placeholder="Labels where there are any, else the first scores",
                format_func=_plain,
                key=f"own-output-{about}",
            )
        key = about if output is None and not names else f"{about} {output} {names}"
        found = _checked(key, data, given.name, rows, fix, output, names)
    except ParetoscopeError as error:
        st.error(view.plain(_sentence(error)))
        if isinstance(error, UnknownLabelsError):
            _ask_names(error, about)
        _offer_other_names(about)
        return
    _offer_other_names(about)
    beside_name = None if beside is None else beside.name
    _offer(data, given.name, rows, beside_name, fix, output, names)
    st.success(view.plain(found.line[:1].upper() + found.line[1:] + "."))
    _notes(found.notes)


def _names_given(about: str) -> tuple[str, ...]:
    """What the visitor said that the table calls the model's classes."""
    given: tuple[str, ...] = st.session_state.get(f"own-names-{about}", ())
    return given


def _offer_other_names(about: str) -> None:
    if _names_given(about):
        st.button("Other names for its classes", on_click=_forget_names, args=(about,))


def _forget_names(about: str) -> None:
    st.session_state.pop(f"own-names-{about}", None)


def _ask_names(unknown: UnknownLabelsError, about: str) -> None:
    """A form that maps the model's classes to the table's labels."""
    classes, labels = unknown.classes, unknown.labels
    if len(classes) > _MOST_NAMED or len(labels) > _MOST_LABELS:
        return
    with st.form(f"own-mapping-{about}", border=False):
        st.markdown("Which label of the table is each of the model's classes?")
        columns = st.columns(min(len(classes), 4))
        chosen = [
            columns[k % len(columns)].selectbox(
                f"Class {_plain(own)}",
                ("", *labels),
                index=k + 1 if k < len(labels) else 0,
                format_func=lambda label: _plain(label) or "none of them",
                key=f"own-class-{k}-{about}",
            )
            for k, own in enumerate(classes)
        ]
        if st.form_submit_button("Judge it so"):
            st.session_state[f"own-names-{about}"] = tuple(chosen)
            st.rerun()


def _offer(
    data: bytes,
    name: str,
    rows: bytes | None,
    rows_name: str | None,
    fix: bool,
    output: str | None,
    names: tuple[str, ...],
) -> None:
    """The button that takes the model to Explore, on the table beside or the dataset at hand."""
    now: view.View = st.session_state.view
    on = "this table" if rows is not None else find_source(now.dataset).title
    st.button(
        f"Explore it on {on}",
        on_click=_take,
        args=(data, name, rows, rows_name, fix, output, names),
        help="It is rewritten so that its weights can be compressed, and its labels are compared "
        "with those of the file.",
    )
    _say_wrong()
    if st.session_state.pop("own-used", False):
        st.switch_page("pages/explore.py", query_params=st.session_state.view.query())


def _say_wrong() -> None:
    """Why the button that was pressed did nothing."""
    wrong = st.session_state.pop("own-wrong", None)
    if wrong:
        st.error(view.plain(wrong))


def _take(
    data: bytes,
    name: str,
    rows: bytes | None,
    rows_name: str | None,
    fix: bool,
    output: str | None,
    names: tuple[str, ...],
) -> None:
    now: view.View = st.session_state.view
    try:
        _count()
        dataset = now.dataset if rows is None else _kept(rows, rows_name or "")
        on = server.dataset(dataset)
        if name.lower().endswith(".skops"):
            network = skops_network_for(data, on, tuple(map(as_name, names)))
        else:
            read = read_model(data, correct_shape=fix, output=output)
            network = network_for(read, on, tuple(map(as_name, names)))
        kept = keep_own_model(network, _title(name), on)
    except ParetoscopeError as error:
        st.session_state["own-wrong"] = _sentence(error)
        return
    view.change(dataset=dataset, model=kept, pins=())
    st.session_state["own-used"] = True


def _kept(rows: bytes, name: str) -> str:
    """A table beside a model as own data, by its likely label."""
    table = read_table(rows)
    found, _ = rows_of(table, constant="keep")  # the model was trained on them
    require_trainable(found)
    return keep_own(_raw(found), _title(name), (*table.notes, *found.notes))


def _raw(rows: Labelled) -> Raw:
    return Raw(
        rows.X, rows.y, tuple(map(as_name, rows.features)), tuple(map(as_name, rows.classes))
    )


def _title(name: str) -> str:
    return _TITLE.sub(" ", name)[:40].strip() or "own file"


@st.cache_resource(
    show_spinner="Trying the model in a process of its own", max_entries=_KEPT, scope="session"
)
def _tried(
    key: str,
    _data: bytes,
    _name: str,
    _rows: bytes | None,
    _fix: bool,
    _output: str | None,
    _names: tuple[str, ...],
) -> Checked | ParetoscopeError:
    """A verdict or a refusal, kept for the page's next runs; a limit that a busy machine may have
    caused is raised, so that it is tried again."""
    try:
        if _rows is None:
            return check(_data, _name, correct_shape=_fix, output=_output)
        return check(_rows, "", _data, correct_shape=_fix, output=_output, names=_names)
    except SandboxError:
        raise
    except ParetoscopeError as error:
        return error


def _checked(
    key: str,
    data: bytes,
    name: str,
    rows: bytes | None,
    fix: bool,
    output: str | None,
    names: tuple[str, ...],
) -> Checked:
    found: Checked | ParetoscopeError = _tried(key, data, name, rows, fix, output, names)
    if isinstance(found, ParetoscopeError):
        raise found.with_traceback(None)
    return found


def _plain(text: str) -> str:
    """A name of unknown origin within a Markdown text or label."""
    return view.plain(shown(text))


def _sentence(error: ParetoscopeError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + "."
