"""Training: one loop for every network of the thesis."""
