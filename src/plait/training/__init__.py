"""Training: one loop, its schedule, its checkpoints."""
