"""Builders of Nengo's operators, which NengoDL 3 had; see `nengo_dl.builder`."""

from nengo_dl.compat.builders import builders_of

__getattr__ = builders_of("nengo_dl.op_builders")
