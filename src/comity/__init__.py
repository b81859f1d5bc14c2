"""Comity: the connector between partners who make something together."""

__version__ = "0.1.0.dev0"
