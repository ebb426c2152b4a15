"""``brainage export``: a model in a format that other software runs."""
