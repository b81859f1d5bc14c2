"""The protocol's own schemas, examples and diagrams, read where they lie and never copied in.

They are looked for in `COMITY_SPEC_DIR`, else beside the repository; `missing` is the mark that skips without them.
"""

import functools
import json
import os
from pathlib import Path

import jsonschema
import pytest
import referencing

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("COMITY_SPEC_DIR") or ROOT / ".." / "shared" / "data" / "dsp-2025-1")
BASE = "https://w3id.org/dspace/2025/1/"

PRESENT = (FOLDER / "negotiation" / "contract-schema.json").is_file()

missing = pytest.mark.skipif(
    not PRESENT,
    reason=f"the protocol's schemas are not in {FOLDER}; COMITY_SPEC_DIR says where they are",
)


def examples(part="*"):
    """Return the paths of the specification's examples, all or those of one part."""
    return sorted(FOLDER.glob(f"{part}/example/*.json"))


@functools.cache
def _registry():
    found = {}
    for path in sorted(FOLDER.glob("*/*-schema.json")):
        # three transfer schemas refer to "#definitions/..." without the slash, which no reader resolves
        schema = json.loads(path.read_text(encoding="utf-8").replace("#definitions/", "#/definitions/"))
        found[schema["$id"]] = referencing.Resource.from_contents(schema)
    return referencing.Registry().with_resources(found.items())


@functools.cache
def _validator(reference):
    return jsonschema.Draft201909Validator({"$ref": BASE + reference}, registry=_registry())


def errors_of(reference, value):
    """Return what the schema, such as `negotiation/contract-schema.json#/definitions/Offer`, has against `value`."""
    found = _validator(reference).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]
