"""The machine at hand: its GPUs, who uses them, how long a job may run."""
