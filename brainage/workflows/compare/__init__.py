"""``brainage compare``: training rules side by side."""
