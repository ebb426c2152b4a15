"""``brainage train``: who is trained on whom, the fits, and what a run leaves behind."""
