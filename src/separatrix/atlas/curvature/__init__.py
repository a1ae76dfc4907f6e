"""Curvature: spectra, low rank and the linear algebra of matrices known only through products."""
