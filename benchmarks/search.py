"""Whether racing finds what the whole grid has, and with how little work.

Claim: on 20 random splits racing finds the same smallest recipe as the full grid on at least 19, at
under a tenth of the evaluations. Fashion-MNIST, MLP 64-32, 32 thresholds by 16 values of Q, a drop
of at most half a point on 10,000 validation rows; each split with a training of its own.
"""

from __future__ import annotations

import numpy as np
import paretoscope as ps
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.measurement import Baseline
from paretoscope.methods.pruning import Magnitude
from paretoscope.methods.quantization import FixedPoint
from paretoscope.searches.search import search
from paretoscope.sweeps.surface import table
from paretoscope.sweeps.sweep import stops

SPLITS = 20
MAX_DROP = 0.005


def run() -> None:
    same, shares = 0, []
    for seed in range(SPLITS):
        data = ps.load_dataset("fashion-mnist", seed)
        network = ps.train("mlp-64-32", data, seed)
        baseline = Baseline(network, data)
        qs = stops(network, FixedPoint, "q", 24)[4:20]
        recipes = ps.grid(threshold=stops(network, Magnitude, "threshold", 32), q=qs)
        whole = table(network, recipes, baseline)
        within = np.array([-change.gain for change in whole.changes]) <= MAX_DROP
        expected = None
        if within.any():
            sizes = np.where(within, whole.entropy_bytes, np.inf)
            expected = recipes[int(sizes.argmin())]
        found = search(network, recipes, baseline, Budget(drop=MAX_DROP), seed=seed)
        best = None if found.best is None else found.best.recipe
        same += best == expected
        shares.append(found.evaluations / len(recipes))
        print(f"  split {seed}: {best}, {found.evaluations:.1f} evaluations", flush=True)
    print(
        f"the same as the full grid on {same} of {SPLITS} splits, with {np.mean(shares):.1%} of "
        f"its evaluations (at most {max(shares):.1%})"
    )
