"""The Dataspace Protocol 2025-1 as values and functions: messages, state machine, rules, paths. No input or output."""
