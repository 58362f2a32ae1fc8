"""The brain: conducts conversations that any replica can rebuild from their journal."""
