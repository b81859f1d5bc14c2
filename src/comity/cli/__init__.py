"""The `comity` command: one module per noun, `main` puts them together.

Modules import at their top only what every command needs; the rest is imported where it is used, so that
`comity --help` and the small commands start at once.
"""
