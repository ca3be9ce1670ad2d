"""Lesson 15: its exercises and its figures."""
