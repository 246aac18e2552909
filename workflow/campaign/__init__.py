"""The most valuable runs that fit into a given time, without Snakemake."""
