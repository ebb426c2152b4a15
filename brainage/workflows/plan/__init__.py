"""``brainage plan``: measured stages, cuts, replicas and projections."""
