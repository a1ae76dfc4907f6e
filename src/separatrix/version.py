"""The version, where every room can read it: also of a copy that is not installed."""

__version__ = "0.1.0.dev0"
