"""From SINR to bits per second, as NR does it: modulation and coding, transport blocks, retransmissions, scheduling."""
