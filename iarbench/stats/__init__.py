"""Thresholds, intervals, metrics, attribution: numbers from scores."""
