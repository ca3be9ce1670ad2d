"""Lesson 14: its figures."""
