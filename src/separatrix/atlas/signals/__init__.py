"""Signals: curves, shapes and what is the same in them up to timing."""
