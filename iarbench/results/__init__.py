"""From stored per-image scores to rows, tables and plots."""
