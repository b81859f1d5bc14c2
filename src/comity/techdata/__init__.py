"""Technical data packages as values: what is in one and how its manifest is written. Pure."""
