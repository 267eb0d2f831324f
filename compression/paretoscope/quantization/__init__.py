"""Quantization: a quantizer makes the grid of values that may be stored; projecting gives codes."""

from paretoscope.quantization.codes import STORAGE as STORAGE
from paretoscope.quantization.codes import UNSIGNED as UNSIGNED
from paretoscope.quantization.codes import Codes as Codes
from paretoscope.quantization.codes import code_bits as code_bits
from paretoscope.quantization.codes import narrowest as narrowest
from paretoscope.quantization.codes import narrowest_for as narrowest_for
from paretoscope.quantization.grids import LARGEST_CODE as LARGEST_CODE
from paretoscope.quantization.grids import CodebookGrid as CodebookGrid
from paretoscope.quantization.grids import FloatGrid as FloatGrid
from paretoscope.quantization.grids import Grid as Grid
from paretoscope.quantization.grids import HalfGrid as HalfGrid
from paretoscope.quantization.grids import UniformGrid as UniformGrid
from paretoscope.quantization.quantizers import QUANTIZERS as QUANTIZERS
from paretoscope.quantization.quantizers import FixedPoint as FixedPoint
from paretoscope.quantization.quantizers import Float16 as Float16
from paretoscope.quantization.quantizers import Float32 as Float32
from paretoscope.quantization.quantizers import KMeans as KMeans
from paretoscope.quantization.quantizers import Quantizer as Quantizer
from paretoscope.quantization.quantizers import Shift as Shift
from paretoscope.quantization.quantizers import Symmetric as Symmetric
