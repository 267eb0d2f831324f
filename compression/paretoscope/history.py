"""The history: every network, sweep and measurement, so that nothing is computed twice or lost.

A table of measurements in a database (SQLite in the store's folder, in write-ahead mode, so that
readers and writers do not wait for each other), and files in the store under their sha256. A
transaction is whole or not there, also when the process is killed; a sweep that was interrupted
finds what it has and goes on with the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from paretoscope.dataset import Dataset
from paretoscope.errors import ParetoscopeError
from paretoscope.measurement import Measurement, environment
from paretoscope.network import Network
from paretoscope.recipe import Recipe
from paretoscope.store import home

_BUSY_MS = 30_000  # how long a writer waits for another one
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
        As SQLAlchemy writes it; by default a SQLite file in the store's folder.

    Raises
    ------
    ParetoscopeError
        The database cannot be opened.
    """

    def __init__(self, url: str | None = None) -> None:
        if url is None:
            home().mkdir(parents=True, exist_ok=True)
            url = f"sqlite:///{home() / 'history.sqlite'}"
        try:
            self._engine = sa.create_engine(url)
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _prepare_sqlite)
            _tables.create_all(self._engine)
        except sa.exc.SQLAlchemyError as error:
            raise ParetoscopeError(f"the history cannot be opened: {_cause(error)}") from error

    def find(
        self,
        network: Network,
        data: Dataset,
        split: str,
        recipes: Sequence[Recipe],
        *,
        computed: bool = False,
    ) -> dict[str, Measurement]:
        """What was measured, or what was computed, on this machine of recipes, by their text."""
        found: dict[str, Measurement] = {}
        texts = [str(recipe) for recipe in recipes]
        with self._begin() as connection:
            for start in range(0, len(texts), _ASKED_AT_ONCE):
                rows = connection.execute(
                    sa.select(_measurements.c.recipe, _measurements.c.whole).where(
                        _measurements.c.network == network.sha256,
                        _measurements.c.data == data.sha256,
                        _measurements.c.split == split,
                        _measurements.c.environment == _here(),
                        _measurements.c.computed == computed,
                        _measurements.c.recipe.in_(texts[start : start + _ASKED_AT_ONCE]),
                    )
                )
                found |= {text: Measurement.from_dict(json.loads(whole)) for text, whole in rows}
        return found

    def add(self, network: Network, data: Dataset, measurements: Iterable[Measurement]) -> None:
        """Keep measurements, all or none. One that is there already is replaced."""
        rows = [_row(network, data, m) for m in measurements]
        if not rows:
            return
        with self._begin() as connection:
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

    def start_sweep(
        self, name: str, network: Network, data: Dataset, split: str, points: int
    ) -> None:
        """Note that a sweep was begun; one that was begun before keeps its date."""
        row = {
            "name": name, "network": network.sha256, "data": data.sha256, "split": split,
            "points": points, "started": _now(),
        }  # fmt: skip
        with self._begin() as connection:
            connection.execute(self._insert(_sweeps).values(row).on_conflict_do_nothing())

    def finish_sweep(self, name: str) -> None:
        with self._begin() as connection:
            connection.execute(
                sa.update(_sweeps).where(_sweeps.c.name == name).values(finished=_now())
            )

    def sweeps(self) -> list[dict[str, Any]]:
        """Every sweep, the newest first; "finished" is None where it was interrupted."""
        with self._begin() as connection:
            rows = connection.execute(sa.select(_sweeps).order_by(_sweeps.c.started.desc()))
            return [dict(row._mapping) for row in rows]

    def close(self) -> None:
        self._engine.dispose()

    def _begin(self) -> Any:
        return _Sentence(self._engine)

    def _insert(self, table: sa.Table) -> Any:
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        return dialect.insert(table)


class _Sentence:
    """A transaction whose failure is one sentence."""

    def __init__(self, engine: sa.Engine) -> None:
        self._transaction = engine.begin()

    def __enter__(self) -> sa.Connection:
        try:
            return self._transaction.__enter__()
        except sa.exc.SQLAlchemyError as error:
            raise ParetoscopeError(f"the history cannot be reached: {_cause(error)}") from error

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self._transaction.__exit__(kind, error, trace)
        except sa.exc.SQLAlchemyError as failed:
            raise ParetoscopeError(f"the history cannot be written: {_cause(failed)}") from failed
        if isinstance(error, sa.exc.SQLAlchemyError):
            raise ParetoscopeError(f"the history failed: {_cause(error)}") from error


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
        "recipe": str(measurement.recipe),
        "environment": _here(),
        "computed": measurement.computed,
        "artifact": measurement.artifact_sha256,
        "accuracy": measurement.accuracy.value,
        "size_bytes": measurement.size_bytes,
        "added": _now(),
        "whole": json.dumps(measurement.to_dict()),
    }


def _network_row(network: Network) -> dict[str, str]:
    known = {name: network.metadata.get(name, "") for name in ("dataset", "model", "seed")}
    return {"sha256": network.sha256, **known, "added": _now()}


@lru_cache(maxsize=1)
def _here() -> str:
    """Machine and versions: what another one measured is kept apart."""
    return str(environment())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _cause(error: sa.exc.SQLAlchemyError) -> str:
    """What went wrong, without the statement."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]
