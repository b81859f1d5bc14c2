"""Who a participant is, as values and functions: did:web names, keys, self-issued tokens (DCP 1.0) and their checks.

Pure: keys, time and ids come in as arguments. Fetching DID documents is `comity.net.did`, remembering used tokens
is the control plane's part.
"""
