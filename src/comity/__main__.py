"""`python -m comity` is the `comity` command.

For where the command itself is not on the path, such as in a service file or a test.
"""

from comity.cli import main

main.run()
