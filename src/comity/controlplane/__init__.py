"""Use cases: each loads a record, asks the pure core, and writes message, state, answer and evidence in one transaction."""
