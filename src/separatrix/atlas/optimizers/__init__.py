"""Optimizers: what a step rule does on problems with known answers."""
