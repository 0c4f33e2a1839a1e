"""The library behind a thesis that runs: GANs that augment medical images, and their uses.

Importing this package imports no torch and has no side effects; import the room you need
(`pathogan_core.cohorts`, `.training`, `.gans`, `.evaluation`, `.experiments`, `.figures`).
"""

__version__ = "0.1.0"
