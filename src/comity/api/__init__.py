"""HTTP in front of the use cases: the protocol for partners, the data, the management API for our own people."""
