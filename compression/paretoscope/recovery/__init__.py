"""Recovery: which stored values hurt least.

To add one, write a subclass of `Recovery` in a file of its own and add it to `RECOVERIES` here.
"""

from paretoscope.recovery.base import Project as Project
from paretoscope.recovery.base import Recovery as Recovery
from paretoscope.recovery.base import Stored as Stored
from paretoscope.recovery.base import Task as Task
from paretoscope.recovery.fine_tuning import FineTuning as FineTuning
from paretoscope.recovery.layerwise import BiasCorrection as BiasCorrection
from paretoscope.recovery.layerwise import Compensation as Compensation
from paretoscope.recovery.layerwise import LeastSquares as LeastSquares

RECOVERIES: tuple[type[Recovery], ...] = (
    Project,
    BiasCorrection,
    LeastSquares,
    Compensation,
    FineTuning,
)
