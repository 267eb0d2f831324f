"""Pruning: a criterion says how much each weight matters, a selection which go: the cut."""

from paretoscope.pruning.criteria import CRITERIA as CRITERIA
from paretoscope.pruning.criteria import PRUNERS as PRUNERS
from paretoscope.pruning.criteria import Criterion as Criterion
from paretoscope.pruning.criteria import KeepAll as KeepAll
from paretoscope.pruning.criteria import L1Fit as L1Fit
from paretoscope.pruning.criteria import Magnitude as Magnitude
from paretoscope.pruning.criteria import OptimalBrainSurgeon as OptimalBrainSurgeon
from paretoscope.pruning.criteria import Pruner as Pruner
from paretoscope.pruning.criteria import RandomScore as RandomScore
from paretoscope.pruning.criteria import TargetedDropout as TargetedDropout
from paretoscope.pruning.criteria import Taylor as Taylor
from paretoscope.pruning.criteria import Wanda as Wanda
from paretoscope.pruning.criteria import cut as cut
from paretoscope.pruning.cut import Cut as Cut
from paretoscope.pruning.cut import Scores as Scores
from paretoscope.pruning.cut import smallest_kept as smallest_kept
from paretoscope.pruning.selections import Pattern as Pattern
from paretoscope.pruning.selections import Selection as Selection
from paretoscope.pruning.selections import Sparsity as Sparsity
from paretoscope.pruning.selections import Threshold as Threshold
