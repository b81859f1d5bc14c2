"""The management API on the wire, in EDC's payloads: values and functions. A version is data, not a copy of code.

Unaware of the protocol's own values: whoever calls passes plain arguments and gets documents.
"""
