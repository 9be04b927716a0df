"""From a generator's name to its loaded weights."""
