"""Lesson 11: its exercises and its figures."""
