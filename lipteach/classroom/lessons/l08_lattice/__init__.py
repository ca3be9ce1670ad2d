"""Lesson 08: its exercises and its figures."""
