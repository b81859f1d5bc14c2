"""`comity init`: a data folder with settings and keys, made on this machine without a connector.

Only options become settings here; `comity.settings` checks them and writes the folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comity import errors
from comity.cli import output
from comity.cli.invocation import AsJson, Data, Invocation

if TYPE_CHECKING:
    from comity.settings import Settings

Address = Annotated[
    str, typer.Option(metavar="URL", help="Where partners reach you: https://connector.example")
]
Name = Annotated[str, typer.Option(help="What people call you, such as 'Alpha Works'.", show_default=False)]
Listen = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="Where to listen for partners; else the port of --address.")
]
Management = Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen for your own commands.")]
Root = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        metavar="FOLDER",
        help="May be published from and received into; may be repeated. Else your home and this folder.",
    ),
]
Certificate = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Certificate chain (PEM); without one a proxy ends TLS.")
]
CertificateKey = Annotated[
    Path | None, typer.Option("--tls-key", metavar="FILE", help="Its private key (PEM).")
]
Database = Annotated[
    str,
    typer.Option(
        metavar="URL",
        help="PostgreSQL database: postgresql://user:password@host/name. Else SQLite in the data folder.",
    ),
]
Module = Annotated[
    Path | None,
    typer.Option(
        "--hsm", metavar="MODULE", help="The PKCS#11 module of an HSM; else signing keys are files."
    ),
]
TokenName = Annotated[str, typer.Option("--hsm-token", metavar="LABEL", help="Which of its tokens.")]
PinFile = Annotated[
    Path | None,
    typer.Option("--hsm-pin-file", metavar="FILE", help="Holds its PIN; else the variable COMITY_HSM_PIN."),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", metavar="", help="Allow http and loopback: for trying on one machine.")
]
Mock = Annotated[
    bool, typer.Option("--mock-identity", metavar="", help="Believe whoever says a name: for test kits only.")
]
Participant = Annotated[
    str, typer.Option("--id", metavar="ID", help="Participant id, if it is not the did:web of --address.")
]


def init(
    ctx: typer.Context,
    *,
    address: Address,
    name: Name = "",
    listen: Listen = "",
    management: Management = "127.0.0.1:8281",
    root: Root = None,
    tls_certificate: Certificate = None,
    tls_key: CertificateKey = None,
    database: Database = "",
    hsm: Module = None,
    hsm_token: TokenName = "",
    hsm_pin_file: PinFile = None,
    participant: Participant = "",
    insecure: Insecure = False,
    mock_identity: Mock = False,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Make a connector: a data folder with its settings and keys."""
    from comity import data_folder  # noqa: PLC0415  start-up time
    from comity import settings as configuration  # noqa: PLC0415  start-up time
    from comity.db import stores  # noqa: PLC0415

    here = Invocation(ctx)
    _check_address(address, insecure=insecure)
    if (here.folder / configuration.FILE).exists():
        raise errors.SettingsError(
            f"{here.folder.absolute()} holds a connector already",
            hint=f"start it with: {here.command('serve')}",
        )

    def prepare(made: Settings) -> None:
        # here, so that a start needs neither the time nor the memory of it
        stores.prepare(made.database, made.database_url, insecure=made.insecure)

    made = data_folder.initialize(
        here.folder,
        address=address,
        name=name,
        listen=listen,
        management=management,
        roots=_absolute(root or ()),
        tls_certificate=_path(tls_certificate),
        tls_key=_path(tls_key),
        insecure=insecure,
        mock_identity=mock_identity,
        participant_id=participant,
        database=database,
        token=_token(hsm, hsm_token, hsm_pin_file),
        # a server that cannot be used is found out before anything is written; a file needs the folder first
        before=lambda planned: prepare(planned) if planned.database_url else None,
    )
    if not made.database_url:
        prepare(made)
    thumbprint = _thumbprint(made)
    if here.as_json:
        output.document(_document(made, thumbprint))
        return
    output.pairs(_pairs(made, thumbprint))
    output.line(f"\nnext: {here.command('serve')}")
    output.line(f"your partners then run: comity partner add {made.participant_id}")


def _check_address(address: str, *, insecure: bool) -> None:
    if address.startswith("http://") and not insecure:
        raise errors.InvalidInputError(
            "the address is http, and partners are reached by https only",
            hint="give an https address; --insecure allows http for trying on one machine",
        )


def _document(made: Settings, thumbprint: str) -> dict[str, str]:
    return {
        "participantId": made.participant_id,
        "name": made.name,
        "address": made.address,
        "listen": made.listen,
        "managementAddress": made.management_address,
        "keyThumbprint": thumbprint,
        "folder": str(made.folder),
    }


def _thumbprint(made: Settings) -> str:
    from comity import settings as configuration  # noqa: PLC0415  start-up time
    from comity.identity import jose  # noqa: PLC0415

    keys = configuration.signing_keys(made, now_ms=lambda: 0)
    return jose.thumbprint(keys.signing_key().public_jwk())


def _token(module: Path | None, label: str, pin_file: Path | None) -> dict[str, str]:
    if module is None:
        if label or pin_file:
            raise errors.InvalidInputError(
                "--hsm-token and --hsm-pin-file go with --hsm", hint="name the PKCS#11 module"
            )
        return {}
    return {
        "hsm_module": _path(module),
        "hsm_token": label,
        **({"hsm_pin_file": _path(pin_file)} if pin_file else {}),
    }


def _absolute(folders: Sequence[Path]) -> list[str]:
    return [_path(each) for each in folders]


def _path(path: Path | None) -> str:
    return os.path.abspath(path) if path else ""  # noqa: PTH100  keeps symlinks, takes out `..`


def _pairs(made: Settings, thumbprint: str) -> list[tuple[str, object]]:
    return [
        ("participant", made.participant_id),
        ("name", made.name),
        ("address", made.address),
        ("listens at", made.listen),
        ("public key", f"{thumbprint} (thumbprint)"),
        ("data folder", made.folder),
    ]
