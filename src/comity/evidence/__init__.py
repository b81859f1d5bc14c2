"""Evidence as values: what a record says and how records are chained. No store, no clock.

Rows are `db.evidence`, what is recorded is decided in `controlplane.process`.
"""
