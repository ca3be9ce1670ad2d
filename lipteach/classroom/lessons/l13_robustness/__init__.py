"""Lesson 13: its exercises."""
