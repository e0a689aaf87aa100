"""What is in a table, before any training: plait.inspect."""

from plait.inspection.overview import Inspection, inspect

__all__ = ["Inspection", "inspect"]
