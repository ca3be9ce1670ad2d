"""Lesson 01: its exercises and its figures."""
