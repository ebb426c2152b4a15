"""``brainage tables``: the paper's tables and figures, measured beside published."""
