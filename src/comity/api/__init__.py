"""HTTP in front of the use cases: the protocol for partners, the data, the management API for our own people.

HTTP in: two applications, one for partners and one for the connector's own people. Routes decode, call one use case
and encode; what is decided is decided in `controlplane`.
"""
