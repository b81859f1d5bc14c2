"""Opens the buckets of the settings through obstore, and says in one sentence what went wrong with one.

obstore and its credentials live here only. It makes connections of its own, which `net.guard` does not see: so where
it connects to comes from the settings alone, and neither an address, a message nor the environment can change that. Its
own words are never shown: they hold addresses and answers, and these may hold a key. Only its blocking calls are used,
in threads: its asynchronous ones call Python from threads that outlive the interpreter, and abort it at its end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from comity.errors import StorageError, install
from comity.storage.buckets import REGION, Bucket, Place
from comity.storage.source import changed

AWAY: Final = "storage-away"
"""Code of what another attempt may mend: the store is slow, overloaded or not there."""
MISSING: Final = "storage-missing"
STALL_S: Final = 120
"""How long a store may say nothing, and a part of an upload may take: 8 MiB, four at a time, also on a slow line."""
_LONGEST: Final = 5
"""A request may take so many times as long in all: a run that trickles is given up, too."""
CONNECT_S: Final = 5
_RETRY_S: Final = 20
_RETRIES: Final = 4
_ENVIRONMENT: Final = (
    *("AWS_", "AZURE_", "GOOGLE_", "GCE_", "MSI_", "IDENTITY_"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
)
_ENVIRONMENT_LOCK: Final = threading.Lock()
_FORMS: Final[dict[str, tuple[frozenset[str], ...]]] = {
    "s3": (
        frozenset({"access_key_id", "secret_access_key"}),
        frozenset({"access_key_id", "secret_access_key", "session_token"}),
    ),
    "azure": (
        frozenset({"account_key"}),
        frozenset({"sas_key"}),
        frozenset({"client_id", "client_secret", "tenant_id"}),
    ),
}
_GOOGLE: Final = ("client_email", "private_key", "private_key_id")
"""What is taken of a service account: it could name an address, too."""
_NOBODY: Final = json.dumps({**dict.fromkeys(_GOOGLE, ""), "disable_oauth": True})
"""A Google account without a key: without an account obstore asks the machine for a token wherever it writes."""
_REFUSED: Final = re.compile(
    r"\b40[13]\b|SignatureDoesNotMatch|InvalidAccessKeyId|AccessDenied|AuthenticationFailed"
)
_NO_BUCKET: Final = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)


def credentials(bucket: Bucket, text: str) -> dict[str, Any]:
    """Return what a file or a secret with credentials says, as obstore wants it.

    Raises:
        StorageError: it is not of the form that this kind of bucket needs; nothing of it is shown.
    """
    if bucket.anonymous:
        return {"skip_signature": True, **({"service_account_key": _NOBODY} if bucket.kind == "gcs" else {})}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise _bad_credentials(bucket)
    if bucket.kind == "gcs":
        if not found.keys() >= set(_GOOGLE):
            raise _bad_credentials(bucket)
        return {"service_account_key": json.dumps({name: found[name] for name in _GOOGLE})}
    if frozenset(found) not in _FORMS[bucket.kind]:
        raise _bad_credentials(bucket)
    return found


def _bad_credentials(bucket: Bucket) -> StorageError:
    forms = [", ".join(sorted(each)) for each in _FORMS.get(bucket.kind, ())]
    wanted = (
        f"a JSON object with {' or with '.join(forms)}"
        if forms
        else "a service account's JSON, as Google gives it"
    )
    return StorageError(
        f"the credentials of the bucket {bucket.name} are not in the right form", hint=f"write {wanted}"
    )


def store(bucket: Bucket, text: str, *, insecure: bool, stall_s: float = STALL_S) -> Any:
    """Return obstore's store for a bucket; nothing is connected yet.

    Raises:
        StorageError: the extra is missing, or the credentials or an option cannot be used.
    """
    kind = _class(bucket)
    options: dict[str, Any] = {**credentials(bucket, text)}
    if bucket.endpoint:
        options["base_url" if bucket.kind == "gcs" else "endpoint"] = bucket.endpoint
    if bucket.kind == "s3":
        options["region"] = bucket.region or REGION
    if bucket.account:
        options["account_name"] = bucket.account
    client = {
        "allow_http": insecure,
        "connect_timeout": timedelta(seconds=CONNECT_S),
        "read_timeout": timedelta(seconds=stall_s),
        "timeout": timedelta(seconds=stall_s * _LONGEST),
    }
    retry = {
        "max_retries": _RETRIES,
        "retry_timeout": timedelta(seconds=min(_RETRY_S, stall_s)),
        "backoff": {
            "init_backoff": timedelta(milliseconds=50),
            "max_backoff": timedelta(seconds=3),
            "base": 2,
        },
    }
    with _plain_environment():
        try:
            return kind(bucket.container, **options, client_options=client, retry_config=retry)
        except Exception:  # noqa: BLE001  whatever obstore says of options may repeat them
            raise StorageError(
                f"the bucket {bucket.name} cannot be opened so",
                hint="see its section in comity.toml, and its credentials",
            ) from None


def _class(bucket: Bucket) -> Any:
    try:
        from obstore import store as stores  # noqa: PLC0415  an extra
    except ImportError:
        raise StorageError(
            f"the bucket {bucket.name} needs what the extra {bucket.kind} brings",
            hint=f"install it: {install(bucket.kind)}",
        ) from None
    return {"s3": stores.S3Store, "azure": stores.AzureStore, "gcs": stores.GCSStore}[bucket.kind]


@contextlib.contextmanager
def _plain_environment() -> Iterator[None]:
    """Hide variables that would override the settings: AWS_ENDPOINT_URL_S3 or a proxy sends keys to another host."""
    with _ENVIRONMENT_LOCK:
        hidden = {
            name: os.environ.pop(name) for name in list(os.environ) if name.upper().startswith(_ENVIRONMENT)
        }
        try:
            yield
        finally:
            os.environ.update(hidden)


@contextlib.contextmanager
def failures(place: Place, *, published: bool = False) -> Iterator[None]:
    """Turn obstore's errors about a place into one sentence of ours; `published` is what must still be as it was.

    Raises:
        StorageError: code `storage-away` where another attempt may help, `storage-changed` for what was published.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001  obstore has exceptions of its own, without a common root
        raise _failure(place, error, published=published) from None


