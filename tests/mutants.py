"""Break the code on purpose, one place at a time, and see that a test turns red: ``make mutants``.

Each mutant is a change of a few characters, of the kind that a hurried hand makes: a sign, a bound,
a swapped axis, an interval of the wrong level. The tests of its part are run on a copy of the
project. A mutant that no test catches is a test that is missing. ``python -m tests.mutants WORDS``
makes those alone whose file or description holds one of the words.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LIBRARY = "compression/paretoscope"
_AT_A_TIME = 2


@dataclass(frozen=True)
class Mutant:
    """What is done to a file, in words and in characters, and the tests that are to see it."""

    what: str
    file: str
    old: str
    new: str
    tests: str


@dataclass(frozen=True)
class Verdict:
    """The test that caught a mutant, or None, and how long that took."""

    caught_by: str | None
    took_s: float


def main(words: list[str]) -> int:
    chosen = [m for m in MUTANTS if not words or any(w in m.file + m.what for w in words)]
    folder = tempfile.TemporaryDirectory(prefix="paretoscope-mutants-")
    with folder as place, ThreadPoolExecutor(_AT_A_TIME) as pool:
        found = list(pool.map(lambda mutant: _judge(mutant, Path(place)), chosen))
    print("| broken | where | caught by | took |\n|---|---|---|---|")
    for mutant, verdict in zip(chosen, found, strict=True):
        caught = f"`{verdict.caught_by}`" if verdict.caught_by else "**nothing**"
        print(f"| {mutant.what} | `{mutant.file}` | {caught} | {verdict.took_s:.0f} s |")
    missed = sum(verdict.caught_by is None for verdict in found)
    print(f"\n{len(found) - missed} of {len(found)} caught")
    return int(missed > 0)


def _judge(mutant: Mutant, folder: Path) -> Verdict:
    copy = Path(tempfile.mkdtemp(dir=folder)) / "project"
    _copy(copy)
    path = copy / mutant.file
    code = path.read_text(encoding="utf-8")
    assert code.count(mutant.old) == 1, f"{mutant.file} holds {mutant.old!r} not once"
    path.write_text(code.replace(mutant.old, mutant.new), encoding="utf-8")
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", *mutant.tests.split()],
        cwd=copy, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(copy / "compression"), "NUMBA_CACHE_DIR": str(copy)},
    )  # fmt: skip
    red = re.search(r"^(?:FAILED|ERROR) \S*?::(\S+)", done.stdout, re.M)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    shutil.rmtree(copy.parent)
    return Verdict(red[1] if red else None, time.monotonic() - started)


def _copy(to: Path) -> None:
    """The project's files, and beside them what lies beside the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).exists():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)
    subprocess.run(["git", "init", "-q"], cwd=to, check=True)
    subprocess.run(["git", "add", "-A"], cwd=to, check=True)
    (to.parent / "shared").symlink_to(ROOT.parent / "shared")


