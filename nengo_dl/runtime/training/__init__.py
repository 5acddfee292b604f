"""fit and evaluate, in Keras's trainer."""
