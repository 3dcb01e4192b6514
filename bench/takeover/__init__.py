"""How soon partitions have an owner that reads, by how far away Redis is."""
