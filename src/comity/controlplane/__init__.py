"""Use cases: each loads a record, asks the pure core, and writes message, state and evidence in one transaction.

It knows no HTTP and no SQL: `api` calls it, `db` stores for it, `delivery` and `dataplane` do what it left to be
done.
"""
