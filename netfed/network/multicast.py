"""Sending one payload to many devices at once: every cell transmits it once, at the rate of its worst receiver.

All that listen have it when the last bit has left, however many they are: point-to-multipoint of 3GPP TS 23.247, with
the modulation and coding that the worst receiver needs.
"""
