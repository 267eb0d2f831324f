"""Logs for machines: a line of JSON an event, without a value of an upload."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from ui.base import logs


@pytest.fixture
def _restored() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in logs._LOGGERS]
    kept = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, kept, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.mark.usefixtures("_restored")
def test_events_are_json_and_exceptions_have_no_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PARETOSCOPE_LOG", "json")
    logs.begin()
    logs.begin()
    logging.getLogger("paretoscope.base.jobs").info("job %s %s", "training", "done")
    for name in ("ui.service", "streamlit.error_util"):
        try:
            raise ValueError("salary of J. Smith")
        except ValueError:
            logging.getLogger(name).error("failed: %s", "salary of J. Smith", exc_info=True)
    logging.getLogger("streamlit.x").warning("salary of J. Smith")
    sys.stderr.flush()
    lines = capsys.readouterr().err.splitlines()
    events = [json.loads(line) for line in lines]
    assert len(events) == 4  # each once
    assert events[0]["event"] == "job training done"
    assert events[1]["exception"] == "ValueError"
    assert events[1]["places"][0].startswith("test_logs.py:")
    assert not any("Smith" in line for line in lines)


@pytest.mark.usefixtures("_restored")
def test_without_being_asked_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARETOSCOPE_LOG", raising=False)
    before = [logging.getLogger(name).handlers for name in logs._LOGGERS]
    logs.begin()
    assert [logging.getLogger(name).handlers for name in logs._LOGGERS] == before
