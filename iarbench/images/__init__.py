"""Image sets: records, Parquet shards, decoding, importing."""
