"""`comity join`: the data folder of a further replica of a connector whose store is on PostgreSQL.

Settings and keys come out of the database; the key that opens them does not lie there, and is given. What a replica
is, and what else it needs, is docs/how-to/replicas.md.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comity import errors
from comity.cli import output
from comity.cli.invocation import AsJson, Data, Invocation

if TYPE_CHECKING:
    from comity.settings import Settings

SEAL_KEY = "COMITY_SEAL_KEY"

Url = Annotated[
    str, typer.Argument(metavar="URL", help="The database; else the variable COMITY_DATABASE_URL.")
]
SealKey = Annotated[
    Path | None,
    typer.Option(
        "--seal-key",
        metavar="FILE",
        help="keys/seal.key of another replica; else the variable COMITY_SEAL_KEY has what is in it.",
    ),
]
Listen = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="Where to listen for partners; else as the others do.")
]
Management = Annotated[
    str,
    typer.Option(metavar="HOST:PORT", help="Where to listen for your own commands; else as the others do."),
]


def join(
    ctx: typer.Context,
    *,
    url: Url = "",
    seal_key: SealKey = None,
    listen: Listen = "",
    management: Management = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Make a further replica of a connector on PostgreSQL."""
    import asyncio  # noqa: PLC0415  start-up time

    from comity import joining  # noqa: PLC0415
    from comity import settings as configuration  # noqa: PLC0415

    here = Invocation(ctx)
    url = url or os.environ.get(configuration.DATABASE_URL, "")
    key = _seal_key(seal_key)
    if not url:
        raise errors.InvalidInputError(
            "which database?", hint="give its URL: postgresql://user:password@host/name"
        )
    shared, keys = asyncio.run(_find(url, key))
    made = joining.join(
        here.folder,
        database=url,
        seal_key=key,
        shared=shared,
        keys=keys,
        listen=listen,
        management=management,
    )
    if here.as_json:
        output.document(_document(made))
        return
    output.pairs(
        [
            ("participant", made.participant_id),
            ("address", made.address),
            ("listens at", made.listen),
            ("data folder", made.folder),
        ]
    )
    output.line(f"\nnext: {here.command('serve')}")


def _document(made: Settings) -> dict[str, str]:
    return {
        "participantId": made.participant_id,
        "address": made.address,
        "listen": made.listen,
        "managementAddress": made.management_address,
        "folder": str(made.folder),
    }


def _seal_key(file: Path | None) -> bytes:
    from comity import settings as configuration  # noqa: PLC0415  start-up time

    if file is None:
        text, place = os.environ.get(SEAL_KEY, "").encode(), SEAL_KEY
        if not text:
            raise errors.InvalidInputError(
                "the key that opens what is in the database is missing",
                hint=f"name keys/seal.key of another replica with --seal-key, or put what is in it into {SEAL_KEY}",
            )
    else:
        place = str(file)
        try:
            text = file.read_bytes()
        except OSError as error:
            raise errors.SettingsError(f"{place} cannot be read: {error.strerror}") from None
    return configuration.read_seal_key(text, place)


async def _find(url: str, key: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Return the settings and the keys in a database."""
    import msgspec  # noqa: PLC0415  start-up time

    from comity.controlplane import sharing  # noqa: PLC0415
    from comity.db import stores  # noqa: PLC0415
    from comity.db.seal import Seal  # noqa: PLC0415

    await stores.check_current(url)  # one who joins does not bring on the schema under those who run
    async with stores.opened(Path(), url, insecure=True) as store:
        (_, shared), (_, keys) = [
            await sharing.find(store, Seal(key), name) for name in (sharing.SETTINGS, sharing.KEYS)
        ]
    if not shared or not keys:
        raise errors.NotFoundError(
            "no connector has been started on this database yet",
            hint="make the first one with: comity init --database URL; then start it",
        )
    return shared, msgspec.msgpack.decode(keys, type=dict[str, bytes])
