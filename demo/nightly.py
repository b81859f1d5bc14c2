"""A job for every night: gets an asset of a partner if there is a new revision, and says by its exit code what to do.

    COMITY_URL=https://connector.example:8281 COMITY_API_KEY=... python nightly.py PARTNER ASSET FOLDER

0: the files are there and verified. 75: try again later (as in sysexits.h). 1: a person has to look.
"""

from __future__ import annotations

import sys
from pathlib import Path

from comity.client import Connector, ExchangeError, Progress

AGAIN_LATER = frozenset({"delivery-transient", "unfinished", "unreachable"})
LONGEST_S = 3600.0


def main(partner: str, asset: str, folder: str) -> int:
    """Get the asset, and return the exit code."""
    try:
        got = Connector().partner(partner).get(asset, to=Path(folder), progress=tell, timeout_s=LONGEST_S)
    except ExchangeError as error:
        print(error, file=sys.stderr)
        return 75 if error.code in AGAIN_LATER else 1
    print(f"{len(got.files)} files in {got.folder}, under the agreement {got.agreement_id}")
    return 0


def tell(progress: Progress) -> None:
    """Write how far it is into the job's log."""
    print(progress, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
