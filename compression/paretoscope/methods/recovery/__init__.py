"""Recovery: which stored values hurt least.

To add one, write a subclass of `Recovery` in a file of its own and add it to `RECOVERIES` here.
"""

from paretoscope.methods.recovery.base import NoRecovery as NoRecovery
from paretoscope.methods.recovery.base import Recovery as Recovery
from paretoscope.methods.recovery.base import RecoveryInput as RecoveryInput
from paretoscope.methods.recovery.base import Stored as Stored
from paretoscope.methods.recovery.fine_tuning import FineTuning as FineTuning
from paretoscope.methods.recovery.layerwise import BiasCorrection as BiasCorrection
from paretoscope.methods.recovery.layerwise import Compensation as Compensation
from paretoscope.methods.recovery.layerwise import LeastSquares as LeastSquares

RECOVERIES: tuple[type[Recovery], ...] = (
    NoRecovery,
    BiasCorrection,
    LeastSquares,
    Compensation,
    FineTuning,
)
