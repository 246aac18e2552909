"""The suite: plan, data, training, timing, records and report. Imported by the Snakefile, so this file stays empty."""
