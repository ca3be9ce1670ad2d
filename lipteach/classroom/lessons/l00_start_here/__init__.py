"""Lesson 00: its exercises and its figures."""
