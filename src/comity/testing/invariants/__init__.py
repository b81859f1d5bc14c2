"""The invariants, a function each: it looks up in the book, and notes in the ruling what breaks it and what it lacks.

Which there are is `history.INVARIANTS`; what they are for, reliability in a dataspace, docs/how-to/check-a-history.md.
"""
