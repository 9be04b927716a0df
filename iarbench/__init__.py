"""iarbench: provenance of images made by image auto-regressive models (IARs)."""

__version__ = "0.1.0"
"""The only place that states the version: pyproject.toml reads it from here."""
