"""Archives of pictures beside a model: how they are framed and scaled, and which cannot be read."""

from __future__ import annotations

import base64
from dataclasses import replace

import streamlit as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import sha256
from paretoscope.base.wording import counted
from paretoscope.uploads.checking import Checked
from paretoscope.uploads.gate import shown
from paretoscope.uploads.judged_pictures import NONE_OF_THESE
from paretoscope.uploads.picture_choice import FITS, SCALINGS, Fit, PictureChoice, Scaled, scaled_by
from paretoscope.uploads.scalings import Trials

from ui.base import words
from ui.state import view

_FITS: dict[Fit, str] = {"fill": "Fill", "margin": "Fill, without margin", "stretch": "Stretch"}
_OWN, _RED, _BLUE = "Own", "Red first", "Blue first"
_MOST_WRONG = 200  # named; of more their number


def ask_framing(about: str) -> PictureChoice:
    """How pictures are fitted into the model's frame, and what its classes are called; `about` are
    the files."""
    fit: Fit = st.segmented_control(
        "Fit",
        tuple(_FITS),
        default="fill",
        required=True,
        format_func=_FITS.__getitem__,
        key=f"own-fit-{about}",
        help="  \n".join(f"{_FITS[name]}: {told}." for name, told in FITS.items()),
    )
    side: int | None = st.session_state.get(_side_key(about))
    with st.expander("Names of the model's classes"):
        names = st.text_area(
            "One a line, in its order",
            key=f"own-picture-names-{about}",
            help="Needed where the folders are not all of its classes. Folders that are numbers "
            "number its classes from 0; others are taken in the order of their names.",
        )
    given = tuple(name.strip() for name in names.splitlines() if name.strip())
    return PictureChoice(fit, side, names=given)


def _side_key(about: str) -> str:
    return f"own-side-{about}"


def ask_scaling(
    choice: PictureChoice, found: Checked, files: str, about: str
) -> PictureChoice | None:
    """How bytes are scaled, by what was tried, and what becomes of pictures that cannot be read;
    None while one of them is open. `about` is all that the trials hang on."""
    if found.side is not None:
        st.number_input(
            "Side of a picture, for the model takes any",
            min_value=1,
            max_value=1024,
            value=None,
            placeholder=str(found.side),
            key=_side_key(files),
            width=280,
        )
    _as_taken(found)
    agreed = not found.wrong or _leaves_out(found, files)
    trials = found.tried
    if trials is not None:
        _show(trials)
        if not trials.tells:
            st.warning(view.plain(NONE_OF_THESE[:1].upper() + NONE_OF_THESE[1:] + "."))
    best = trials.best if trials is not None and trials.tells else None
    # Streamlit keeps what a control of the same key was first given.
    key = sha256(f"{about} {best and best.title}".encode())
    assert found.frame is not None
    left, right = st.columns(2)
    title: str | None = None
    if not found.frame.bytes_only:
        title = left.segmented_control(
            "Scaling",
            (*SCALINGS, _OWN),
            default=None if best is None else best.scaled.title,
            key=f"own-scaling-{key}",
            help="What the model was trained to take. ImageNet: the mean and deviation of its "
            "pictures taken off each channel.",
        )
    order = _RED
    if found.frame.channels == 3:
        order = right.segmented_control(
            "Channels",
            (_RED, _BLUE),
            default=_BLUE if best is not None and best.blue_first else _RED,
            required=True,
            key=f"own-order-{key}",
        )
    scaled = _own(key) if title == _OWN else SCALINGS.get(title or "")
    wanting = scaled is None and not found.frame.bytes_only
    if wanting or not agreed:
        st.caption(
            "Choose a scaling to go on."
            if wanting
            else "Tick *Leave them out* to go on, or mend the files."
        )
        return None
    return replace(choice, scaled=scaled, blue_first=order == _BLUE, without_wrong=True)


def _as_taken(found: Checked) -> None:
    """Some pictures as the model takes them, for a wrong fit to be seen."""
    st.markdown("**As the model takes them**")
    row = st.container(horizontal=True)
    for one in found.shown:
        row.image(base64.b64decode(one.png), caption=view.plain(shown(one.label)) or None, width=96)


def _leaves_out(found: Checked, about: str) -> bool:
    """Name what cannot be read, and whether the visitor agrees to go on without it."""
    n = len(found.wrong)
    with st.expander(f"{counted(n, 'file')} cannot be read", expanded=n <= 8):
        st.dataframe(
            [
                {"file": shown(one.name), "why": shown(one.reason)}
                for one in found.wrong[:_MOST_WRONG]
            ],
            hide_index=True,
            height="content" if n <= 8 else 300,
        )
        st.caption("Only you see these names: they are kept nowhere.")
    return st.checkbox("Leave them out", key=f"own-wrong-{about}")


def _show(trials: Trials) -> None:
    """How often the model is right under each scaling."""
    best = trials.best
    order = sorted(trials.tried, key=lambda one: -one.accuracy.correct)
    rows = []
    for one in order:
        low, high = one.accuracy.interval
        rows.append(
            {
                "scaling": f"{one.title}{'  ✓' if trials.tells and one == best else ''}",
                "right": 100 * one.accuracy.value,
                "95 % interval": f"{words.percent(low)} to {words.percent(high)}",
            }
        )
    st.markdown(f"**How often it is right** on {counted(best.accuracy.n, 'picture')}, uncompressed")
    st.dataframe(
        rows,
        hide_index=True,
        height="content",
        column_config={
            "right": st.column_config.ProgressColumn(min_value=0, max_value=100, format="%.1f %%")
        },
    )


def _own(about: str) -> Scaled | None:
    """One's own mean and deviation; None while they are no numbers."""
    left, right = st.columns(2)
    mean = left.text_input("Mean of pictures from 0 to 1", "0.5", key=f"own-mean-{about}")
    deviation = right.text_input("Deviation", "0.5", key=f"own-deviation-{about}")
    try:
        return scaled_by(_numbers(mean), _numbers(deviation))
    except ParetoscopeError as error:
        text = str(error)
        st.error(view.plain(f"{text[:1].upper()}{text[1:]}."))
    except ValueError:
        st.error("Mean and deviation are one number, or three with commas between them.")
    return None


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.replace(";", ",").split(",")]
