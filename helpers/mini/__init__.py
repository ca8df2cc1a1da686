"""`mini`, the bundled base model: how it was made, its card, its weights."""
