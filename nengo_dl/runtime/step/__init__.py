"""One step of a network: what is computed, and in which shapes."""
