"""Uploads: a table becomes a dataset once its owner has confirmed its reading; models are judged.

Nothing of an upload is shown but as plain text, and nothing of it is kept before it is confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import sha256
from paretoscope.base.wording import counted
from paretoscope.data.dataset import Dataset, find_source
from paretoscope.data.own_data import keep_own
from paretoscope.data.rows import Raw
from paretoscope.methods.kernels import Auto, Fused
from paretoscope.methods.recipe import Recipe
from paretoscope.problems.accuracy import Accuracy
from paretoscope.sandbox.sandbox import SandboxError, limits_hold
from paretoscope.uploads.arrays import is_arrays
from paretoscope.uploads.checking import (
    MODEL_ENDINGS,
    Checked,
    Chosen,
    UnknownLabelsError,
)
from paretoscope.uploads.columns import Column
from paretoscope.uploads.csvs import Reading, Table
from paretoscope.uploads.decoding import ENCODINGS, EncodingError
from paretoscope.uploads.gate import shown
from paretoscope.uploads.kinds import MOST_TABLE_BYTES, most_bytes
from paretoscope.uploads.labelled import (
    Constant,
    Labelled,
    Missing,
    Predicted,
    can_be_one_hot,
    looks_like_number,
    may_be_number,
    require_trainable,
    with_label,
)
from paretoscope.uploads.numerals import DECIMALS, AmbiguousNumbersError, Decimal
from paretoscope.uploads.own import (
    as_raw,
    title_of,
)
from paretoscope.uploads.pictures import is_pictures
from paretoscope.uploads.roles import guess_label, row_keys, say_keys
from paretoscope.uploads.tables import ENDINGS, read_table
from paretoscope.uploads.taking import Brought
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ui.base import words
from ui.files import apart, examples, pictures
from ui.state import server, view
from ui.state.address import USUAL
from ui.state.session import session

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


_ACCEPTED = """
| file | what it holds |
|---|---|
| CSV, TSV, TXT | a header, then a row a line; commas, tabs or semicolons; the encoding is found or asked |
| Parquet | columns of numbers and text |
| NPZ | arrays of one length: features (images, too) and labels or numbers to predict; beside a model, an array for each input, in a folder `inputs/` |
| ZIP | beside a model: PNG, JPEG or WebP pictures, a folder for each class, or a table of names and labels among them |
| ONNX | any network of numbers: classifiers, regressions, embedders, autoencoders, of one input or several |
| skops | a scikit-learn classifier or regression: linear, or a multilayer perceptron |
"""  # noqa: E501 - a table in Markdown


def go_on() -> None:
    """To Explore, where a button took what it looks at."""
    if session().take("own_used"):
        st.switch_page("pages/explore.py", query_params=session().view.query())


def accepted() -> None:
    """What files are read, and what becomes of them."""
    with st.expander("What is accepted, and what becomes of it"):
        st.markdown(_ACCEPTED)
        st.markdown(
            "Columns of numbers are features, one column is the label: classes, or a number to "
            "predict. A model without targets is held against itself. Files stay on this server, "
            "and nobody finds them without their link. Models run only in a process of their own "
            "with limits, and what you explore is a copy rewritten with known operators. Pickles "
            "are never loaded."
        )


def table() -> None:
    """Upload a table, choose its label, see what is done to its rows, and use it."""
    given: UploadedFile | examples.File | None = st.file_uploader(
        f"Table, at most {MOST_TABLE_BYTES // 1_000_000} MB",
        type=list(ENDINGS),
        key="own-table",
        max_upload_size=MOST_TABLE_BYTES // 1_000_000,
    )
    tried = examples.chosen()
    if given is None and tried is not None and tried.model is None:
        given = tried.table
    if given is None:
        return
    if is_arrays(given.getvalue()):
        st.info("Rows that are so long are for a model of yours: give it below, with this file.")
        return
    try:
        found, _ = _table_of(given.getvalue(), "own-table")
    except ParetoscopeError as error:
        st.error(view.plain(_sentence(error)))
        return
    if found is not None:
        _choose(found, given.name)


@st.cache_resource(show_spinner="Reading the table", max_entries=_KEPT, scope="session")
def _read(digest: str, reading: Reading, _data: bytes) -> Table | ParetoscopeError:
    try:
        return read_table(_data, reading)
    except SandboxError:
        raise
    except ParetoscopeError as error:
        return error


def _table_of(data: bytes, key: str) -> tuple[Table | None, Reading]:
    """The table of a file, read as the visitor chose; None while a choice is open."""
    digest = sha256(data)
    encoding: str | None = st.session_state.get(f"{key}-encoding-{digest}")
    decimal: Decimal | None = st.session_state.get(f"{key}-decimal-{digest}")
    reading = Reading(encoding, decimal)
    found = _read(digest, reading, data)
    odd = isinstance(found, EncodingError) or (
        isinstance(found, Table) and found.encoding not in (None, "utf-8")
    )
    if encoding is not None or odd:
        guess = found.encoding if isinstance(found, Table) else None
        st.selectbox(
            "Encoding",
            list(ENCODINGS),
            index=None,
            placeholder=f"Guessed: {ENCODINGS[guess]}" if guess else "Not recognised",
            format_func=ENCODINGS.__getitem__,
            key=f"{key}-encoding-{digest}",
            help="Which letters the bytes of a file of text stand for. The names and labels below "
            "show whether it is the right one.",
        )
    if isinstance(found, AmbiguousNumbersError) or decimal is not None:
        _ask_decimal(found, f"{key}-decimal-{digest}")
    if isinstance(found, AmbiguousNumbersError):
        return None, reading
    if isinstance(found, ParetoscopeError):
        raise found.with_traceback(None)
    return found, reading


def _ask_decimal(found: Table | ParetoscopeError, key: str) -> None:
    """Let the visitor say how numbers are written, shown on cells of each column that is open."""
    if isinstance(found, AmbiguousNumbersError):
        st.warning("Some numbers can be read in two ways, and nothing in the file tells which.")
        rows = [
            {
                "column": shown(c.column),
                "cell": shown(c.cell),
                **{f"decimal {mark}": f"{value:,.15g}" for mark, value in c.values.items()},
            }
            for c in found.columns
        ]
        st.dataframe(rows, hide_index=True, height="content")
    st.segmented_control("Decimal mark", list(DECIMALS), format_func=str.capitalize, key=key)


def _choose(found: Table, name: str) -> None:
    """The columns, the label, what is left out, and the notes; then the button."""
    names = found.names
    guess = guess_label(found)
    left, right = st.columns(2)
    label = left.selectbox(
        "Label", names, index=names.index(guess), format_func=_plain, key="own-label"
    )
    keys = row_keys(found, str(label))
    predict = _ask_what(found.column(str(label)))
    words = [c.name for c in found.columns if c.values is None and c.name != label]
    leave_out = _several(
        right,
        "Leave out",
        [n for n in names if n != label],
        [n for n in names if n in words or n in keys],
        f"own-leave-{label}",
        "Text and dates cannot be features, and columns that number or name the rows must not be: "
        "they are left out unless you insist.",
    )
    few = [c.name for c in found.columns if c.name != label and can_be_one_hot(c)]
    one_hot: list[str] = []
    if few:
        one_hot = _several(
            st,
            "One-hot",
            few,
            [],
            f"own-one-hot-{label}",
            "Text of few values as a column of 0 and 1 for each of them.",
        )
        leave_out = [n for n in leave_out if n not in one_hot]
    table_of_columns = _columns(found, str(label), leave_out, one_hot)
    st.dataframe(table_of_columns, hide_index=True, height="content")
    left_out = {str(label), *leave_out}
    numbers = [c for c in found.columns if c.values is not None and c.name not in left_out]
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
        rows = with_label(found, label, leave_out, one_hot, missing, constant, predict)
        _notes([*found.notes, *rows.notes, *say_keys(keys)])
        require_trainable(rows)
    except ParetoscopeError as error:
        st.error(view.plain(_sentence(error)))
        return
    raw = as_raw(rows)
    _preview(raw, rows)
    st.button(
        "Use these data",
        on_click=_use,
        args=(raw, title_of(name), (*found.notes, *rows.notes)),
    )
    _say_wrong()


def _ask_what(column: Column) -> Predicted | None:
    """Whether a column of numbers holds classes or a number to predict, where that can be
    asked."""
    if not may_be_number(column):
        return None
    guess: Predicted = "number" if looks_like_number(column) else "class"
    return st.segmented_control(
        "Predict",
        tuple(_PREDICTED),
        default=guess,
        required=True,
        format_func=_PREDICTED.__getitem__,
        key=f"own-predict-{column.name}-{guess}-{column.n_different}",
        help=f"It holds {column.n_different:,} different numbers.",
    )


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


def _several(
    place: Any, label: str, choices: list[str], default: list[str], key: str, about: str
) -> list[str]:
    """Some columns of a table: pills where they are few."""
    asked: dict[str, Any] = {
        "default": default, "format_func": _plain, "key": key, "help": about
    }  # fmt: skip
    chosen: list[str]
    if len(choices) <= _FEW_COLUMNS:
        chosen = place.pills(label, choices, selection_mode="multi", wrap=True, **asked)
    else:
        chosen = place.multiselect(label, choices, **asked)
    return chosen


_PREDICTED: Mapping[Predicted, str] = {"class": "one of some classes", "number": "a number"}
_HOLDS = {"number": "numbers", "truth": "true and false", "date": "dates", "empty": "nothing"}


def _columns(
    found: Table, label: str, leave_out: Sequence[str], one_hot: Sequence[str]
) -> list[dict[str, object]]:
    """Each column in a row: its part, what it holds, how much of it, and its first cells."""
    parts = dict.fromkeys(leave_out, "left out") | dict.fromkeys(one_hot, "one-hot")
    parts[label] = "label"
    return [
        {
            "column": shown(c.name),
            "part": parts.get(c.name, "feature"),
            "holds": _HOLDS.get(c.kind, c.kind),
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
    if rows.predicts == "number":
        y = data.validation.y
        st.markdown(
            f"**{len(data.train):,}** rows to train on, **{n:,}** to choose by, "
            f"**{len(data.test):,}** kept for the end; "
            f"{counted(len(raw.feature_names), 'feature')}; {_plain(rows.label)} from "
            f"{rows.y.min():.6g} to {rows.y.max():.6g}."
        )
        st.caption(
            f"Always saying its mean would have an RMSE of {words.three_digits(float(y.std()))}."
        )
        return
    low, high = Accuracy(round(0.9 * n), n).interval
    classes = ", ".join(_plain(name) for name in raw.class_names[:10])
    more = f" and {len(raw.class_names) - 10} more" if len(raw.class_names) > 10 else ""
    st.markdown(
        f"**{len(data.train):,}** rows to train on, **{n:,}** to choose by, **{len(data.test):,}** "
        f"kept for the end; {counted(len(raw.feature_names), 'feature')}; "
        f"{len(raw.class_names)} classes: {classes}{more}."
    )
    st.caption(
        f"An accuracy of 90 % on {n:,} rows would be known to lie between {words.percent(low)} and "
        f"{words.percent(high)}."
    )


def _count() -> None:
    """One more file of this visitor is to be kept."""
    if session().own_kept >= _MOST_KEPT:
        raise ParetoscopeError(
            f"this visit has kept {_MOST_KEPT} files, the limit; open the page anew to go on"
        )
    session().own_kept += 1


def _use(raw: Raw, title: str, notes: Sequence[str]) -> None:
    try:
        _count()
        name = keep_own(raw, title, notes)
    except ParetoscopeError as error:
        session().own_wrong = _sentence(error)
        return
    model = "logistic-regression" if raw.stated is None else "linear-regression"
    view.change(dataset=name, model=model, pins=(), score="", decision="", margin=USUAL, drop=USUAL)
    session().arrives = True
    session().own_used = True


def model() -> None:
    """Upload a model and be told what it is, or why it is refused."""
    if not limits_hold():
        st.warning("This system cannot hold a model to limits of memory and processor time.")
    left, right = st.columns(2)
    given: UploadedFile | examples.File | None = left.file_uploader(
        f"Model, at most {most_bytes() // 1_000_000} MB",
        type=list(MODEL_ENDINGS),
        key="own-model",
        max_upload_size=most_bytes() // 1_000_000,
    )
    beside: UploadedFile | examples.File | None = right.file_uploader(
        "Table or pictures to judge it on, if you like",
        type=[*ENDINGS, "zip"],
        key="own-rows",
        max_upload_size=most_bytes() // 1_000_000,
    )
    tried = examples.chosen()
    if given is None and tried is not None and tried.model is not None:
        given, beside = tried.model, beside or tried.table
    if given is None:
        return
    fix = st.checkbox(
        "Take the number of features from the weights, where the model states another",
        key="own-fix",
    )
    beside_name = "" if beside is None else beside.name
    rows = None if beside is None else beside.getvalue()
    upload = Brought(given.getvalue(), given.name, rows, beside_name, fix)
    about = _about(upload)
    if rows is not None:
        try:
            read = _with_table(upload)
        except ParetoscopeError as error:
            st.error(view.plain(_sentence(error)))
            return
        if read is None:
            return
        upload = read
    upload = replace(upload, names=_names_given(about))
    try:
        try:
            outputs = _checked(replace(upload, names=())).outputs
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
            upload = replace(upload, output=output)
        found = _checked(upload)
        if found.one_number and found.predicts == "class":
            upload = replace(upload, cut=_ask_cut(about))
            found = _checked(upload)
        if found.predicts == "number" and upload.rows is not None:
            upload = replace(upload, chosen=replace(upload.chosen, predict="number"))
    except ParetoscopeError as error:
        st.error(view.plain(_sentence(error)))
        if isinstance(error, UnknownLabelsError):
            _ask_names(error, about)
        _offer_other_names(about)
        return
    _offer_other_names(about)
    if upload.rows is None or not is_pictures(upload.rows):
        _offer(upload, [given, beside])
    tell = st.success if found.beats else st.warning
    tell(view.plain(found.line[:1].upper() + found.line[1:] + "."))
    st.caption(view.plain(f"Can be compressed: {found.compressible}"))
    _notes(found.notes)
    if upload.rows is not None and is_pictures(upload.rows):
        choice = pictures.ask_scaling(
            upload.chosen.pictures, found, sha256(upload.rows), _key(upload)
        )
        if choice is not None:
            chosen = replace(upload.chosen, pictures=choice)
            _offer(replace(upload, chosen=chosen), [given, beside])


def _ask_cut(about: str) -> float | None:
    """What tells two classes apart by one number a row."""
    cut: float | None = st.number_input(
        "Told apart at",
        value=None,
        format="%.6g",
        placeholder="0.5 of a probability, else 0",
        key=f"own-cut-{about}",
        width=240,
        help="The model gives one number a row: above this it is the second of the two classes.",
    )
    return cut


def _about(upload: Brought) -> str:
    """The files alone, for the keys of what is asked of them."""
    rows = None if upload.rows is None else sha256(upload.rows)
    return f"{sha256(upload.data)} {upload.name[-6:]} {upload.fix} {rows}"


def _key(upload: Brought) -> str:
    chosen = upload.chosen, upload.output, upload.names, upload.cut
    return " ".join(map(str, (_about(upload), *chosen)))


def _with_table(upload: Brought) -> Brought | None:
    """With the table as it is to be read, and the label that was chosen; None while a choice is
    open."""
    assert upload.rows is not None
    if is_pictures(upload.rows):
        choice = pictures.ask_framing(sha256(upload.rows))
        return replace(upload, chosen=Chosen(pictures=choice))
    if is_arrays(upload.rows):
        return upload
    found, reading = _table_of(upload.rows, "own-rows")
    if found is None:
        return None
    label = st.selectbox(
        "Label of the table",
        found.names,
        index=None,
        placeholder="The likeliest",
        format_func=_plain,
        key=f"own-rows-label-{sha256(upload.rows)}",
    )
    blind = st.checkbox(
        "It has no target: hold files against the uncompressed model",
        key=f"own-rows-blind-{sha256(upload.rows)}",
        help="For embeddings, reconstructions and rows without labels. Agreement is no accuracy: "
        "it tells what a file changes, not whether the model was right.",
    )
    return replace(
        upload, chosen=Chosen(label=label, reading=reading, predict="nothing" if blind else None)
    )


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


def _offer(upload: Brought, files: list[object]) -> None:
    """The button that takes the model to Explore, on the table beside or the dataset at hand."""
    now = session().view
    # Not as arguments of the buttons, which Streamlit keeps as long as the visit lasts.
    session().upload = upload, files
    on = find_source(now.dataset).title
    if upload.rows is not None:
        on = "these pictures" if is_pictures(upload.rows) else "this table"
    row = st.container(horizontal=True)
    row.button(
        f"Explore it on {on}",
        on_click=_take,
        help="Its weights are made ready to be compressed, and what it says is compared with what "
        "the file says.",
    )
    if upload.rows is None:
        row.button(
            "Explore it on made-up rows",
            on_click=_take,
            args=(True,),
            help="1,000 rows of noise, where you have none. Files are held against the "
            "uncompressed model: what is found is true of noise, and real rows may tell otherwise.",
        )
    _say_wrong()


def _say_wrong() -> None:
    """Why the button that was pressed did nothing."""
    wrong = session().take("own_wrong")
    if wrong:
        st.error(view.plain(wrong))


def _take(made: bool = False) -> None:
    now, held = session().view, session().take("upload")
    if held is None:  # a second press, while the first is at work
        return
    upload, files = held
    try:
        _count()
        with st.spinner("Making its weights ready to be compressed"):
            taken = apart.take(upload, "" if made else now.dataset)
    except ParetoscopeError as error:
        session().own_wrong = _sentence(error)
        return
    apart.let_go(files)
    kernel = Auto() if taken.may_fuse else Fused()
    recipe = replace(now.recipe, kernel=kernel)
    if taken.exact is not None:  # of weights that stand for whole numbers: nothing is lost
        recipe = Recipe.parse(taken.exact)
    judged = (
        {}
        if taken.dataset == now.dataset
        else {"score": "", "decision": "", "margin": USUAL, "drop": USUAL}
    )
    view.change(dataset=taken.dataset, model=taken.model, pins=(), recipe=recipe, **judged)
    session().arrives = taken.exact is None
    session().own_used = True


@st.cache_resource(
    show_spinner="Trying the model in a process of its own", max_entries=_KEPT, scope="session"
)
def _tried(key: str, _upload: Brought) -> Checked | ParetoscopeError:
    """A verdict or a refusal, kept for the page's next runs; a limit that a busy machine may have
    caused is raised, so that it is tried again."""
    try:
        return apart.judged(_upload)
    except SandboxError:
        raise
    except ParetoscopeError as error:
        return error


def _checked(upload: Brought) -> Checked:
    found: Checked | ParetoscopeError = _tried(_key(upload), upload)
    if isinstance(found, ParetoscopeError):
        raise found.with_traceback(None)
    return found


def _plain(text: str) -> str:
    """A name of unknown origin within a Markdown text or label."""
    return view.plain(shown(text))


def _sentence(error: ParetoscopeError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + "."
