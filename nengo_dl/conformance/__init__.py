"""Runs the installed test suites of Nengo and nengo_spa against this simulator."""
