"""The tables' cells, files and strips."""
