"""``brainage benchmark``: time and memory."""
