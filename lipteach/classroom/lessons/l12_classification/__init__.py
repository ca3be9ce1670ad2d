"""Lesson 12: its exercises and its figures."""
