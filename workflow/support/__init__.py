"""What every part uses: errors, files, locks, durations, digests of code."""
