"""Loaded by every Python process that a test starts: what a connector there encodes is written down for the test.

`support.listening` puts this folder on PYTHONPATH and names the file in HEARD_MESSAGES.
"""

import importlib.util
import os
import sys

MODULE = "comity.dsp.messages"


class Listening:
    """Wraps the module of messages when it is imported, and never imports it by itself."""

    def find_spec(self, name, path=None, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_and_wrap(module):
            load(module)
            wrap(module)

        spec.loader.exec_module = load_and_wrap
        return spec


def wrap(module):
    from support.listening import shape  # noqa: PLC0415  only where something is encoded

    descriptor = os.open(os.environ["HEARD_MESSAGES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    seen = set()

    def heard(encode):
        def encode_and_write(value):
            body = encode(value)
            if shape(body) not in seen:
                seen.add(shape(body))
                os.write(descriptor, body + b"\n")
            return body

        return encode_and_write

    module.encode, module.encode_document = heard(module.encode), heard(module.encode_document)


if os.environ.get("HEARD_MESSAGES"):
    sys.meta_path.insert(0, Listening())
