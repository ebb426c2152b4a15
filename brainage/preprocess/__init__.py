"""From a raw scan to a checked volume in template space, one step a file."""
