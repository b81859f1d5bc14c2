"""Comity: the connector between partners who make something together.

What it does is described in README.md, where things are in ARCHITECTURE.md; this package is imported module by
module.
"""

__version__ = "0.1.0.dev0"
