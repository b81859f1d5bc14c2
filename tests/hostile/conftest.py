"""Fixtures: those of tests/pair, with the same checks at the end of each test."""

from pair.conftest import authorities, pair, peer, peers, site, started, store_kind

__all__ = ["authorities", "pair", "peer", "peers", "site", "started", "store_kind"]