MUTANTS = (
    Mutant(
        "an accuracy's interval holds 90 % for 95 %", f"{_LIBRARY}/problems/accuracy.py",
        "half = Z95 * math.sqrt", "half = 1.645 * math.sqrt", "tests/measurement/test_accuracy.py",
    ),
    Mutant(
        "equal points beat each other", f"{_LIBRARY}/sweeps/front.py",
        "(costs <= cost).all(1) & (costs < cost).any(1)", "(costs < cost).all(1)",
        "tests/sweeps/test_front.py",
    ),
    Mutant(
        "a rise in accuracy counts as a drop", f"{_LIBRARY}/measurement/budget.py",
        "lambda m: -m.change.gain", "lambda m: m.change.gain", "tests/searches/test_search.py",
    ),
    Mutant(
        "a ratio within the noise is called faster", f"{_LIBRARY}/artifact/quick_latency.py",
        "if high < 1 / apart:", "if high < apart:",
        "tests/measurement/test_latency_protocol.py tests/artifact/test_quick_latency.py",
    ),
    Mutant(
        "the copy's times stand for the baseline's", f"{_LIBRARY}/measurement/latency_protocol.py",
        "    ours, baseline, copy = (\n", "    ours, copy, baseline = (\n",
        "tests/measurement/test_latency_protocol.py",
    ),
    Mutant(
        "a weight at the threshold goes", f"{_LIBRARY}/methods/pruning/selections.py",
        "score >= self._limit(score)", "score > self._limit(score)",
        "tests/methods/test_pruning.py",
    ),
    Mutant(
        "ranks are taken along outputs, not inputs", f"{_LIBRARY}/methods/pruning/selections.py",
        'np.argsort(np.argsort(score, axis=0, kind="stable"), axis=0, kind="stable")',
        'np.argsort(np.argsort(score, axis=-1, kind="stable"), axis=-1, kind="stable")',
        "tests/methods/test_pruning.py",
    ),
    Mutant(
        "codes are rounded down", f"{_LIBRARY}/methods/quantization/grids.py",
        "np.rint(codes, out=codes)", "np.floor(codes, out=codes)",
        "tests/methods/test_quantization.py",
    ),
    Mutant(
        "codes are said to take a bit less", f"{_LIBRARY}/methods/quantization/codes.py",
        "return (2 * largest).bit_length()", "return largest.bit_length()",
        "tests/methods/test_quantization.py",
    ),
    Mutant(
        "errors of rounding are added, not made up for",
        f"{_LIBRARY}/methods/recovery/layerwise.py",
        "block[i + 1 :] -= np.outer", "block[i + 1 :] += np.outer",
        "tests/methods/test_recovery.py",
    ),
    Mutant(
        "moments of two inputs are transposed", f"{_LIBRARY}/network/moments.py",
        "total += X.T @ Y", "total += Y.T @ X",
        "tests/methods/test_recovery.py tests/methods/test_units.py",
    ),
    Mutant(
        "training goes uphill", f"{_LIBRARY}/problems/classification.py",
        "(found - wanted)", "(wanted - found)", "tests/methods/test_recovery.py",
    ),
    Mutant(
        "of errors more is better", f"{_LIBRARY}/measurement/measurement.py",
        "else -self.quality.value", "else self.quality.value", "tests/app/test_judged.py",
    ),
    Mutant(
        "the axis of errors is not turned about", "ui/parts/charts.py",
        "else (-worst, -best)", "else (-best, -worst)", "tests/app/test_judged.py",
    ),
    Mutant(
        "a number is predicted without the scale of its targets", f"{_LIBRARY}/network/chain.py",
        "for by in (self.halves, self.factor)", "for by in (self.halves, None)",
        "tests/sweeps/test_surface.py",
    ),
    Mutant(
        "a decision is kept under the name of the usual one", f"{_LIBRARY}/sweeps/history.py",
        "{' ' * bool(decision)}{decision}", "", "tests/sweeps/test_history.py",
    ),
    Mutant(
        "a tanh GELU has another coefficient", f"{_LIBRARY}/network/operators.py",
        "0.044715", "0.0447", "tests/network/test_operators.py",
    ),
    Mutant(
        "the largest of a window misses its last column", f"{_LIBRARY}/network/windows.py",
        "            for j in range(self.kernel[1])\n        ]",
        "            for j in range(max(1, self.kernel[1] - 1))\n        ]",
        "tests/network/test_windows.py",
    ),
    Mutant(
        "a kernel's scales lie along another axis", f"{_LIBRARY}/artifact/writing.py",
        "codes.scale.reshape(-1, 1, 1, 1)", "codes.scale.reshape(1, -1, 1, 1)",
        "tests/artifact/test_artifact.py",
    ),
    Mutant(
        "entropy is in nats", f"{_LIBRARY}/artifact/size_parts.py",
        "shares * np.log2(shares)", "shares * np.log(shares)", "tests/artifact/test_size_parts.py",
    ),
    Mutant(
        "a test row is a validation row too", f"{_LIBRARY}/data/dataset.py",
        "test = order[n_validation : n_validation + n_held]",
        "test = order[n_validation - 1 : n_validation - 1 + n_held]", "tests/data/test_dataset.py",
    ),
    Mutant(
        "a file is written in its place", f"{_LIBRARY}/base/store.py",
        "        os.replace(temporary, path)\n", "        path.write_bytes(data)\n",
        "tests/base/test_store.py",
    ),
    Mutant(
        "another machine's times are taken for ours", f"{_LIBRARY}/sweeps/history.py",
        "_measurements.c.environment == _here(),", '_measurements.c.environment != "",',
        "tests/sweeps/test_history.py",
    ),
    Mutant(
        "a race drops those within their error", f"{_LIBRARY}/searches/racing.py",
        "drop - ERRORS * error > max_drop", "drop + ERRORS * error > max_drop",
        "tests/searches/test_search.py",
    ),
    Mutant(
        "the dearest candidate is raced first", f"{_LIBRARY}/searches/search.py",
        'np.argsort(self._costs, kind="stable").tolist()',
        'np.argsort(-self._costs, kind="stable").tolist()', "tests/searches/test_search.py",
    ),
    Mutant(
        "the test rows are read once more for the same file",
        f"{_LIBRARY}/measurement/confirmation.py",
        "(name, baseline.score.name, decision) in read",
        "(recipe, baseline.score.name, decision) in read",
        "tests/measurement/test_confirmation.py",
    ),
    Mutant(
        "all images turn the same way", f"{_LIBRARY}/measurement/corruptions.py",
        "strength * (1 - 2 * turn)", "strength * (1 - 0 * turn)",
        "tests/measurement/test_corruptions.py",
    ),
    Mutant(
        "a confusion matrix is transposed", f"{_LIBRARY}/measurement/classes.py",
        "y * n_classes + labels", "labels * n_classes + y", "tests/measurement/test_classes.py",
    ),
    Mutant(
        "what was right before is counted as right now", f"{_LIBRARY}/sweeps/nested_sweep.py",
        "right[s], still[s] = n_right, n_still", "right[s], still[s] = n_still, n_right",
        "tests/sweeps/test_surface.py",
    ),
    Mutant(
        "a cluster's last task is left out", f"{_LIBRARY}/sweeps/cluster.py",
        "return [*found, now] if now else found", "return found", "tests/sweeps/test_cluster.py",
    ),
    Mutant(
        "the last in the queue comes first", f"{_LIBRARY}/base/jobs.py",
        "self._waiting[0] is who", "self._waiting[-1] is who", "tests/base/test_jobs.py",
    ),
    Mutant(
        "a sandbox may write files", f"{_LIBRARY}/sandbox/trial.py",
        '"RLIMIT_FSIZE": 0', '"RLIMIT_FSIZE": 2**30', "tests/sandbox/test_sandbox.py",
    ),
    Mutant(
        "a class of four rows is split", f"{_LIBRARY}/uploads/labelled.py",
        "FEWEST_OF_A_CLASS = 5", "FEWEST_OF_A_CLASS = 4", "tests/uploads/test_tables.py",
    ),
    Mutant(
        "a formula goes into the spreadsheet", f"{_LIBRARY}/sweeps/export.py",
        'return f"\'{text}" if', 'return f"{text}" if', "tests/sweeps/test_export.py",
    ),
    Mutant(
        "the least accuracy lies above the model's own", "ui/parts/charts.py",
        "lost = -budget.drop if asked.score", "lost = budget.drop if asked.score",
        "tests/app/test_charts.py tests/app/test_panels.py",
    ),
    Mutant(
        "the heatmap's cursor stands on a linear scale of Q", "ui/parts/grid.py",
        "np.interp(math.log(q), np.log(qs), np.arange(len(qs)))",
        "np.interp(q, qs, np.arange(len(qs)))", "tests/app/test_panels.py",
    ),
    Mutant(
        "a link's drop in points is taken for a share", "ui/state/address.py",
        "asked / 100 if judged", "asked / 1 if judged", "tests/app/test_links.py",
    ),
    Mutant(
        "one visitor's files come before another's", "ui/state/measuring.py",
        "self._requests.move_to_end(chosen[0])",
        "self._requests.move_to_end(chosen[0], last=False)",
        "tests/app/test_measuring.py",
    ),
)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
