from __future__ import annotations

from comity.db.seal import Seal


def test_a_keyed_digest_differs_by_key_purpose_and_content():
    one = Seal(b"k" * 32)
    assert one.mac(b"value", "a") == Seal(b"k" * 32).mac(b"value", "a")
    others = {Seal(b"l" * 32).mac(b"value", "a"), one.mac(b"value", "b"), one.mac(b"valu", "ea")}
    assert len({one.mac(b"value", "a"), *others}) == 4
