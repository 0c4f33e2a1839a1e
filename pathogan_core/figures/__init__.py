"""Plotly builders; nothing else draws."""
