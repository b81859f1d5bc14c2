"""Which media type the ending of a file's name tells.

A manifest has it, and the same folder is to give the same manifest everywhere: so neither a file of the system nor the
version of Python is asked. Names are those that IANA lists; what it does not list has the name in use.
"""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "application/octet-stream"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_OPEN: Final = "application/vnd.oasis.opendocument"

_TYPES: Final = {
    # documents
    "pdf": "application/pdf", "txt": "text/plain", "log": "text/plain", "md": "text/markdown", "rtf": "application/rtf",
    "htm": "text/html", "html": "text/html", "css": "text/css", "js": "text/javascript", "py": "text/x-python",
    "doc": "application/msword", "docx": f"{_OFFICE}.wordprocessingml.document", "odt": f"{_OPEN}.text",
    "ppt": "application/vnd.ms-powerpoint", "pptx": f"{_OFFICE}.presentationml.presentation",
    "xls": "application/vnd.ms-excel", "xlsx": f"{_OFFICE}.spreadsheetml.sheet", "ods": f"{_OPEN}.spreadsheet",
    "eml": "message/rfc822",
    # data
    "csv": "text/csv", "tsv": "text/tab-separated-values", "json": "application/json", "jsonl": "application/jsonl",
    "jsonld": "application/ld+json", "xml": "text/xml", "xsd": "text/xml", "yaml": "application/yaml",
    "yml": "application/yaml", "toml": "application/toml", "ttl": "text/turtle", "reqif": "application/xml",
    "parquet": "application/vnd.apache.parquet", "arrow": "application/vnd.apache.arrow.file",
    "sqlite": "application/vnd.sqlite3", "h5": "application/x-hdf5",
    "aasx": "application/asset-administration-shell-package",
    # models and drawings
    "step": "model/step", "stp": "model/step", "stpz": "model/step+zip", "stl": "model/stl", "obj": "model/obj",
    "3mf": "model/3mf", "gltf": "model/gltf+json", "glb": "model/gltf-binary", "iges": "model/iges",
    "igs": "model/iges", "jt": "model/jt", "dxf": "image/vnd.dxf", "dwg": "image/vnd.dwg",
    # pictures, sound and film
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "svg": "image/svg+xml",
    "tif": "image/tiff", "tiff": "image/tiff", "bmp": "image/bmp", "webp": "image/webp", "mp3": "audio/mpeg",
    "wav": "audio/wav", "mp4": "video/mp4", "webm": "video/webm", "avi": "video/x-msvideo", "mov": "video/quicktime",
    # archives
    "zip": "application/zip", "7z": "application/x-7z-compressed", "tar": "application/x-tar", "gz": "application/gzip",
    "tgz": "application/gzip", "xz": "application/x-xz", "zst": "application/zstd",
}  # fmt: skip


def of(name: str) -> str:
    """Return the media type that a file's name tells."""
    return _TYPES.get(name.rpartition(".")[2].lower() if "." in name else "", UNKNOWN)
