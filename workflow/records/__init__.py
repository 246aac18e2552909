"""What the stages leave behind, and where a run stands."""
