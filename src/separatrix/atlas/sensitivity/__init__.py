"""Sensitivity: what a small change of the input does to the output."""
