"""Separatrix: see, measure, predict and fix the gradient vector fields of models that learn against each other."""

__version__ = "0.1.0.dev0"
