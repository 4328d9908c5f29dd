"""How long clients are waited for, and how far they may be ahead."""

from __future__ import annotations

HEAD_WITHIN = 10.0
"""Seconds that a head may take, from its first byte, or from the connection's beginning."""
KEEP_ALIVE = 75.0
"""Longer than load balancers keep their connections (60 s is usual), so that none of them meets one just closed."""

# Seconds for which a kept connection may still bring a request after the gateway was told to stop, which its client can't know.
LAST_CALL = 0.5
# Seconds for which what a client still sends is read and dropped after an answer that ends the connection: one who is cut off
# while sending loses the answer (RFC 9112, 9.6).
LINGER = 5.0
# Bytes that a client may send ahead of what is read, and requests of it that are read before others have their turn.
MAX_AHEAD = 64 << 10
IN_A_TURN = 16
