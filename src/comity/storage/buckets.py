"""Which buckets an operator listed, and which of them an address names: values, no connection.

An address is `s3://NAME/path`, `azure://NAME/path` or `gcs://NAME/path`. NAME is what the settings call a bucket, so no
address holds a host: where a bucket is, and with which credentials it is opened, the settings alone say. A data address
in EDC's words (`AmazonS3`, `AzureStorage`, `GoogleCloudStorage`) is taken where it describes a bucket that is listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from comity.errors import InvalidInputError, SettingsError, StorageError

KINDS: Final = ("s3", "azure", "gcs")
"""Schemes of addresses; each is also the extra that brings what is needed."""
LIST_IT: Final = "list it as [buckets.NAME] in comity.toml; see docs/how-to/buckets.md"
REGION: Final = "us-east-1"
"""The region of an s3 bucket for which the settings name none."""
_ADDRESS: Final = re.compile(rf"({'|'.join(KINDS)})://([^/]*)/?(.*)", re.DOTALL)
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62})")
_LONGEST_KEY: Final = 1024
"""In bytes; what all three kinds of stores take."""
_MAX_KEY: Final = 900
"""Of what an address names: there is room for names below it."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of the settings: `container` is its name at the store, `prefix` what of it is ours, without a slash.

    `account` is Azure's. Its credentials are in a file, or in a secret of this connector; `anonymous` asks for none.
    """

    name: str
    kind: str
    container: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    account: str = ""
    credentials_file: str = field(default="", repr=False)
    credentials_secret: str = field(default="", repr=False)
    anonymous: bool = False

    def key(self, path: str) -> str:
        """Return the key of an object in the bucket."""
        return f"{self.prefix}/{path}" if self.prefix and path else self.prefix or path

    def written(self) -> dict[str, Any]:
        """Return its section as the settings have it."""
        url = f"{self.kind}://{self.container}/{self.prefix}".rstrip("/")
        values = {name: getattr(self, name) for name in KEYS if name != "url"}
        return {"url": url, **{name: value for name, value in values.items() if value}}


@dataclass(frozen=True, slots=True)
class Place:
    """What an address names: an object, or all that has `path` and a slash in front."""

    bucket: Bucket
    path: str

    @property
    def key(self) -> str:
        """Its key in the bucket."""
        return self.bucket.key(self.path)

    def __str__(self) -> str:
        return f"{self.bucket.kind}://{self.bucket.name}/{self.path}".rstrip("/")

    def below(self, path: str) -> Place:
        """Return the place of something below this one.

        Raises:
            StorageError: its key would be too long.
        """
        found = Place(self.bucket, f"{self.path}/{path}" if self.path else path)
        if len(found.key.encode(errors="replace")) > _LONGEST_KEY:
            raise StorageError(f"{str(found)[:200]!r}... would have a key of more than {_LONGEST_KEY} bytes")
        return found


def is_address(text: str) -> bool:
    """Say whether a text is the address of a bucket, listed or not, and no path."""
    return _ADDRESS.fullmatch(text) is not None


def find(buckets: Sequence[Bucket], address: str) -> Place:
    """Return what an address names.

    Raises:
        StorageError: there is no such bucket in the settings, or the path is none that an object can have.
    """
    found = _ADDRESS.fullmatch(address)
    kind, name, path = found.groups() if found else ("", "", "")
    bucket = next((each for each in buckets if each.name == name), None)
    if bucket is None:
        raise StorageError(
            f"{address[:200]!r} is in no bucket of the settings", hint=_listed(buckets) or LIST_IT
        )
    if bucket.kind != kind:
        raise StorageError(f"the bucket {name} is {bucket.kind}: its address begins with {bucket.kind}://")
    path = path.rstrip("/")
    segments = path.split("/") if path else []
    if any(each in {"", ".", ".."} or not each.isprintable() for each in segments):
        raise StorageError(f"{address[:200]!r} has a path that no object can have")
    if len(bucket.key(path).encode(errors="replace")) > _MAX_KEY:
        raise StorageError(f"{address[:200]!r} has a path of more than {_MAX_KEY} bytes")
    return Place(bucket, path)


def _listed(buckets: Sequence[Bucket]) -> str:
    shown = ", ".join(f"{each.kind}://{each.name}" for each in buckets)
    return f"there is {shown}; {LIST_IT}" if shown else ""


def read(name: str, values: Any, *, insecure: bool) -> Bucket:
    """Return the bucket that `[buckets.NAME]` of the settings says.

    Raises:
        SettingsError: a key is missing, unknown or wrong.
    """
    place = f"buckets.{name}"
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{place}: a bucket's name is of a-z, 0-9, dash and underscore")
    if not isinstance(values, dict):
        raise SettingsError(f"{place} must be a section")
    for key, value in values.items():
        if key not in KEYS:
            raise SettingsError(f"there is no setting {place}.{key}")
        if type(value) is not KEYS[key]:
            raise SettingsError(f"{place}.{key} must be {'true or false' if KEYS[key] is bool else 'a text'}")
    kind, container, prefix = _split_url(place, str(values.get("url") or ""))
    ways = [key for key in ("credentials_file", "credentials_secret", "anonymous") if values.get(key)]
    if len(ways) != 1:
        raise SettingsError(
            f"{place} needs one of credentials_file, credentials_secret and anonymous = true",
            hint="see docs/how-to/buckets.md",
        )
    _check_endpoint(place, values.get("endpoint", ""), insecure=insecure)
    if (kind == "azure") != bool(values.get("account")):
        raise SettingsError(f"{place}.account names the storage account of an azure bucket, and of no other")
    others = {key: value for key, value in values.items() if key != "url"}
    return Bucket(name, kind, container, prefix, **others)


KEYS: Final[Mapping[str, type]] = {
    "url": str,
    "endpoint": str,
    "region": str,
    "account": str,
    "credentials_file": str,
    "credentials_secret": str,
    "anonymous": bool,
}


def _split_url(place: str, url: str) -> tuple[str, str, str]:
    found = _ADDRESS.fullmatch(url)
    prefix = found[3].strip("/") if found else ""
    if (
        not found
        or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}", found[2])
        or ".." in prefix.split("/")
    ):
        raise SettingsError(
            f"{place}.url must be the bucket as its store calls it, with a prefix if you like",
            hint='such as "s3://acme-drawings/outgoing", "azure://container" or "gcs://bucket"',
        )
    return found[1], found[2], prefix


def _check_endpoint(place: str, endpoint: str, *, insecure: bool) -> None:
    """Refuse an endpoint that is no origin; a password in it would be shown."""
    if not endpoint:
        return
    try:
        parts = urlsplit(endpoint)
        usable = bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        usable = False
    if not usable or parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        raise SettingsError(f"{place}.endpoint must be an address such as https://s3.example")
    if parts.scheme == "http" and not insecure:
        raise SettingsError(
            f"{place}.endpoint is http", hint="use https, or for one machine development.insecure"
        )


@dataclass(frozen=True, slots=True)
class _Words:
    """How EDC's extensions describe a bucket of a kind: its name there, one object, many, and where it is."""

    kind: str
    container: str
    name: str
    prefix: str
    folder: str
    where: Mapping[str, str]


