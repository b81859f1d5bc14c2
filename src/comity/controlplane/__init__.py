"""Use cases: each loads a record, asks the pure core, and writes message, state and evidence in one transaction."""
