"""Systems: maps and flows learned from data, and what their operators say."""
