"""The history: every network, sweep and measurement, so that nothing is computed twice or lost.

A table of measurements in a database, and files in the store under their sha256. The database is
SQLite in the store's folder, in write-ahead mode, so that readers and writers do not wait for each
other; for a team, a PostgreSQL that `PARETOSCOPE_DATABASE_URL` names. A transaction is whole or not
there, also when the process is killed; a sweep that was interrupted finds what it has and goes on
with the rest. A PostgreSQL that goes away is waited for: each transaction can be done twice without
harm.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.store import home
from paretoscope.data.dataset import Dataset
from paretoscope.measurement.measurement import USUAL, Measurement, environment
from paretoscope.methods.recipe import Recipe
from paretoscope.network.network import Network

T = TypeVar("T")
URL_VARIABLE = "PARETOSCOPE_DATABASE_URL"
PATIENCE_S = 300.0  # how long a database that went away is waited for
_LOG = logging.getLogger(__name__)
_BUSY_MS = 30_000  # how long a writer waits for another one
_AGAIN_S = 0.25  # between two tries to reach it
_ASKED_AT_ONCE = 500  # values in one question; databases have limits

_tables = sa.MetaData()
_networks = sa.Table(
    "networks",
    _tables,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("seed", sa.Text, nullable=False),
    sa.Column("added", sa.String(32), nullable=False),
)
_sweeps = sa.Table(
    "sweeps",
    _tables,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("network", sa.String(64), nullable=False),
    sa.Column("data", sa.String(64), nullable=False),
    sa.Column("split", sa.String(16), nullable=False),
    sa.Column("points", sa.Integer, nullable=False),
    sa.Column("started", sa.String(32), nullable=False),
    sa.Column("finished", sa.String(32)),
)
_measurements = sa.Table(
    "measurements",
    _tables,
    sa.Column("network", sa.String(64), primary_key=True),
    sa.Column("data", sa.String(64), primary_key=True),
    sa.Column("split", sa.String(16), primary_key=True),
    sa.Column("recipe", sa.Text, primary_key=True),
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("computed", sa.Boolean, primary_key=True),
    sa.Column("artifact", sa.String(64), nullable=False),
    sa.Column("accuracy", sa.Float, nullable=False),
    sa.Column("size_bytes", sa.Integer, nullable=False),
    sa.Column("added", sa.String(32), nullable=False),
    sa.Column("whole", sa.Text, nullable=False),
)


class History:
    """A history in a database.

    Parameters
    ----------
    url : str, optional
        As SQLAlchemy writes it, such as ``postgresql://user@host/name``; by default what
        `PARETOSCOPE_DATABASE_URL` says, else a SQLite file in the store's folder.
    patience_s : float, default 300
        How long a PostgreSQL that goes away is waited for, once it was there.
    report : callable, optional
        Told in a sentence when the database is waited for, and when it is back; by default the log
        is.

    Raises
    ------
    ParetoscopeError
        The database cannot be opened. Every method raises it where the database fails, or stays
        away for longer than `patience_s`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        patience_s: float = PATIENCE_S,
        report: Callable[[str], None] = _LOG.warning,
    ) -> None:
        url = url or os.environ.get(URL_VARIABLE) or None
        if url is None:
            home().mkdir(parents=True, exist_ok=True)
            url = f"sqlite:///{home() / 'history.sqlite'}"
        self._patience_s, self._report = patience_s, report
        try:
            self._engine = _engine(url)
            _tables.create_all(self._engine)
        except (sa.exc.SQLAlchemyError, ValueError) as error:
            raise ParetoscopeError(f"the history cannot be opened: {_cause(error)}") from error
        except ImportError as error:
            raise ParetoscopeError(
                f"the history cannot be opened: {URL_VARIABLE} needs the package {error.name}, "
                "which is not installed: pip install 'psycopg[binary]'"
            ) from error

    def find(
        self,
        network: Network,
        data: Dataset,
        split: str,
        recipes: Sequence[Recipe],
        *,
        score: str = USUAL,
        decision: str = "",
        computed: bool = False,
    ) -> dict[str, Measurement]:
        """What was measured, or what was computed, on this machine of recipes by a score, by the
        recipes' text."""
        texts = {_kept_as(str(recipe), score, decision): str(recipe) for recipe in recipes}
        asked = list(texts)

        def ask(connection: sa.Connection) -> dict[str, Measurement]:
            found: dict[str, Measurement] = {}
            for start in range(0, len(asked), _ASKED_AT_ONCE):
                rows = connection.execute(
                    sa.select(_measurements.c.recipe, _measurements.c.whole).where(
                        _measurements.c.network == network.sha256,
                        _measurements.c.data == data.sha256,
                        _measurements.c.split == split,
                        _measurements.c.environment == _here(),
                        _measurements.c.computed == computed,
                        _measurements.c.recipe.in_(asked[start : start + _ASKED_AT_ONCE]),
                    )
                )
                found |= {texts[key]: Measurement.from_dict(json.loads(w)) for key, w in rows}
            return found

        return self._do(ask)

    def add(self, network: Network, data: Dataset, measurements: Iterable[Measurement]) -> None:
        """Keep measurements, all or none. One that is there already is replaced."""
        rows = [_row(network, data, m) for m in measurements]
        if not rows:
            return
        rows.sort(key=lambda row: row["recipe"])  # two writers at once lock rows in one order

        def write(connection: sa.Connection) -> None:
            known = _network_row(network)
            connection.execute(self._insert(_networks).values(known).on_conflict_do_nothing())
            insert = self._insert(_measurements)
            keys = [column.name for column in _measurements.primary_key]
            others = [c.name for c in _measurements.columns if c.name not in keys]
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=keys, set_={n: insert.excluded[n] for n in others}
                ),
                rows,
            )

        self._do(write)

    def start_sweep(
        self, name: str, network: Network, data: Dataset, split: str, points: int
    ) -> None:
        """Note that a sweep was begun; one that was begun before keeps its date."""
        row = {
            "name": name, "network": network.sha256, "data": data.sha256, "split": split,
            "points": points, "started": _now(),
        }  # fmt: skip
        insert = self._insert(_sweeps).values(row).on_conflict_do_nothing()
        self._do(lambda connection: connection.execute(insert))

    def finish_sweep(self, name: str) -> None:
        update = sa.update(_sweeps).where(_sweeps.c.name == name).values(finished=_now())
        self._do(lambda connection: connection.execute(update))

    def sweeps(self) -> list[dict[str, Any]]:
        """Every sweep, the newest first; "finished" is None where it was interrupted."""
        asked = sa.select(_sweeps).order_by(_sweeps.c.started.desc())
        return self._do(lambda c: [dict(row._mapping) for row in c.execute(asked)])

    def close(self) -> None:
        self._engine.dispose()

    def _do(self, work: Callable[[sa.Connection], T]) -> T:
        """One transaction, begun anew until the database is there."""
        since: float | None = None
        while True:
            try:
                with self._engine.begin() as connection:
                    found = work(connection)
            except sa.exc.OperationalError as error:
                now = time.monotonic()
                since = now if since is None else since
                if not self._may_come_back(error) or now - since > self._patience_s:
                    raise ParetoscopeError(f"the history failed: {_cause(error)}") from error
                if now == since:
                    self._report(
                        f"the history's database is away ({_cause(error)}): waiting for it, at "
                        f"most {self._patience_s:.0f} s"
                    )
                time.sleep(_AGAIN_S)
            except sa.exc.SQLAlchemyError as error:
                raise ParetoscopeError(f"the history failed: {_cause(error)}") from error
            else:
                if since is not None:
                    self._report("the history's database is back")
                return found

    def _may_come_back(self, error: sa.exc.OperationalError) -> bool:
        """Whether the server went away, or is about to come; not a wrong password or no table."""
        if self._engine.dialect.name != "postgresql":
            return False
        code = getattr(error.orig, "sqlstate", None)
        return code is None or code[:2] in ("08", "57", "53", "40")

    def _insert(self, table: sa.Table) -> Any:
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        return dialect.insert(table)


