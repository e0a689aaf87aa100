"""`python -m plait` is the command `plait`: what torchrun starts, torchrun --nproc_per_node=2 -m plait fit …"""

from __future__ import annotations

from plait.cli import main

if __name__ == "__main__":
    main()
