"""Attribution by retrieval (LIDA): low-bit fingerprints, encoders, galleries, and how well they do."""
