"""``brainage evaluate``: how good predictions are, and whether that may be said."""
