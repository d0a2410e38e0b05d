"""Programs: what tools/ and users call. The top floor; nothing imports it."""