EDC: Final[Mapping[str, _Words]] = {
    "AmazonS3": _Words(
        "s3", "bucketName", "objectName", "objectPrefix", "folderName",
        {"region": "region", "endpointOverride": "endpoint"},
    ),
    "AzureStorage": _Words(
        "azure", "container", "blobName", "blobPrefix", "folderName", {"account": "account"}
    ),
    "GoogleCloudStorage": _Words(
        "gcs", "bucket_name", "blob_name", "blob_prefix", "folder_name", {}
    ),
}  # fmt: skip
"""The types of data addresses that name a bucket."""


def from_edc(buckets: Sequence[Bucket], address: Mapping[str, Any], *, at: str, one: bool) -> Place:
    """Return what a data address in EDC's words names: `one` object, or a folder to write into.

    It must describe a bucket that is listed: an endpoint or a region of its own changes nothing, and is refused.

    Raises:
        InvalidInputError: a field is missing or not taken, or no bucket of the settings is so.
    """
    words = EDC[str(address["type"])]
    taken = {"type", "@type", "name", words.container, words.name, words.folder, *words.where}
    for member, value in address.items():
        if not isinstance(value, str):
            raise InvalidInputError(f"{member[:100]} must be a text", path=f"{at}.{member[:100]}")
        if member not in taken:
            many = " (publish a package instead: comity publish)" if member == words.prefix else ""
            raise InvalidInputError(f"{member[:100]} is not taken{many}", path=f"{at}.{member[:100]}")
    said = {member: address.get(member) or "" for member in taken}
    bucket = _described(buckets, words, said, at)
    path = said[words.folder].strip("/")
    if not one and said[words.name]:
        raise InvalidInputError(
            f"{words.name} is not taken: name a folder in {words.folder}", path=f"{at}.{words.name}"
        )
    if one:
        if not said[words.name]:
            raise InvalidInputError(f"{words.name} is missing", path=f"{at}.{words.name}")
        path = f"{path}/{said[words.name]}".lstrip("/")
    if bucket.prefix:
        if not f"{path}/".startswith(f"{bucket.prefix}/"):
            raise InvalidInputError(
                f"the bucket {bucket.name} of the settings is about {bucket.prefix}/ only",
                path=f"{at}.{words.name if one else words.folder}",
            )
        path = path[len(bucket.prefix) + 1 :]
    return find([bucket], f"{bucket.kind}://{bucket.name}/{path}")


def _described(buckets: Sequence[Bucket], words: _Words, said: Mapping[str, str], at: str) -> Bucket:
    """Return the bucket that is so described, or refuse by the member that describes another."""
    container = said[words.container]
    named = [each for each in buckets if (each.kind, each.container) == (words.kind, container)]
    if not named:
        raise InvalidInputError(
            f"no {words.kind} bucket of the settings is called {container[:100]!r}",
            path=f"{at}.{words.container}",
            hint=LIST_IT,
        )
    found = next((each for each in named if not _differing(each, words, said)), None)
    if found is not None:
        return found
    member, known = _differing(named[0], words, said)[0]
    raise InvalidInputError(
        f"{member} is {known or 'empty'} for the bucket {named[0].name} of the settings, not {said[member][:100]!r}",
        path=f"{at}.{member}",
        hint="leave it out, or list the other bucket as well",
    )


def _differing(bucket: Bucket, words: _Words, said: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the members that describe another bucket, each with what the settings say."""
    known = {
        theirs: getattr(bucket, ours) or (REGION if ours == "region" else "")
        for theirs, ours in words.where.items()
    }
    return [
        (name, value)
        for name, value in known.items()
        if said[name].rstrip("/") not in {"", value.rstrip("/")}
    ]
