"""``brainage predict``: ages of raw scans, row by row."""
