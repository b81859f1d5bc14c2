"""The bytes: who may have them, which range, how a stream is cut, and how the other side receives them hash-exact."""
