"""The bytes: who may have them, which range, how a stream is cut, how they are received hash-exact.

Bytes: what a request for data gets, how streams are cut, how files are received and go on after a cut. Who may have
what is looked up by the control plane.
"""
