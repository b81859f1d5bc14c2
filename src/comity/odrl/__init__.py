"""ODRL policies as the Dataspace Protocol uses them (DSP 2025-1, contract-schema.json; W3C ODRL 2.2).

    model      parse, format, offer, agreement, check: from JSON to a Policy and back
    evaluate   may this be done, given these facts: anything unknown means no
    compare    are these two policies the same terms, and where do they differ

Pure: facts (who asks, what time it is, for what purpose) are handed in by the control plane.
plane's matter.
"""
