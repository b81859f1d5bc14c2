"""A proxy that stands between two connectors and loses, doubles, delays and spoils messages, by a plan with a seed.

    async with Proxy(PROFILES["mixed"], seed=7) as proxy:
        door = await proxy.open("127.0.0.1:9001", to="http://127.0.0.1:9101", name="provider")

It knows HTTP and a few names of the Dataspace Protocol, nothing of the connectors: any may stand behind a door.
`python -m comity.testing.chaos` runs it by itself; see docs/how-to/test-with-chaos.md.
"""

from comity.testing.chaos.exchange import Exchange
from comity.testing.chaos.plan import FAULTS, PROFILES, QUIET, Profile
from comity.testing.chaos.proxy import Door, Proxy

__all__ = ["FAULTS", "PROFILES", "QUIET", "Door", "Exchange", "Profile", "Proxy"]
