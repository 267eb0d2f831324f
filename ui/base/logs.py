"""Logs of a server: a line of JSON an event where `PARETOSCOPE_LOG=json`, for machines to read.

Of an exception its type and places are logged, never its text: that can hold a value of an upload.
"""

from __future__ import annotations

import json
import logging
import os
import traceback
from datetime import UTC, datetime

_LOGGERS = ("paretoscope", "ui", "streamlit")


class JsonFormatter(logging.Formatter):
    """An event as one line."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[1] is not None:
            kind, _, trace = record.exc_info
            told["event"] = record.msg if record.args else "exception"
            told["exception"] = kind.__name__ if kind is not None else ""
            told["places"] = [
                f"{os.path.basename(f.filename)}:{f.lineno} {f.name}"
                for f in traceback.extract_tb(trace)[-8:]
            ]
        elif record.name.split(".")[0] == "streamlit":  # its own words can hold a page's values
            told["event"] = str(record.msg)[:200] if record.args else record.module
        else:
            told["event"] = record.getMessage()
        return json.dumps(told)


def begin() -> None:
    """Write all events as JSON, where that is asked for.

    To be said at each run of the script: parts of Streamlit that are imported later bring loggers
    of their own.
    """
    if os.environ.get("PARETOSCOPE_LOG") != "json":
        return
    for name, child in list(logging.root.manager.loggerDict.items()):
        if name.startswith("streamlit.") and isinstance(child, logging.Logger):
            child.handlers, child.propagate = [], True  # each of Streamlit's has one of its own
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if any(isinstance(handler.formatter, JsonFormatter) for handler in logger.handlers):
            continue
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(max(logger.getEffectiveLevel(), logging.INFO))
    logging.getLogger("paretoscope").setLevel(logging.INFO)
    logging.getLogger("ui").setLevel(logging.INFO)
