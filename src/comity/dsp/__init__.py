"""The Dataspace Protocol 2025-1 as values and functions: messages, state machine, rules, paths. No input or output.

Names are the specification's own; what is accepted beyond it is in `codec` and `machine`, each with its reason.
"""
