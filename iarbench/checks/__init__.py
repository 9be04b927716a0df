"""Proofs that released weights load and behave: parity with official outputs, and full-size names and shapes."""
