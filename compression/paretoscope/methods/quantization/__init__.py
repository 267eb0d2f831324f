"""Quantization: a quantizer makes the grid of values that may be stored; projecting gives codes."""

from paretoscope.methods.quantization.codes import STORAGE as STORAGE
from paretoscope.methods.quantization.codes import UNSIGNED as UNSIGNED
from paretoscope.methods.quantization.codes import Codes as Codes
from paretoscope.methods.quantization.codes import code_bits as code_bits
from paretoscope.methods.quantization.codes import narrowest as narrowest
from paretoscope.methods.quantization.codes import narrowest_for as narrowest_for
from paretoscope.methods.quantization.grids import LARGEST_CODE as LARGEST_CODE
from paretoscope.methods.quantization.grids import CodebookGrid as CodebookGrid
from paretoscope.methods.quantization.grids import FloatGrid as FloatGrid
from paretoscope.methods.quantization.grids import Grid as Grid
from paretoscope.methods.quantization.grids import HalfGrid as HalfGrid
from paretoscope.methods.quantization.grids import UniformGrid as UniformGrid
from paretoscope.methods.quantization.quantizer import Quantizer as Quantizer
from paretoscope.methods.quantization.quantizers import QUANTIZERS as QUANTIZERS
from paretoscope.methods.quantization.quantizers import FixedPoint as FixedPoint
from paretoscope.methods.quantization.quantizers import Float16 as Float16
from paretoscope.methods.quantization.quantizers import Float32 as Float32
from paretoscope.methods.quantization.quantizers import KMeans as KMeans
from paretoscope.methods.quantization.quantizers import Shift as Shift
from paretoscope.methods.quantization.quantizers import Symmetric as Symmetric
