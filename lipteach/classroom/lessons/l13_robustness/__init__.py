"""Lesson 13: its exercises and its figures."""
