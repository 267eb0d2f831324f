"""The house: what may import what, names that are taken, and what never stands in the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

LIBRARY = ROOT / "compression" / "paretoscope"
# The library's floors, from the ground up: a folder imports from those before it, and within a
# folder no import leads back. `textbook` and what starts the library stand beside the folders.
FLOORS = (
    "base",
    "sandbox",
    "problems",
    "data",
    "network",
    "methods",
    "training",
    "artifact",
    "measurement",
    "sweeps",
    "searches",
    "uploads",
    "textbook",
    "cli",
    "__init__",
    "__main__",
)
# Then a folder for each page, none of which knows another; commands may use a page.
UI_FLOORS = ("base", "state", "parts")
UI_COMMANDS = ("pictures",)
# New in Python 3.14, so that no older one can tell.
NEW_IN_314 = {"compression", "annotationlib"}


def _imports(path: Path) -> set[str]:
    return _imports_of(path.read_text(encoding="utf-8"))


def _imports_of(code: str) -> set[str]:
    """Everything that is imported, by its whole name: modules, and what is taken from them."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _folders(*names: str) -> list[Path]:
    """The Python files of folders, and of the folders within them."""
    found = sorted(path for name in names for path in (ROOT / name).rglob("*.py"))
    assert found
    return found


def test_every_way_to_import_is_seen() -> None:
    for code in ("import a.b", "import a.b as c", "from a import b", "def f():\n from a import b"):
        assert "a.b" in _imports_of(code)
    assert "a.b._c" in _imports_of("from a.b import _c as d")


def _modules(top: Path, package: str) -> dict[str, set[str]]:
    """Each module of a package, by its name within it, with those of the package that it imports.

    What is taken from a folder as such counts as an import of the folder's `__init__`.
    """
    names = {
        str(path.relative_to(top).with_suffix("")).replace("/", "."): path
        for path in top.rglob("*.py")
    }

    def module(imported: str) -> str | None:
        parts = imported.split(".")
        for end in range(len(parts), -1, -1):
            for name in (".".join(parts[:end]), ".".join([*parts[:end], "__init__"])):
                if name in names:
                    return name
        return None

    found: dict[str, set[str]] = {}
    for name, path in names.items():
        own = {n.removeprefix(f"{package}.") for n in _imports(path) if n.startswith(f"{package}.")}
        found[name] = {m for n in own if (m := module(n)) is not None} - {name}
    return found


