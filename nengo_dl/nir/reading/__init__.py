"""From a NIR graph to a Nengo network.

flatten.py takes nested graphs apart and cuts loops, network.py has `from_nir`, and the other files
a function for each of NIR's nodes.
"""
