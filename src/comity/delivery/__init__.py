"""Durable sending: what a committed step left in the outbox is sent until it is acknowledged, refused or too old.

It decides when and how often; what an outcome means for a process is `controlplane.outcome`'s part.
"""
