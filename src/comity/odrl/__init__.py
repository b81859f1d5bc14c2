"""ODRL policies as the Dataspace Protocol uses them (DSP 2025-1, contract-schema.json; W3C ODRL 2.2).

Parse, format and check them (`model`), decide by them (`evaluate`), say why (`explain`), compare them (`compare`). The
words that a term may begin with are `operands` and `catenax`; who sees to a term is `enforcement`; what follows from
having agreed is `duties`. Pure: facts (who asks, what time it is, for what purpose) are handed in by the control plane.
"""