def _engine(url: str) -> sa.Engine:
    place = sa.make_url(url)
    if place.drivername in ("postgres", "postgresql"):
        place = place.set(drivername="postgresql+psycopg")
    if place.get_backend_name() == "postgresql":
        return sa.create_engine(
            place, pool_pre_ping=True, pool_size=2, connect_args={"connect_timeout": 5}
        )
    if place.get_backend_name() != "sqlite":
        raise ValueError(f"{place.drivername} is neither sqlite nor postgresql")
    engine = sa.create_engine(place)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=%d" % _BUSY_MS)  # noqa: UP031  (pragmas take no parameters)
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _row(network: Network, data: Dataset, measurement: Measurement) -> dict[str, Any]:
    return {
        "network": network.sha256,
        "data": data.sha256,
        "split": measurement.split,
        "recipe": _kept_as(str(measurement.recipe), measurement.score, measurement.decision),
        "environment": _here(),
        "computed": measurement.computed,
        "artifact": measurement.file_sha256 or "",
        "accuracy": measurement.quality.value,
        "size_bytes": measurement.size_bytes,
        "added": _now(),
        "whole": json.dumps(measurement.to_dict()),
    }


def _kept_as(recipe: str, score: str, decision: str) -> str:
    """The recipe's text, and behind it the score and the decision where they are others than
    accuracy and the largest score: so tables of before there were any go on as they are."""
    judged = f" by {score}" if score != USUAL or decision else ""
    return f"{recipe}{judged}{' ' * bool(decision)}{decision}"


def _network_row(network: Network) -> dict[str, str]:
    known = {name: network.metadata.get(name, "") for name in ("dataset", "model", "seed")}
    return {"sha256": network.sha256, **known, "added": _now()}


@lru_cache(maxsize=1)
def _here() -> str:
    """Machine and versions: what another one measured is kept apart."""
    return str(environment())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _cause(error: Exception) -> str:
    """What went wrong, without the statement and without a password."""
    text = str(getattr(error, "orig", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
