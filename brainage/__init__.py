"""Brain age from MRI, and leader-follower neural networks (LFNN, LFNN-l).

Importing this package loads nothing heavy; each subpackage imports what it needs.
"""

__version__ = "0.1.0"
