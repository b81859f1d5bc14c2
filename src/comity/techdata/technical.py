"""Technical data (IDTA 02003-2-0) out of a short TOML file: who made it, which class it is of, its properties. Pure.

Units and the like stand beside their property (IEC 61360), so that nobody has to look them up elsewhere.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from typing import Any, Final

import msgspec
from msgspec import Struct

from comity.errors import InvalidInputError
from comity.techdata import aas

Document = dict[str, Any]
SEMANTIC_ID: Final = "0173-1#01-AHX837#002"
ARTICLE_NUMBER: Final = "0173-1#02-AAO676#005"
MAX_BYTES: Final = 1024 * 1024
_IEC_61360: Final = "https://admin-shell.io/DataSpecificationTemplates/DataSpecificationIec61360/3"
_KINDS: Final = {bool: "xs:boolean", int: "xs:long", float: "xs:double", str: "xs:string", dt.date: "xs:date"}
_GENERAL: Final = {
    "ManufacturerName": "0173-1#02-AAO677#004",
    "ManufacturerProductDesignation": "0173-1#02-AAW338#003",
    "ManufacturerArticleNumber": ARTICLE_NUMBER,
    "ManufacturerOrderCode": "0173-1#02-AAO227#004",
}
_CLASS: Final = {
    "ClassificationSystem": "0173-1#02-ABL424#001",
    "ClassificationSystemVersion": "0173-1#02-AAR710#003",
    "ProductClassId": "0173-1#02-ABG776#003",
}


class _General(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    manufacturer_name: str
    manufacturer_product_designation: str
    manufacturer_article_number: str
    manufacturer_order_code: str


class _Class(Struct, frozen=True, forbid_unknown_fields=True):
    system: str
    id: str
    version: str = ""


class _Property(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    value: Any
    unit: str = ""
    semantic_id: str = ""


class _Data(Struct, frozen=True, forbid_unknown_fields=True):
    general: _General
    classification: tuple[_Class, ...] = ()
    properties: dict[str, Any] = {}


def submodel(data: bytes, id_: str) -> Document:
    """Return the submodel of what a TOML file says.

    Raises:
        InvalidInputError: with the key, or the line, of what is wrong.
    """
    said = _read(data)
    general = zip(_GENERAL, msgspec.structs.astuple(said.general), strict=True)
    elements = [
        _collection(
            "GeneralInformation",
            "0173-1#02-ABK161#002/0173-1#01-AHX838#002",
            [_general(*each) for each in general],
        ),
        _list(
            "ProductClassifications", "0173-1#02-ABK162#002", [_class(each) for each in said.classification]
        ),
        _list(
            "TechnicalPropertyAreas",
            "0173-1#02-ABK163#002",
            [_area(said.properties)] if said.properties else [],
        ),
    ]
    return {
        "idShort": "TechnicalData",
        "administration": {
            "version": "2",
            "revision": "0",
            "templateId": "https://admin-shell.io/idta-02003-2-0",
        },
        "id": id_,
        "kind": "Instance",
        "semanticId": aas.reference(SEMANTIC_ID),
        "submodelElements": [each for each in elements if each["value"]],
        "modelType": "Submodel",
    }


def _read(data: bytes) -> _Data:
    if len(data) > MAX_BYTES:
        raise _wrong(f"it has more than {MAX_BYTES} bytes")
    try:
        return msgspec.convert(tomllib.loads(data.decode()), _Data)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, msgspec.ValidationError) as error:
        raise _wrong(str(error)) from None


def _wrong(why: str) -> InvalidInputError:
    return InvalidInputError(
        f"technical data: {why}",
        hint="[general] has manufacturerName, manufacturerProductDesignation, manufacturerArticleNumber,"
        " manufacturerOrderCode; then come [[classification]] and [properties]",
    )


def _general(name: str, value: str) -> Document:
    if name == "ManufacturerProductDesignation":
        said = [{"language": "en", "text": value}]
        meaning = {"semanticId": aas.reference(_GENERAL[name])}
        return {"idShort": name, **meaning, "value": said, "modelType": "MultiLanguageProperty"}
    return _property(name, _GENERAL[name], value)


def _class(said: _Class) -> Document:
    values = {
        "ClassificationSystem": said.system,
        "ClassificationSystemVersion": said.version,
        "ProductClassId": said.id,
    }
    members = [_property(name, _CLASS[name], value) for name, value in values.items() if value]
    return _collection("", "0173-1#02-ABK162#002/0173-1#01-AHX839#002", members)


def _area(properties: dict[str, Any]) -> Document:
    members = []
    for name, value in properties.items():
        if aas.id_short(name, "") != name:
            raise _wrong(f"{name[:100]!r} cannot name a property: letters, digits and _, a letter first")
        members.append(_measured(name, value))
    return _collection("", "0173-1#02-ABL358#002/0173-1#01-AHX773#002", members)


def _measured(name: str, value: object) -> Document:
    try:
        said = msgspec.convert(value if isinstance(value, dict) else {"value": value}, _Property)
    except msgspec.ValidationError as error:
        raise _wrong(f"properties.{name}: {error}") from None
    made = _property(name, said.semantic_id, said.value)
    if said.unit:
        made["embeddedDataSpecifications"] = [_unit(name, said.unit)]
    return made


def _unit(name: str, unit: str) -> Document:
    content = {
        "preferredName": [{"language": "en", "text": name}],
        "unit": unit,
        "modelType": "DataSpecificationIec61360",
    }
    return {"dataSpecification": aas.reference(_IEC_61360), "dataSpecificationContent": content}


def _property(name: str, meaning: str, value: object) -> Document:
    if type(value) not in _KINDS:
        raise _wrong(f"properties.{name}: a value is a text, a number, true or false, or a day")
    written = str(value).lower() if isinstance(value, bool) else str(value)
    return {
        "idShort": name,
        **({"semanticId": aas.reference(meaning)} if meaning else {}),
        "valueType": _KINDS[type(value)],
        "value": written,
        "modelType": "Property",
    }


def _collection(name: str, meaning: str, members: list[Document]) -> Document:
    """Return a collection; in a list it has no name."""
    named = {"idShort": name} if name else {}
    return {
        **named,
        "semanticId": aas.reference(meaning),
        "value": members,
        "modelType": "SubmodelElementCollection",
    }


def _list(name: str, meaning: str, members: list[Document]) -> Document:
    return {
        "idShort": name,
        "semanticId": aas.reference(meaning),
        "typeValueListElement": "SubmodelElementCollection",
        "value": members,
        "modelType": "SubmodelElementList",
    }
