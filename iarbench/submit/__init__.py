"""Results that others can check: what a board's folder holds, how a run gets there, how its numbers are verified."""