def _failure(place: Place, error: Exception, *, published: bool) -> StorageError:
    bucket, said, name = place.bucket, str(error), type(error).__name__
    if _NO_BUCKET.search(said):
        return StorageError(
            f"there is no bucket {bucket.container!r} at the store of {bucket.name}",
            hint=f"see url, endpoint and region of [buckets.{bucket.name}] in comity.toml",
        )
    if isinstance(error, FileNotFoundError):
        return changed(f"{str(place)!r} is gone since it was published") if published else missing(place)
    if name == "PreconditionError":
        return changed(f"{str(place)!r} changed since it was published")
    if name in {"PermissionDeniedError", "UnauthenticatedError"} or _REFUSED.search(said[:2000]):
        return StorageError(
            f"the store refuses the credentials of the bucket {bucket.name}",
            hint="see whether they are right, and may read, list and write there",
        )
    if name == "InvalidPathError" or "InvalidPath" in said:
        return StorageError(f"{str(place)!r} holds an object whose key is no path")
    return away(place)


def missing(place: Place) -> StorageError:
    """Make the error that says there is no such object; its code is `storage-missing`."""
    error = StorageError(f"there is no object {str(place)!r}")
    error.code = MISSING
    return error


def away(place: Place, why: str = "does not answer as it should") -> StorageError:
    """Make the error for a store that may be better later; its code is `storage-away`."""
    error = StorageError(
        f"the store of the bucket {place.bucket.name} {why}", hint="try again later; see that the store is up"
    )
    error.code = AWAY
    return error
