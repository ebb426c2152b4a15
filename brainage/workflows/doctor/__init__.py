"""``brainage doctor``: what this installation can do, what is missing, and whether a model fits."""
