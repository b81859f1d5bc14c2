"""Durable sending: what a committed step left in the outbox is sent until it is acknowledged, refused or too old."""
