"""From a Nengo network to a NIR graph.

built.py reads parameters, links.py turns each connection into a list of operations
(operations.py), places.py joins them into a graph of places, layouts.py finds the shapes of what is
convolved, and neurons.py and emit.py write NIR's nodes. graph.py has `to_nir`.
"""
