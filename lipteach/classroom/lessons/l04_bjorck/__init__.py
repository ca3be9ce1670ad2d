"""Lesson 04: its exercises and its figures."""
