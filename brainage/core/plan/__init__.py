"""Where to cut and whom to double: measured costs, the search for a plan, and what it promises."""
