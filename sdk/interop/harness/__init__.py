"""Drives unmodified official RocketMQ clients against Blockhouse and against Apache RocketMQ."""
