"""Programs: what tools/ and users call. Only the commands are above."""
