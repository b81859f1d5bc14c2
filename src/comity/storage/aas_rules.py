"""What breaks a rule of the AAS metamodel, as basyx-python-sdk finds it: other tools may drop it without a word.

Only this module knows the library, which is that of the extra `aas`. Nothing that is read or written hangs on it.
"""

from __future__ import annotations

import io
import logging
import re
from typing import Any

import msgspec

from comity.errors import StorageError, install

_FINDING = re.compile(r"Error while trying to convert JSON object into (\w+): (.{1,200})")
_FOLLOWS = re.compile(r"Expected a \w+ in .*, but found ", re.DOTALL)
"""Said of what stood around a finding, which was named already."""


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage().partition("\n")[0].partition(" >>> ")[0]
        if not _FOLLOWS.match(line):
            found = _FINDING.match(line)
            self.said.append(f"{found[1]}: {found[2]}" if found else line[:200])


def problems(environment: dict[str, Any]) -> list[str]:
    """Return what basyx cannot read of an environment, a sentence each.

    Raises:
        StorageError: it is not installed.
    """
    try:
        from basyx.aas.adapter.json import read_aas_json_file  # noqa: PLC0415  an extra
    except ImportError:
        raise StorageError(
            "whether it keeps the rules of the AAS metamodel was not checked",
            hint=f"the extra has it checked: {install('aas')}",
        ) from None
    logger, kept = logging.getLogger("basyx.aas"), _Kept()
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(kept)
    try:
        read_aas_json_file(io.BytesIO(msgspec.json.encode(environment)), failsafe=True)
    except Exception as error:  # noqa: BLE001  whatever it trips over is what is asked for
        kept.said.append(f"{type(error).__name__}: {error}")
    finally:
        logger.removeHandler(kept)
        logger.propagate = propagate
    return list(dict.fromkeys(kept.said))
