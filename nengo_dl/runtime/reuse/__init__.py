"""What was compiled for one simulator is used by all others whose networks have the same structure.

A compiled function gets all numbers (weights, states, indices) as arguments. What else it depends
on, `structure` collects and `fingerprint` makes a key of; `functions` keeps compiled functions by
their keys.
"""
