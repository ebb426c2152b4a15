"""Scans and cohorts as they come: reading, finding and checking them."""
