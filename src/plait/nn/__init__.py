"""Layers and transforms that encoders, fusions and heads share."""
