"""The self-check of a machine: is what it computes right, how fast is it, how much fits. Nothing below it imports it."""