def _circle(modules: dict[str, set[str]]) -> list[str]:
    """Modules each of which imports the next, and the last the first; none if there are none."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return []
        for other in sorted(modules[name]):
            if found := walk(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in modules if (found := walk(name, []))), [])


def test_a_circle_is_found() -> None:
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert _circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def _floor(module: str) -> str:
    return module.split(".")[0]


def test_the_library_imports_downward_only() -> None:
    modules = _modules(LIBRARY, "paretoscope")
    assert {_floor(name) for name in modules} == set(FLOORS)
    for name, imported in modules.items():
        for other in imported:
            own, theirs = FLOORS.index(_floor(name)), FLOORS.index(_floor(other))
            assert theirs <= own, f"{name} imports {other} from above"
    assert _circle(modules) == []


def test_the_library_knows_nothing_of_the_app() -> None:
    for path in LIBRARY.rglob("*.py"):
        tops = {name.split(".")[0] for name in _imports(path)}
        assert not tops & {"streamlit", "plotly", "ui", "pages", "app", "tests", "benchmarks"}, path


def test_the_house_is_easy_to_see() -> None:
    """Few things stand at the top of the library and of `ui`, and each folder says what it is."""
    folders = sorted(path.parent for path in LIBRARY.glob("*/__init__.py"))
    assert len(folders) >= 9
    assert len(list(LIBRARY.glob("*.py"))) <= 4
    rooms = sorted(path.parent for path in (ROOT / "ui").glob("*/__init__.py"))
    assert len(rooms) + len(list((ROOT / "ui").glob("*.py"))) <= 12
    folders += rooms
    for folder in folders:
        told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        assert told, folder
        assert len(re.findall(r"\.(\s|$)", told)) >= 2, f"{folder} says less than two sentences"


def test_pruning_and_quantization_do_not_know_each_other() -> None:
    for one, other in (("pruning", "quantization"), ("quantization", "pruning")):
        for path in (LIBRARY / "methods" / one).glob("*.py"):
            assert not any(n.startswith(f"paretoscope.methods.{other}") for n in _imports(path))


def test_ui_imports_downward_only() -> None:
    """First its floors; then pages, none of which knows another."""
    modules = _modules(ROOT / "ui", "ui")
    pages = {_floor(name) for name in modules} - {*UI_FLOORS, *UI_COMMANDS, "__init__"}
    assert len(pages) >= 7
    for name, imported in modules.items():
        for other in imported:
            own, theirs = _floor(name), _floor(other)
            if theirs in UI_FLOORS and own in UI_FLOORS:
                assert UI_FLOORS.index(theirs) <= UI_FLOORS.index(own), f"{name} imports {other}"
            else:
                lower = {*UI_FLOORS, own} | (pages if own in UI_COMMANDS else set())
                assert theirs in lower, f"{name} imports {other}"
    assert _circle(modules) == []


def test_ui_does_not_import_what_stands_above_it() -> None:
    for path in _folders("ui"):
        tops = {name.split(".")[0] for name in _imports(path)}
        assert not tops & {"pages", "app", "tests", "benchmarks"}, path


def test_nobody_takes_what_is_private_elsewhere() -> None:
    """A name with an underscore in front belongs to its own file, in tests and benchmarks too."""
    ours = {"paretoscope", "ui", "pages", "tests", "benchmarks"}
    for path in _folders("compression", "ui", "pages", "tests", "benchmarks", "docs"):
        for name in _imports(path):
            package, *parts = name.split(".")
            private = [part for part in parts if re.match("_(?!_)", part)]
            assert package not in ours or not private, f"{path} imports {name}"


def test_no_module_bears_a_standard_librarys_name() -> None:
    taken = sys.stdlib_module_names | NEW_IN_314
    tops = {p.stem for p in ROOT.glob("*.py")} | {p.stem for p in LIBRARY.rglob("*.py")}
    tops |= {p.parent.name for p in ROOT.glob("*/__init__.py")}
    tops -= {"__init__", "__main__"}
    assert not tops & taken
    assert not (ROOT / "compression" / "__init__.py").exists()


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listed.stdout.splitlines()]


def test_what_is_of_others_is_named() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    shipped = _tracked("*.onnx", "static/*.js")
    assert len(shipped) >= 3
    for path in shipped:
        assert str(path.relative_to(ROOT)) in notice, path


FORBIDDEN = re.compile(
    r"unsafe_allow_html|allow_pickle=True|joblib\.load|\beval\(|import (pickle|dill|cloudpickle)\b"
)


def test_nothing_dangerous_stands_in_the_code() -> None:
    code = [p for p in _tracked("*.py") if p != Path(__file__)]
    assert len(code) > 30
    for path in code:
        assert not FORBIDDEN.search(path.read_text(encoding="utf-8")), path


def test_every_page_opens_with_the_guard() -> None:
    for path in (ROOT / "pages").glob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        _docstring, first, *_ = (n for n in body if not isinstance(n, (ast.Import, ast.ImportFrom)))
        assert ast.unparse(first) == "frame.require_router()", path


def test_the_pins_fit_the_ranges() -> None:
    """requirements.txt holds the library, and an exact pin for every dependency of pyproject."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, extra in (("requirements.txt", []), ("requirements-dev.txt", ["dev"])):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        assert "-e ." in lines
        pinned = {line.split("==")[0] for line in lines if "==" in line}
        wanted = list(project["dependencies"])
        for group in extra:
            wanted += project["optional-dependencies"][group]
        assert {re.split(r"[<>=\[]", w)[0] for w in wanted} <= pinned
        assert not [line for line in lines if line and not re.match(r"#|-e \.|[\w.-]+==", line)]
