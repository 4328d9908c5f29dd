"""What the gateway tells about itself: metrics and log lines. Neither ever holds a secret."""
