"""Physics: fields that solve differential equations, and networks that are trained to."""
