"""From the configuration to the runs and jobs, without torch."""
