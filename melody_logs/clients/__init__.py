"""Programs that may call the API: their secrets, the keys that sign their tokens, and the tokens."""
