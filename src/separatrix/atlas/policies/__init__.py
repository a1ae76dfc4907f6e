"""Policies: preferences, reinforcement learning, planning."""
