"""One visual language for all charts (Okabe-Ito colours; never colour alone)."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

CURSOR = "#D55E00"


@dataclass(frozen=True)
class Theme:
    """Colours that depend on light or dark."""

    ink: str
    quiet: str
    grid: str
    paper: str
    band: str
    curve: str
    faint: str


LIGHT = Theme(
    ink="#1A1A1A",
    quiet="#5F5F5F",
    grid="#E6E6E6",
    paper="#FFFFFF",
    band="rgba(120,120,120,0.18)",
    curve="#0072B2",
    faint="rgba(0,114,178,0.35)",
)
DARK = Theme(
    ink="#F2F2F2",
    quiet="#B4B4B4",
    grid="#33373F",
    paper="#0E1117",
    band="rgba(190,190,190,0.20)",
    curve="#56B4E9",
    faint="rgba(86,180,233,0.38)",
)


def here() -> Theme:
    """The theme that the visitor's browser shows now."""
    return DARK if st.context.theme.type == "dark" else LIGHT
