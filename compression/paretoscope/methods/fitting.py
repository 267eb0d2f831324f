"""Which methods work on which network.

What needs a layer's inputs or gradients, or takes whole units away, needs a chain that numpy can
walk. Int8 activations need a graph that was rewritten here. All else works on any graph.
"""

from __future__ import annotations

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import Member
from paretoscope.methods.activations import Int8Activations
from paretoscope.network.chain import as_chain
from paretoscope.network.in_place import InPlace
from paretoscope.network.network import Network


def fits(member: type[Member], network: Network) -> bool:
    """Whether a method works on a network."""
    if isinstance(network, InPlace) and issubclass(member, Int8Activations):
        return False
    return not getattr(member, "needs_rows", False) or is_chain(network)


def is_chain(network: Network) -> bool:
    """Whether numpy can walk a network, layer by layer."""
    if isinstance(network, InPlace):
        return False
    try:
        as_chain(network)
    except ParetoscopeError:
        return False
    return True
