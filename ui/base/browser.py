"""What a browser keeps: the names of its visitor's own data, so that they are listed there again.

The names are keys to the data. The browser holds them in its local storage, which only pages of
this server read; a browser that lets nobody write there forgets them at the end of a visit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

_KEY = "browser"
_JS = """
const STORED = "paretoscope-own";
const asked = new WeakMap();

const read = () => {
  try {
    const found = JSON.parse(localStorage.getItem(STORED) ?? "{}");
    return found !== null && typeof found === "object" && !Array.isArray(found) ? found : {};
  } catch {
    return {};
  }
};

export default function ({ data, parentElement, setStateValue }) {
  const kept = read();
  for (const [dataset, models] of Object.entries(data.known)) {
    const others = Array.isArray(kept[dataset]) ? kept[dataset] : [];
    kept[dataset] = [...new Set([...others, ...models])];
  }
  for (const dataset of data.forgotten) delete kept[dataset];
  const text = JSON.stringify(kept);
  try {
    if (text !== (localStorage.getItem(STORED) ?? "{}")) localStorage.setItem(STORED, text);
  } catch {
    return;
  }
  const isNews = Object.entries(kept).some(([dataset, models]) =>
    !(dataset in data.known) || models.some((model) => !data.known[dataset].includes(model)));
  if (isNews && asked.get(parentElement) !== text) {
    asked.set(parentElement, text);
    setStateValue("kept", text);
  }
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "paretoscope_browser", html="<span></span>", js=_JS, isolate_styles=False
    )


def keep(known: Mapping[str, Sequence[str]], forgotten: Sequence[str]) -> None:
    """Have the browser keep names of datasets, each with those of models, and forget others.

    What it kept before is answered later, in a run of its own: `kept` has it then.
    """
    data = {"known": {name: list(models) for name, models in known.items()}}
    _component()(
        key=_KEY,
        data=data | {"forgotten": list(forgotten)},
        on_kept_change=lambda: None,
    )


def kept() -> dict[str, list[str]]:
    """What the browser keeps, as it said: text of anybody's making, to be checked by whoever asks.

    Empty where it keeps nothing, or has not said yet.
    """
    try:
        found = json.loads(st.session_state.get(_KEY, {}).get("kept") or "{}")
        return {
            str(name): [str(model) for model in models]
            for name, models in found.items()
            if isinstance(models, list)
        }
    except (AttributeError, ValueError):
        return {}
