"""`comity db`: back the store up, put a backup back, and see what partners say of a store that was put back.

All but the first need the connector to stand still or only read; none of them asks it: they work on the data folder.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comity.cli import output, words
from comity.cli.invocation import AsJson, Data, Invocation

if TYPE_CHECKING:
    from comity.controlplane.backup import Server
    from comity.db.restored import Finding, Restored
    from comity.db.store import Transaction
    from comity.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Database: back it up, restore it, compare it with partners.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]
Source = Annotated[
    str, typer.Option("--from", metavar="PLACE", help="A data folder, or a postgresql:// URL.")
]
To = Annotated[str, typer.Option("--to", metavar="PLACE", help="An empty database, or a folder without one.")]
Force = Annotated[bool, typer.Option("--force", metavar="", help="Replace what is there.")]


@app.command()
def backup(
    ctx: typer.Context, *, file: File, force: Force = False, _data: Data = None, _json: AsJson = False
) -> None:
    """Write all of it into one file, also while the connector runs: database, settings and keys. Keep it secret."""
    from comity.controlplane import backup as backups  # noqa: PLC0415  start-up time
    from comity.db import stores  # noqa: PLC0415

    here = Invocation(ctx)
    conf = here.settings
    stores.check_use(conf.folder, conf.database_url)
    about = backups.take(
        conf.database,
        conf.folder,
        file,
        participant_id=conf.participant_id,
        now_ms=_now_ms(),
        force=force,
        server=_server(conf),
    )
    if here.as_json:
        output.document(
            {
                "file": str(file),
                "takenAt": about.taken_at,
                "size": about.evidence_size,
                "head": about.evidence_head,
            }
        )
        return
    output.line(
        f"{file} holds the database, the settings and the keys; all of it was read again and is whole"
    )
    output.pairs([("evidence", words.count(about.evidence_size, "record")), ("head", about.evidence_head)])
    output.note("it holds your private keys: keep it as you keep them")
    if conf.kept.is_dir():
        output.note(
            f"what was received is not in it: copy {conf.kept} too; its files are encrypted, and read with this backup"
        )


@app.command()
def restore(
    ctx: typer.Context, *, file: File, force: Force = False, _data: Data = None, _json: AsJson = False
) -> None:
    """Put a backup back into the data folder of a connector that stands still; what was there is kept beside."""
    from comity import settings as configuration  # noqa: PLC0415  start-up time
    from comity.controlplane import backup as backups  # noqa: PLC0415

    here = Invocation(ctx)
    folder = here.folder.absolute()
    there = (folder / configuration.FILE).exists()
    conf = here.settings if there else _settings_in(file, folder)
    done = backups.restore(
        file,
        folder,
        folder / configuration.DATABASE,
        now_ms=_now_ms(),
        force=force,
        server=_server(conf),
        participant_id=conf.participant_id if there else "",
    )
    time.sleep(1)  # partners' tokens tell whole seconds: those of this one are refused
    if here.as_json:
        output.document(
            {
                "takenAt": done.about.taken_at,
                "size": done.about.evidence_size,
                "head": done.about.evidence_head,
                "held": done.held,
                "replaced": str(done.replaced or ""),
                "putAside": done.aside,
                "database": _shown(conf),
            }
        )
        return
    output.line(f"restored the state of {words.moment(done.about.taken_at)}")
    output.pairs(
        [
            ("database", _shown(conf)),
            ("head", done.about.evidence_head),
            ("what was there", done.replaced or ""),
        ]
    )
    if done.aside:
        output.note(
            f"the database could not be read: what was in it is in its schema {done.aside} now, as it was; when nobody"
            f" needs it: DROP SCHEMA {done.aside} CASCADE"
        )
    if conf.kept.is_dir():
        output.note(
            f"what was received lies in {conf.kept}, as it was; what of it fits: {here.command('received', 'check')}"
        )
    if done.held:
        output.line(f"open in it: {done.held:,}; their partners are asked before any of them goes on")
    output.line(f"next: {here.command('serve')}, then {here.command('db', 'reconcile')}")


@app.command()
def reconcile(ctx: typer.Context, *, _data: Data = None, _json: AsJson = False) -> None:
    """Show what partners say of every process that had not ended in the backup, and what to do."""
    import asyncio  # noqa: PLC0415  start-up time

    from comity.db import stores  # noqa: PLC0415

    here = Invocation(ctx)
    conf = here.settings
    stores.check_use(conf.folder, conf.database_url)
    last, found = asyncio.run(stores.read(conf.database, conf.database_url, _report))
    if here.as_json:
        output.document(
            {
                "restoredAt": last.at if last else None,
                "backupTakenAt": last.backup_at if last else None,
                "processes": [
                    {
                        "kind": each.kind,
                        "@id": each.process_id,
                        "partner": each.counterparty_id,
                        "verdict": each.verdict,
                        "here": each.here,
                        "there": each.there,
                        "held": each.held,
                        "said": each.said,
                    }
                    for each in found
                ],
            }
        )
        return
    if last is None:
        output.line("this database was never restored from a backup")
        return
    output.line(f"restored at {words.moment(last.at)}, from a backup of {words.moment(last.backup_at)}")
    if not found:
        output.line("nothing was open: no partner had to be asked")
    for each in found:
        output.line(f"\n{each.kind} {each.process_id} with {each.counterparty_id}: {each.verdict}")
        output.line(f"  {output.clean(each.said) or 'the partner has not been reached yet'}")


@app.command()
def copy(ctx: typer.Context, *, source: Source, to: To, _data: Data = None, _json: AsJson = False) -> None:
    """Carry the whole database of a connector that stands still from SQLite to PostgreSQL, or back."""
    from comity import settings as configuration  # noqa: PLC0415  start-up time
    from comity.controlplane import backup as backups  # noqa: PLC0415

    here = Invocation(ctx)
    folder = Path(to if "://" in source else source)
    insecure = (folder / configuration.FILE).exists() and configuration.load(folder).insecure
    done = backups.copy(source, to, insecure=insecure)
    if here.as_json:
        output.document([{"table": each.table, "rows": each.rows, "sha256": each.digest} for each in done])
        return
    output.table(
        ("Table", "Size", "SHA-256"),
        [(each.table, f"{each.rows:,}", each.digest) for each in done if each.rows],
    )
    rows = sum(each.rows for each in done)
    output.line(
        f"{words.count(rows, 'row')} copied; each table was read again on both sides, and the evidence holds"
    )
    output.line("next: name the new database in comity.toml, and start the connector")


async def _report(tx: Transaction) -> tuple[Restored | None, list[Finding]]:
    from comity.db import restored  # noqa: PLC0415  start-up time

    return await restored.find_last(tx), await restored.find_all(tx)


def _settings_in(file: Path, folder: Path) -> Settings:
    """Return what the settings in a backup will say in a folder that has none."""
    from comity import settings as configuration  # noqa: PLC0415  start-up time
    from comity.db import backup as content  # noqa: PLC0415

    _, files = content.read(file)
    content.check_content(file)
    return configuration.read_text(folder, files.get(configuration.FILE, b""))


def _shown(conf: Settings) -> str:
    """Return which database it is, without a password."""
    if not conf.database_url:
        return str(conf.database)
    from comity.db import postgres_connection  # noqa: PLC0415  the driver is an extra

    return f"PostgreSQL, {postgres_connection.shown(conf.database_url)}"


def _server(conf: Settings) -> Server | None:
    from comity.controlplane.backup import Server  # noqa: PLC0415  start-up time

    return Server(conf.database_url, conf.insecure) if conf.database_url else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
