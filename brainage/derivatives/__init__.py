"""Preprocessed scans as BIDS derivatives: names, files, sidecars and what vouches for them."""
