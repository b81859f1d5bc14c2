"""Technical data packages as values: what is in one and how its manifest is written. Pure.

No files are touched here: scanning is `storage.folder`, receiving is `dataplane.packages`.
"""
