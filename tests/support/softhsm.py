"""SoftHSM2 for tests: a token of a software HSM in a folder, made once for a run of the tests.

The module looks for tokens when it is loaded, once in a process: so all tests of a process have one folder, and each
that wants a token of its own takes another of the labels.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support import served

PIN = "4711"
LABELS = ("adapters", "pin", "provider", "consumer")
_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


@functools.cache
def module() -> str:
    """Return the path of its module; without one a test is skipped, in CI it fails."""
    found = next((each for each in _PLACES if Path(each).exists()), "")
    if not found or not shutil.which("softhsm2-util"):
        served.missing("softhsm2 is not installed; see .ci/run")
    return found


@functools.cache
def folder() -> Path:
    """Return the folder of the tokens of this process, which are all made now, and have the module use it."""
    made = Path(tempfile.mkdtemp(prefix="comity-softhsm-"))
    (made / "tokens").mkdir()
    conf = made / "softhsm2.conf"
    conf.write_text(
        f"directories.tokendir = {made / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(conf)
    for label in LABELS:
        (made / f"{label}.pin").write_text(PIN + "\n")
        words = ["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "0815"]
        subprocess.run(["softhsm2-util", *words], check=True, capture_output=True)
    return made


def token(label: str) -> dict[str, str]:
    """Return the settings of `[keys]` for a token, with a file that has its PIN."""
    path, pin = module(), folder() / f"{label}.pin"
    return {"hsm_module": path, "hsm_token": label, "hsm_pin_file": str(pin)}
