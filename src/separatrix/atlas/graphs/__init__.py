"""Graphs: functions and fields on graphs, meshes and points that lie on a manifold."""
