"""A real PostgreSQL of its own, on a free port of this machine: ``with postgres() as server``."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.browser.serving import free_port

_NAMES = ("postgresql", "nginx-light")
_COUNTER = count()


@dataclass(frozen=True)
class Postgres:
    """A database server, which can be stopped and started again."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://paretoscope@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._control("start", "-o", options, "-l", str(self.folder / "log"))

    def stop(self, mode: str = "immediate") -> None:
        """End it as a crash would; what was committed is there at the next start."""
        self._control("stop", "-m", mode)

    def fresh(self, name: str) -> str:
        """The address of a new, empty database; two of one name are two databases."""
        name = f"{name}_{next(_COUNTER)}"
        _run(str(_program("createdb")), "-h", "127.0.0.1", "-p", str(self.port),
             "-U", "paretoscope", name)  # fmt: skip
        return self.url.removesuffix("postgres") + name

    def _control(self, *words: str) -> None:
        program = str(_program("pg_ctl"))
        _run(program, "-w", "-t", "60", "-D", str(self.folder / "data"), *words)


@contextmanager
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="paretoscope-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, *_user())
    server = Postgres(folder, free_port())
    data = str(folder / "data")
    _run(str(_program("initdb")), "-D", data, "-U", "paretoscope", "-A", "trust", "-E", "UTF8",
         "--no-sync")  # fmt: skip
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _run(*command: str) -> None:
    """As another user where we are root, which PostgreSQL refuses to run as."""
    user, group = _user() if os.geteuid() == 0 else (None, None)
    done = subprocess.run(
        command, cwd=tempfile.gettempdir(), user=user, group=group, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def _user() -> tuple[str, str]:
    name = "postgres" if any(u.pw_name == "postgres" for u in pwd.getpwall()) else "nobody"
    return name, "postgres" if name == "postgres" else "nogroup"


def _program(name: str) -> Path | None:
    """A program of PostgreSQL's; Debian keeps them beside the path."""
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return found[-1] if found else None


def _present() -> bool:
    return _program("initdb") is not None and shutil.which("nginx", path=PATH) is not None


PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


def main() -> None:
    """Install what the tests of several servers need, as root with Debian's packages."""
    if not _present() and shutil.which("apt-get") and os.geteuid() == 0:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (("update", "-qq"), ("install", "-qq", "-y", *_NAMES)):
            subprocess.run(
                ["apt-get", *command], check=False, stdout=subprocess.DEVNULL, env=environment
            )
    if not _present():
        sys.exit("The tests of several servers need PostgreSQL and nginx: install both.")


if __name__ == "__main__":
    main()
