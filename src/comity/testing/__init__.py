"""What tests connectors with: a history of what two of them did, and the invariants that it must not break.

Ours and other people's: everything works on plain structs, which a recorder or a collector fills. Nothing of the
connector itself imports from here.
"""
