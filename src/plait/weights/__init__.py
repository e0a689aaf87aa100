"""Pretrained weights: which ones are known, where they are on this machine, how they are fetched beforehand."""
