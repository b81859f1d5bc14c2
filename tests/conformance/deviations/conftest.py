"""A connector and a scripted counterparty, as in tests/pair."""

from pair.conftest import authorities, pair, peer, peers, site, started, store_kind

__all__ = ["authorities", "pair", "peer", "peers", "site", "started", "store_kind"]
