"""Runs without training, chunk by chunk."""
