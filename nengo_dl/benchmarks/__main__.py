"""``python -m nengo_dl.benchmarks``: the same as ``nengo-dl benchmark``."""

from nengo_dl.benchmarks.command import benchmark

benchmark()
