"""The bytes: who may have them, which range, how a stream is cut, how they are received hash-exact."""
