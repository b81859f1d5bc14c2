"""Framework agreements: the document that parties sign first, its one hash, and what it asks of all that is under it.

Values and functions only. Who signed, whether it is in force and what follows is `controlplane.frameworks`' part.
"""
