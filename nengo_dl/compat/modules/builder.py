"""What NengoDL 3 built operators with. Builders are accepted, and not used: operators run by their
own NumPy step, or by what is written for them now.
"""

from nengo.builder import Builder as NengoBuilder
from nengo.builder import Model as NengoModel

from nengo_dl.compat.builders import Builder, OpBuilder

__all__ = ["Builder", "NengoBuilder", "NengoModel", "OpBuilder"]
