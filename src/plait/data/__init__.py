"""From a table to prepared, memory-mapped arrays."""
