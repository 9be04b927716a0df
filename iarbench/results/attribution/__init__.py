"""Rows, tables and pictures of tasks that ask which generator, if any, made an image."""
