# SPDX-License-Identifier: MIT
"""A stand-in for the Molecule AI platform: its wire behaviour, in memory, on loopback."""
