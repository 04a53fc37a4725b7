"""The radio: how much of what one end transmits reaches the other, and what that carries. Decibels stay in here."""
