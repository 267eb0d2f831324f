"""What several servers of a team share through their database: measurements, found and kept.

Only where `PARETOSCOPE_DATABASE_URL` is set. A database that fails is said once in the log and left
alone for a while: pages then measure for themselves, as a single server does.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from paretoscope.base.errors import ParetoscopeError
from paretoscope.measurement.measurement import Measurement, judged_on
from paretoscope.methods.recipe import Recipe

if TYPE_CHECKING:  # a single server does without the database's library
    from paretoscope.sweeps.history import History

    from ui.state.subject import Subject

_URL_VARIABLE = "PARETOSCOPE_DATABASE_URL"
_LEFT_ALONE_S = 30.0
_LOG = logging.getLogger(__name__)


class Team:
    """The history of a team, or nothing where there is none."""

    def __init__(self) -> None:
        self._history: History | None = None
        self._failed_at: float | None = None

    def find(self, subject: Subject, recipes: Sequence[Recipe]) -> dict[str, Measurement]:
        """What any server of the team measured of recipes, by their text."""
        history = self._open()
        if history is None:
            return {}
        try:
            return history.find(
                subject.network,
                subject.dataset,
                judged_on(subject.network),
                recipes,
                score=subject.score.name,
                decision=subject.decision,
            )
        except ParetoscopeError as error:
            self._leave_alone(error)
            return {}

    def keep(self, subject: Subject, measurement: Measurement) -> None:
        history = self._open()
        if history is None:
            return
        try:
            history.add(subject.network, subject.dataset, [measurement])
        except ParetoscopeError as error:
            self._leave_alone(error)

    def _open(self) -> History | None:
        if not os.environ.get(_URL_VARIABLE):
            return None
        if self._failed_at is not None and time.monotonic() - self._failed_at < _LEFT_ALONE_S:
            return None
        if self._history is None:
            from paretoscope.sweeps.history import History

            try:
                self._history = History(patience_s=0)
            except ParetoscopeError as error:
                self._leave_alone(error)
        return self._history

    def _leave_alone(self, error: ParetoscopeError) -> None:
        self._failed_at = time.monotonic()
        _LOG.warning("%s: this server measures for itself for a while", error)
