"""The house: what may import what, names that are taken, and what never stands in the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LIBRARY = ROOT / "compression" / "paretoscope"
# Each module's floor, a folder being one module. Imports go to a lower floor, or within one to a
# module that is listed before.
FLOORS = (
    ("errors", "parameters"),
    (
        "store",
        "idx",
        "quiet",
        "jobs",
        "processors",
        "kernels",
        "latency",
        "windows",
        "operators",
        "network",
        "folding",
        "building",
        "shipped",
        "dataset",
    ),
    ("chain", "descent", "gram", "training", "train_cnn"),
    ("pruning", "quantization", "storage", "activations", "recovery"),
    ("recipe",),
    ("runtimes", "spelling", "fastest"),
    ("artifact", "portability"),
    ("accuracy", "classes", "corruptions", "confirming", "sizes", "textbook"),
    ("timing", "measurement", "records", "budget", "diagnosis"),
    ("filesize", "layout", "vectors", "walking", "lines", "surface", "front", "tables"),
    ("racing", "searches", "history", "cluster", "sweeps", "tasks"),
    ("uploads",),
    ("__init__", "__main__"),
)
ORDER = [name for floor in FLOORS for name in floor]
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


def _module(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    "path", sorted(LIBRARY.rglob("*.py")), ids=lambda p: str(p.relative_to(LIBRARY))
)
def test_the_library_imports_downward_only(path: Path) -> None:
    place = ORDER.index(_module(path))
    for name in _imports(path):
        package, _, module = name.partition(".")
        assert package not in {"streamlit", "plotly", "ui", "pages", "app", "tests", "benchmarks"}
        if package == "paretoscope":
            module = module.partition(".")[0]
            module = module if module in ORDER else "__init__"  # a public name of the whole
            own = module == _module(path)
            assert own or ORDER.index(module) < place, f"{path} imports {module} from above"


def test_pruning_and_quantization_do_not_know_each_other() -> None:
    for one, other in (("pruning", "quantization"), ("quantization", "pruning")):
        for path in (LIBRARY / one).glob("*.py"):
            assert not any(n.startswith(f"paretoscope.{other}") for n in _imports(path))


def test_ui_does_not_import_pages() -> None:
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
