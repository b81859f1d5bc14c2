"""All that leaves the machine over HTTP: one guarded client, and on it the did:web resolver and the DSP client.

The guard checks the address a socket is about to connect to, not the name in the URL. Nobody else opens
outgoing connections; who may not import this package is handed a client.
"""
