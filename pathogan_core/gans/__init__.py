"""The thesis' generative networks, one file per method."""
