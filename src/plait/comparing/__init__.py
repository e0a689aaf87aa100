"""The encoder ladder: what each encoder that this machine has makes of one column, on the same rows, and what it costs."""
