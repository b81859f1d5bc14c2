"""AASX made by hand, good and bad, and where IDTA's own examples are; `missing` skips without those.

The environment is written as XML, as the usual editors do; of version 3.0, as all that IDTA has published is.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from support.specification import FOLDER as SPECIFICATION

SAMPLES = Path(os.environ.get("COMITY_AAS_DIR") or SPECIFICATION.parent / "idta")
missing = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"IDTA's examples are not in {SAMPLES}; COMITY_AAS_DIR says where they are"
)

RELATIONS = "http://admin-shell.io/aasx/relationships"
TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="text/xml"/><Default Extension="pdf" ContentType="application/pdf"/>'
    '<Override PartName="/aasx/files/model.step" ContentType="model/step"/></Types>'
)
FILES = {
    "aasx/files/Geh%C3%A4use.pdf": b"%PDF-1",
    "aasx/files/model.step": b"STEP",
    "aasx/files/logo.png": b"\x89PNG",
}


def relations(*targets: tuple[str, str], mode: str = "Internal") -> str:
    lines = "".join(
        f'<Relationship Id="r{at}" Type="{RELATIONS}/{kind}" Target="{target}" TargetMode="{mode}"/>'
        for at, (kind, target) in enumerate(targets)
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{lines}</Relationships>'


def _property(name: str, value: str, kind: str = "xs:string") -> str:
    named = f"<idShort>{name}</idShort>" if name else ""
    return f"<property>{named}<valueType>{kind}</valueType><value>{value}</value></property>"


def _collection(*members: str) -> str:
    return f"<submodelElementCollection><value>{''.join(members)}</value></submodelElementCollection>"


def _list(name: str, *members: str, kind: str = "SubmodelElementCollection") -> str:
    return (
        f"<submodelElementList><idShort>{name}</idShort><typeValueListElement>{kind}</typeValueListElement>"
        f"<value>{''.join(members)}</value></submodelElementList>"
    )


def _version(file: str, kind: str, *languages: str) -> str:
    title = "<langStringTextType><language>de</language><text>Gehäuse</text></langStringTextType>"
    return _collection(
        _list("Language", *(_property("", each) for each in languages), kind="Property"),
        _property("Version", "C"),
        f"<multiLanguageProperty><idShort>Title</idShort><value>{title}</value></multiLanguageProperty>",
        _property("OrganizationShortName", "Alpha"),
        _property("StatusValue", "released"),
        _list(
            "DigitalFiles",
            f"<file><value>{file}</value><contentType>{kind}</contentType></file>",
            kind="File",
        ),
    )


def _semantic(value: str) -> str:
    return (
        "<semanticId><type>ExternalReference</type><keys><key><type>GlobalReference</type>"
        f"<value>{value}</value></key></keys></semanticId>"
    )


DOCUMENT = _collection(
    _list(
        "DocumentIds",
        _collection(
            _property("DocumentIdentifier", "old-1"), _property("DocumentIsPrimary", "false", "xs:boolean")
        ),
        _collection(
            _property("DocumentIdentifier", "D-4711"), _property("DocumentIsPrimary", "true", "xs:boolean")
        ),
    ),
    _list(
        "DocumentClassifications",
        _collection(
            _property("ClassId", "02-02"), _property("ClassificationSystem", "VDI 2770 Blatt 1:2020")
        ),
    ),
    _list(
        "DocumentVersions",
        _version("/aasx/files/Geh%C3%A4use.pdf", "application/pdf", "de", "en"),
        _version("/aasx/files/model.step", "model/step"),
        _version("https://alpha.example/elsewhere.pdf", "application/pdf"),
    ),
)
ENVIRONMENT = (
    '<?xml version="1.0" encoding="utf-8"?><environment xmlns="https://admin-shell.io/aas/3/0">'
    "<assetAdministrationShells><assetAdministrationShell><idShort>Housing</idShort><id>urn:alpha:shell</id>"
    "<assetInformation><assetKind>Type</assetKind><globalAssetId>urn:alpha:housing</globalAssetId>"
    "<specificAssetIds><specificAssetId><name>manufacturerPartId</name><value>P100</value></specificAssetId>"
    "</specificAssetIds></assetInformation></assetAdministrationShell></assetAdministrationShells><submodels>"
    "<submodel><idShort>HandoverDocumentation</idShort><id>urn:alpha:handover</id>"
    f"{_semantic('0173-1#01-AHF578#003')}<submodelElements>{_list('Documents', DOCUMENT)}</submodelElements></submodel>"
    "<submodel><idShort>Nameplate</idShort><id>urn:alpha:nameplate</id><submodelElements>"
    f"{_property('SerialNumber', '&lt;1 &amp; 2&gt; ')}<capability><idShort>Drill</idShort></capability>"
    "<operation><idShort>Turn</idShort><inputVariables><operationVariable><value>"
    f"{_property('Angle', '90', 'xs:int')}</value></operationVariable></inputVariables></operation>"
    "</submodelElements></submodel></submodels></environment>"
)
GOOD = {
    "[Content_Types].xml": TYPES,
    "_rels/.rels": relations(("aasx-origin", "/aasx/aasx-origin")),
    "aasx/aasx-origin": "",
    "aasx/_rels/aasx-origin.rels": relations(("aas-spec", "/aasx/housing.aas.xml")),
    "aasx/housing.aas.xml": ENVIRONMENT,
    **FILES,
}


def write(path: Path, parts: dict[str, str | bytes | None], more: tuple[tuple[str, bytes], ...] = ()) -> Path:
    """Write a zip of parts; `more` may name one again."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in [*parts.items(), *more]:
            if content is not None:
                made.writestr(name, content)
    return path


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with its SHA-256."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
