"""The attacks, one idea a file; `iarbench.registry.ATTACKS` maps their names to them."""
