"""Solvable: models whose learning is known in closed form or followed exactly."""
