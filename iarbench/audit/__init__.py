"""What is wrong with image sets, seen before a detector learns it."""
